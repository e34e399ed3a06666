"""Tools that a plugin calls: one more call of the same caller, within what the waiting call may and has left."""

from __future__ import annotations

import re
from typing import Protocol

from tool_server.errors import InvalidInput, ToolServerError, Unavailable
from tool_server.model.call import Call, ToolResult
from tool_server.model.caller import Caller, Scope
from tool_server.model.client import NO_CLIENT, ClientChannel
from tool_server.model.json_value import JsonObject, compact_json, json_type, parse_json
from tool_server.model.nesting import CallTree, ParentCall
from tool_server.model.transcript import Suspended, Transcript

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_MEMBERS = frozenset({"name", "arguments"})


class Invoke(Protocol):
    """What runs a tool, and records it."""

    async def __call__(
        self,
        name: str,
        arguments: JsonObject,
        caller: Caller,
        client: ClientChannel = NO_CLIENT,
        parent: ParentCall | None = None,
        /,
    ) -> ToolResult:
        """See `InvokeService.call`."""
        ...


class NestedCalls:
    """Answers `call_tool` once it is connected to what runs tools.

    Args:
        limit: most calls that may follow from one of a client's, whoever of them makes them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._invoke: Invoke | None = None

    def connect(self, invoke: Invoke) -> None:
        """Run tools by this from now on: it needs the sandbox, which needs this."""
        self._invoke = invoke

    async def call(self, call: Call, deadline: float, request: bytes, transcript: Transcript | None = None) -> bytes:
        """Call a tool for a plugin; cancelling the awaiting task stops it.

        Args:
            call: the plugin's own call, which waits meanwhile.
            deadline: when that one's time is over, on the monotonic clock.
            request: JSON, `{"name": MCP name, "arguments": {...}}`.
            transcript: where the run of the tool is kept, where the client may be asked something.

        Returns:
            The tool's result as JSON, `{"content", "isError", "structuredContent"?, "_meta"?}`.

        Raises:
            Suspended: that tool's plugin waits for the client.
            InvalidInput: `invalid_json`, `invalid_request`, `request_too_large`.
            ToolServerError: as `InvokeService.call`, and `too_many_calls`; the message names the tool.
        """
        if len(request) > call.limits.input_bytes:
            raise InvalidInput(
                "request_too_large",
                f"the request of call_tool has {len(request)} bytes; at most {call.limits.input_bytes} are accepted",
            )
        name, arguments = _read(request)
        if self._invoke is None:
            raise Unavailable("not_running", "no tool can be called yet: the server is being started")
        parent = self._parent(call, deadline, transcript)
        caller = Caller(call.caller, frozenset({Scope.CALL}))
        try:
            parent.tree.count()
            result = await self._invoke(name, arguments, caller, call.client, parent)
        except Suspended:
            raise
        except ToolServerError as error:
            raise type(error)(error.code, f"the call of {name} failed: {error.message}", error.data) from error
        return compact_json(_result_json(result))

    def _parent(self, call: Call, deadline: float, transcript: Transcript | None) -> ParentCall:
        above = call.parent
        if above is not None:
            tree, stack = above.tree, (*above.stack, call.tool)
        else:
            tree, stack = call.journal.tree, (call.tool,)
            if tree is None:
                tree = call.journal.tree = CallTree(self._limit)
        return ParentCall(
            id=call.id,
            plugin=call.plugin,
            stack=stack,
            permitted=call.permissions.tools,
            deadline=deadline if above is None else min(deadline, above.deadline),
            tree=tree,
            transcript=transcript,
        )


def _read(request: bytes) -> tuple[str, JsonObject]:
    document = parse_json(request, what="the request of call_tool")
    if not isinstance(document, dict):
        raise _invalid(f"it must be a JSON object, not {json_type(document)}")
    if unknown := document.keys() - _MEMBERS:
        raise _invalid(f"there is no {min(unknown)[:80]!r} in it")
    name, arguments = document.get("name"), document.get("arguments", {})
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _invalid("'name' must be the MCP name of a tool, letters, digits, '_' and '-'")
    if not isinstance(arguments, dict):
        raise _invalid(f"'arguments' must be an object, not {json_type(arguments)}")
    return name, arguments


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput(
        "invalid_request", f"the request of call_tool is not valid: {problem}; write {{'name': …, 'arguments': {{…}}}}"
    )


def _result_json(result: ToolResult) -> JsonObject:
    document: JsonObject = {"content": list(result.content), "isError": result.is_error}
    if result.structured is not None:
        document["structuredContent"] = result.structured
    if result.meta is not None:
        document["_meta"] = result.meta
    return document
