"""The client of a request as a `ClientChannel`, in both eras.

In the handshake era a client is asked over its connection, while the call waits without a worker. In 2026-07-28 it gets
the questions as the call's result and calls once more with the answers (multi round-trip requests, SEP-2322).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import anyio
import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, RootModel, ValidationError

from tool_server.errors import CallFailed, Unavailable
from tool_server.mcp_api.calls import ToolCalls
from tool_server.mcp_api.sessions import ClientSessions
from tool_server.model.client import ELICIT, LOG_LEVELS, SAMPLE, ClientAnswer, ClientRequest, can_be_asked
from tool_server.model.json_value import JsonObject
from tool_server.model.suspended_call import SuspendedCall
from tool_server.model.transcript import Transcript

LEVEL_KEY = "io.modelcontextprotocol/logLevel"


class _Null(RootModel[None]):
    """JSON's null where the SDK writes it: None itself it leaves out."""


class Waiting:
    """Bounds the calls that wait for their clients.

    Args:
        limit: how many may.
        seconds: how long each may.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._scopes: set[anyio.CancelScope] = set()
        self._over = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._scopes)

    @contextmanager
    def one(self, wanted: Sequence[float]) -> Generator[None]:
        """One more waits in the block, no longer than it may and than any of these seconds.

        Raises:
            Unavailable: `busy`; `client_did_not_answer`, the block was left without an end; `shutting_down`.
        """
        if len(self._scopes) >= self._limit:
            count = len(self._scopes)
            raise Unavailable(
                "busy", f"{count} calls wait for their clients: try again later", {"retry_after_ms": 5_000}
            )
        seconds = min([self._seconds, *wanted])
        with anyio.move_on_after(0 if self._over else seconds) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)
        if scope.cancelled_caught and self._over:
            raise Unavailable("shutting_down", "the server stopped while it waited for the client's answer: call anew")
        if scope.cancelled_caught:
            raise Unavailable("client_did_not_answer", f"the client did not answer within {seconds:g} s")

    def end(self) -> None:
        """None waits any more: the server stops."""
        self._over = True
        for scope in tuple(self._scopes):
            scope.cancel()


class RequestClient:
    """What both eras have in common: the client of one request.

    Args:
        context: the request.
        level: the least severe log messages that it wants, None for none.
        transcript: what earlier requests of the same call left.
    """

    def __init__(
        self, context: ServerRequestContext[Any, Any], level: str | None, transcript: Transcript | None
    ) -> None:
        self._context = context
        self._level = level
        declared = context.session.client_capabilities
        self.capabilities: JsonObject = (
            {} if declared is None else declared.model_dump(by_alias=True, mode="json", exclude_none=True)
        )
        self.protocol_version = context.protocol_version
        self.wants_progress = (context.meta or {}).get("progress_token") is not None
        self.transcript = (transcript or Transcript()) if can_be_asked(self.capabilities) else None

    async def tell(self, method: str, params: JsonObject) -> None:
        """See `ClientChannel.tell`."""
        session, related = self._context.session, str(self._context.request_id)
        match method:
            case "notifications/progress":
                values = cast("dict[str, Any]", params)
                await session.report_progress(values["progress"], values.get("total"), values.get("message"))
            case "notifications/message" if self._wants(params.get("level")):
                data = _Null(None) if params["data"] is None else params["data"]
                message = types.LoggingMessageNotificationParams.model_validate({**params, "data": data})
                await session.send_notification(types.LoggingMessageNotification(params=message), related)
            case "notifications/elicitation/complete" if self.protocol_version not in MODERN_PROTOCOL_VERSIONS:
                # 2026-07-28 has no such notice: there the client calls once more.
                await session.send_elicit_complete(str(params.get("elicitationId")), related)
            case _:
                pass

    def _wants(self, level: object) -> bool:
        if self._level is None or level not in LOG_LEVELS:
            return False
        return LOG_LEVELS.index(cast(str, level)) >= LOG_LEVELS.index(self._level)


class ModernClient(RequestClient):
    """A client of 2026-07-28."""

    def __init__(self, context: ServerRequestContext[Any, Any], transcript: Transcript | None = None) -> None:
        level = (context.meta or {}).get(LEVEL_KEY)
        super().__init__(context, level if level in LOG_LEVELS else None, transcript)

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer] | None:
        """See `ClientChannel.ask`: it answers by calling once more."""
        return None


class HandshakeClient(RequestClient):
    """A client of the handshake era; one without a connection has no capabilities here.

    Args:
        context: the request.
        sessions: the clients that are connected.
        waiting: bounds how many wait, and how long.
    """

    def __init__(self, context: ServerRequestContext[Any, Any], sessions: ClientSessions, waiting: Waiting) -> None:
        client = sessions.of(context)
        super().__init__(context, LOG_LEVELS[0] if client is None else client.level, None)
        self._waiting = waiting

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer] | None:
        """See `ClientChannel.ask`."""
        wanted = [request.timeout_s for request in requests.values() if request.timeout_s is not None]
        messages = typed_requests(requests)
        answers: dict[str, ClientAnswer] = {}
        with self._waiting.one(wanted):
            for key, message in messages.items():
                answers[key] = await self._ask(message)
        return answers

    async def _ask(self, message: TypedRequest) -> ClientAnswer:
        related = ServerMessageMetadata(related_request_id=self._context.request_id)
        try:
            result = await self._context.session.send_request(message.request, message.result, metadata=related)
        except MCPError as error:
            return ClientAnswer({}, error.error.message[:1_000])
        except ValidationError:
            return ClientAnswer({}, "what it answered is no result of this method")
        return ClientAnswer(result.model_dump(by_alias=True, mode="json", exclude_none=True))


class TypedRequest(NamedTuple):
    """A question as the SDK sends it."""

    request: Any
    result: type[BaseModel]


def typed_requests(requests: Mapping[str, ClientRequest]) -> dict[str, TypedRequest]:
    """Questions in the SDK's types.

    Raises:
        CallFailed: `bad_question`, MCP does not know such a question.
    """
    typed: dict[str, TypedRequest] = {}
    for key, request in requests.items():
        try:
            typed[key] = _typed(request)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise CallFailed(
                "bad_question",
                f"the plugin asks its client for {request.method} in a form that MCP does not know: "
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}",
            ) from error
    return typed


def input_required(requests: Mapping[str, ClientRequest], state: str) -> JsonObject:
    """MCP's `InputRequiredResult` as the SDK writes it.

    Raises:
        CallFailed: `bad_question`.
    """
    return {"resultType": "input_required", "inputRequests": wire_requests(requests), "requestState": state}


def wire_requests(requests: Mapping[str, ClientRequest]) -> JsonObject:
    """MCP's `InputRequests`.

    Raises:
        CallFailed: `bad_question`.
    """
    return {
        key: message.request.model_dump(by_alias=True, mode="json", exclude_none=True)
        for key, message in typed_requests(requests).items()
    }


def _typed(request: ClientRequest) -> TypedRequest:
    wire = {"method": request.method, "params": request.params}
    if request.method == ELICIT:
        return TypedRequest(types.ElicitRequest.model_validate(wire), types.ElicitResult)
    if request.method == SAMPLE:
        tools = "tools" in request.params or "toolChoice" in request.params
        result = types.CreateMessageResultWithTools if tools else types.CreateMessageResult
        return TypedRequest(types.CreateMessageRequest.model_validate(wire), result)
    return TypedRequest(types.ListRootsRequest.model_validate({"method": request.method}), types.ListRootsResult)


class Clients:
    """Finds the client of a request.

    Args:
        calls: takes back calls whose clients answered.
        sessions: the clients that are connected.
        waiting: bounds how many calls wait for one, and how long.
    """

    def __init__(self, calls: ToolCalls, sessions: ClientSessions, waiting: Waiting) -> None:
        self._calls = calls
        self._sessions = sessions
        self._waiting = waiting

    async def of(self, context: ServerRequestContext[Any, Any], call: SuspendedCall) -> ModernClient | HandshakeClient:
        """The client of a request that makes a call, or goes on with it.

        Raises:
            InvalidInput: `invalid_request_state`.
            Unavailable: the database cannot answer.
        """
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return ModernClient(context, await self.resumed(context, call))
        return HandshakeClient(context, self._sessions, self._waiting)

    async def resumed(self, context: ServerRequestContext[Any, Any], call: SuspendedCall) -> Transcript | None:
        """What an earlier request of the same call left, None where this is the first one.

        Raises:
            InvalidInput: `invalid_request_state`.
            Unavailable: the database cannot answer.
        """
        params = context.params or {}
        state, responses = params.get("requestState"), params.get("inputResponses")
        if state is None and responses is None:
            return None
        given = cast("dict[str, JsonObject]", responses or {})
        answers = {key: ClientAnswer(result) for key, result in given.items()}
        if isinstance(state, str):
            return await self._calls.resume(call, state, answers)
        transcript = Transcript()
        transcript.offer(answers)
        return transcript
