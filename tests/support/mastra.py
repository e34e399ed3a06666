"""Mastra, driven from Python: one Node process that holds any number of Mastra's MCP clients."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.node import PACKAGE, NodeConversation
from tests.support.server import REPOSITORY, stdio_command

SCRIPT = PACKAGE / "mastra.mjs"

Json = dict[str, Any]

_names = count(1)


class MastraError(Exception):
    """What Mastra threw; `id` is Mastra's own word for the kind of error, where it has one."""

    def __init__(self, name: str, id: str | None, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.id = id
        self.message = message


def http_server(mcp_url: str, token: str | None = None, protocol_version: str | None = None) -> Json:
    """A server definition over Streamable HTTP; `token` goes out as a plain Bearer token.

    `protocol_version` is Mastra's option: `legacy` has @mastra/mcp 2 speak the handshake era.
    """
    return {"url": mcp_url, "token": token, "protocolVersion": protocol_version}


def stdio_server(data_dir: Path, *options: str) -> Json:
    """A server definition over stdio. Mastra passes on only HOME, PATH, SHELL and TERM besides `env`."""
    command, args = stdio_command(data_dir, *options)
    return {"command": command, "args": args, "env": {"PYTHONPATH": str(REPOSITORY)}}


class MastraClient:
    """One `MCPClient` of Mastra with one server, which Mastra knows as `server`; `features` as in features.mjs."""

    def __init__(
        self,
        node: NodeConversation,
        version: str,
        server: Mapping[str, Any],
        name: str = "tools",
        list_now: bool = True,
        features: Mapping[str, Any] | None = None,
    ) -> None:
        self.server = name
        self._node = node
        self._client = f"client-{next(_names)}"
        self.listed = self._ask(
            "connect", version=version, servers={name: server}, list=list_now, features=features or {}
        )

    def tool(self, mcp_name: str) -> str:
        """How Mastra names a tool of the server."""
        return f"{self.server}_{mcp_name}"

    def definitions(self) -> Json:
        """The last listing's tools by MCP name, as Mastra serializes them."""
        assert self.listed["errors"] == {}, self.listed["errors"]
        return dict(self.listed["definitions"][self.server])

    def list_again(self) -> Json:
        """List anew; returns what `definitions` does."""
        self.listed = self._ask("list")
        return self.definitions()

    def list_until(self, mcp_names: Set[str], seconds: float = 30) -> None:
        """List until exactly these tools are there; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while (listed := self.list_again().keys()) != mcp_names:
            assert time.monotonic() < deadline, f"still {sorted(listed)} after {seconds} s"
            time.sleep(0.1)

    def execute(self, mcp_name: str, arguments: Mapping[str, Any]) -> Any:
        """What `tool.execute` returned.

        Raises:
            MastraError: what it threw.
        """
        return self._ask("execute", tool=self.tool(mcp_name), input=arguments)

    def begin_execute(self, mcp_name: str, arguments: Mapping[str, Any]) -> int:
        """Like `execute`, without waiting; `finish` takes the number that this returns."""
        return self._node.begin("execute", {"client": self._client, "tool": self.tool(mcp_name), "input": arguments})

    def finish(self, number: int) -> Any:
        """Wait for a call that `begin_execute` began."""
        return _value(self._node.finish(number))

    def execute_many(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """All calls at once; a call that threw stands as `{"error": {"name", "id", "message"}}`."""
        return self._ask(
            "executeMany", calls=[{"tool": self.tool(name), "input": arguments} for name, arguments in calls]
        )

    def heard(self) -> Json:
        """What the handlers of its features were told since the last time: see `nothingHeard` in features.mjs."""
        return self._ask("heard")

    def ask_agent(
        self, *steps: Sequence[tuple[str, Mapping[str, Any]]], toolsets: bool = False, approve: bool | None = None
    ) -> Json:
        """Let an agent's model make the calls of each step, one step after another, and quote what it is told.

        Args:
            steps: MCP names and arguments.
            toolsets: hand the tools over with the request.
            approve: what a person says of the calls that need an approval.

        Returns:
            `{"text", "offered", "shown", "toolResults", "suspended"}`: the model's words, the tools that it was
            offered, what it was shown of their results, the results themselves, the tools that waited for an approval.
        """
        wanted = [
            [{"tool": name if toolsets else self.tool(name), "input": arguments} for name, arguments in calls]
            for calls in steps
        ]
        person = {} if approve is None else {"approve": approve}
        return self._ask("agent", steps=wanted, toolsets=toolsets, **person)

    def listen(self) -> None:
        """Subscribe to changes of the list of tools."""
        self._ask("listen", server=self.server)

    def wait_for_change(self, seconds: float = 30) -> int:
        """Wait until at least one change was announced since `listen`; returns how many were."""
        return int(self._ask("waitForChange", server=self.server, milliseconds=seconds * 1_000))

    def hydrate(self, definitions: Mapping[str, Any]) -> list[str]:
        """Take on a catalogue that was serialized before, without asking the server; returns the tools' names."""
        return self._ask("hydrate", definitions={self.server: definitions})

    def close(self) -> None:
        """Disconnect."""
        self._ask("disconnect")

    def _ask(self, operation: str, **arguments: object) -> Any:
        return _value(self._node.ask(operation, {"client": self._client, **arguments}, timeout=120))


def _value(answer: Json) -> Any:
    if "error" in answer:
        raise MastraError(**answer["error"])
    return answer["value"]
