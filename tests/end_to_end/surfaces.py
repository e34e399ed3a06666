"""One bad input sent to every surface that takes it: both commands, the REST API, and MCP in both eras."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from tests.http_api.registry import upload
from tests.mcp_api.wire import call_body, headers_of
from tests.support.server import RunningServer
from tool_server.cli.operate import main as tool_server
from tool_server.cli.registry import main as extism_registry


@dataclass(frozen=True)
class Answer:
    """What a surface said, in one shape."""

    status: int
    """Exit code or HTTP status."""
    code: str | int | None
    """The error's own word, JSON-RPC's number, or None for a success."""
    text: str


def stored(data_dir: Path) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Versions and installations, and the names of all artifacts."""
    with closing(sqlite3.connect(f"file:{data_dir / 'tool-server.db'}?mode=ro", uri=True)) as connection:
        rows = [
            row
            for table in ("plugins", "versions", "installations")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608 - names from here
        ]
    artifacts = data_dir / "artifacts"
    return rows, sorted(str(path.relative_to(artifacts)) for path in artifacts.rglob("*") if path.is_file())


class Surfaces:
    """A running server on a data folder, on which the commands work as well."""

    def __init__(self, server: RunningServer, token: str, settings: Mapping[str, str]) -> None:
        self.server = server
        self.data_dir = server.data_dir
        self._settings = settings
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=60)

    def run(
        self, command: str, *args: str, stdin: bytes | None = None, login: Mapping[str, str] | None = None
    ) -> Answer:
        """One command, in this process: on the data folder, or on the server that `login` names."""
        given = [*args, *(["--data-dir", str(self.data_dir)] if login is None else []), "--json"]
        main = {"tool-server": tool_server, "extism-registry": extism_registry}[command]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [command, *given])
            done = CliRunner().invoke(main, given, input=stdin, env={**self._settings, **(login or {})})
        if done.exit_code == 0:
            return Answer(0, None, done.stdout)
        assert done.stderr.startswith("error: "), done.output
        assert "Traceback" not in done.output
        documents = done.stdout.rindex('{\n  "error"')
        return Answer(done.exit_code, json.loads(done.stdout[documents:])["error"]["code"], done.stderr)

    def publish_by_command(self, folder: Path) -> Answer:
        """`extism-registry publish FOLDER`."""
        return self.run("extism-registry", "publish", str(folder))

    def publish_by_rest(self, manifest: object, wasm: bytes) -> Answer:
        """A multipart upload."""
        return self._problem(self.client.post("/api/v1/plugins", files=upload(manifest, wasm)))

    def call_by_command(self, tool: str, arguments: bytes) -> Answer:
        """`tool-server call TOOL -`."""
        return self.run("tool-server", "call", tool, "-", stdin=arguments)

    def call_by_rest(self, tool: str, arguments: bytes, **headers: str) -> Answer:
        """The arguments as they are, in a body of their own."""
        sent = {"Content-Type": "application/json", **headers}
        return self._problem(self.client.post(f"/api/v1/tools/{tool}/call", content=arguments, headers=sent))

    def call_by_mcp(self, era: str, tool: str, arguments: bytes, **headers: str) -> Answer:
        """The arguments as they are, inside a request of that era."""
        response = self.client.post(
            "/mcp",
            content=call_body(era, tool, arguments.decode("utf-8", "surrogateescape")),
            headers={**headers_of(era, "tools/call", tool), **headers},
        )
        if response.status_code in (401, 413):
            return Answer(response.status_code, response.status_code, response.text)
        answer = response.json()
        if "error" in answer:
            return Answer(response.status_code, answer["error"]["code"], answer["error"]["message"])
        result = answer["result"]
        text = "".join(block.get("text", "") for block in result["content"])
        if not result.get("isError"):
            return Answer(200, None, text)
        return Answer(200, result["_meta"]["tool-server/error"]["code"], text)

    @staticmethod
    def _problem(response: httpx.Response) -> Answer:
        if response.is_success:
            return Answer(response.status_code, None, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        return Answer(response.status_code, problem["code"], problem["detail"])
