"""MCP's extension `io.modelcontextprotocol/tasks`, which the SDK does not have, for protocol 2026-07-28.

What the wire looks like, from SEP-2663 (https://modelcontextprotocol.io/seps/2663-tasks-extension), its schema
(github.com/modelcontextprotocol/ext-tasks, `schema/draft/schema.ts`) and the checks of the npm package
`@modelcontextprotocol/conformance` 0.2.0-alpha.12:

- Both sides declare it with an empty object under `capabilities.extensions`, the client in each request's `_meta`.
  The server alone decides which `tools/call` becomes a task; the parameter `task` of 2025-11-25 means nothing.
- A task is announced by a flat result: `resultType: "task"`, `taskId`, `status`, `createdAt`, `lastUpdatedAt` (ISO
  8601), `ttlMs` and `pollIntervalMs` (integer milliseconds), `statusMessage`; no `result`, `error` or `inputRequests`
  yet, and never `requestState`. It must be stored by then.
- `tasks/get` gives the same members with `resultType: "complete"`, and `result` (what `tools/call` would have
  answered), `error` (a JSON-RPC error, where that would have been the answer; a tool's own error is a result) or
  `inputRequests`.
- `tasks/update` takes `inputResponses` by the keys of `inputRequests`, all or some; unknown and answered ones are
  ignored. It and `tasks/cancel` answer with nothing but `resultType: "complete"`; cancelling what is over changes
  nothing.
- An unknown task is -32602; a client that does not declare the extension gets -32021 with
  `requiredCapabilities.extensions` from these methods, from a tool that must run as a task, and where it listens for
  `taskIds`. Over HTTP `Mcp-Name` repeats the `taskId`, else -32020. `tasks/list` and `tasks/result` are gone.
- `notifications/tasks` are optional. This server sends none: it acknowledges `subscriptions/listen` without `taskIds`.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, cast

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json

from tool_server.errors import CallFailed, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.mcp_api.calls import Origin, ToolCalls
from tool_server.mcp_api.client_channels import Clients, wire_requests
from tool_server.mcp_api.errors import MISSING_CAPABILITY, failed_result, missing_capability, required_capabilities
from tool_server.mcp_api.lane.requests import MODERN, TASKS, declares_tasks
from tool_server.mcp_api.listing import Listing
from tool_server.mcp_api.tools import serialized_result, wire_result
from tool_server.model.caller import LOCAL, Caller, Scope
from tool_server.model.client import ELICIT, ROOTS, SAMPLE, ClientAnswer, ClientChannel
from tool_server.model.json_value import JsonObject, compact_json
from tool_server.model.suspended_call import SuspendedCall
from tool_server.model.task import Task, TaskFailure
from tool_server.model.tool import TaskSupport
from tool_server.model.transcript import Transcript
from tool_server.services.tasks import Work

Context = ServerRequestContext[Any, Any]

_ANSWERS: Mapping[str, type[types.Result]] = {
    ELICIT: types.ElicitResult,
    SAMPLE: types.CreateMessageResultWithTools,
    ROOTS: types.ListRootsResult,
}

logger = logging.getLogger(__name__)

_TRACE_HEADERS = ("traceparent", "tracestate")
_DONE: JsonObject = {"resultType": "complete"}


class Tasks(Protocol):
    """The tasks of this server; see `services.tasks.TaskService`."""

    async def start(
        self,
        tool: str,
        work: Work,
        caller: Caller,
        capabilities: JsonObject,
        transcript: Transcript | None = None,
    ) -> Task:
        """See `TaskService.start`."""
        ...

    async def get(self, task_id: str, caller: Caller) -> Task:
        """See `TaskService.get`."""
        ...

    async def update(self, task_id: str, caller: Caller, answers: Mapping[str, ClientAnswer]) -> None:
        """See `TaskService.update`."""
        ...

    async def cancel(self, task_id: str, caller: Caller) -> None:
        """See `TaskService.cancel`."""
        ...


class TaskParams(types.RequestParams):
    """Of `tasks/get` and `tasks/cancel`."""

    task_id: str


class UpdateTaskParams(TaskParams):
    """Of `tasks/update`."""

    input_responses: dict[str, dict[str, Any]]


class TaskHandlers:
    """The extension's handlers, and what makes a task of a `tools/call`.

    Args:
        tasks: the tasks.
        listing: the tools.
        calls: what runs them.
        clients: takes back calls whose clients answered.
        local: who calls over stdio.
    """

    def __init__(
        self, tasks: Tasks, listing: Listing, calls: ToolCalls, clients: Clients, local: Caller = LOCAL
    ) -> None:
        self._tasks = tasks
        self._listing = listing
        self._calls = calls
        self._clients = clients
        self._local = local

    def register(self, server: Server[Any]) -> None:
        """Have a server answer the extension's methods and declare it."""
        server.extensions[TASKS] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", UpdateTaskParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)
        listening = server.get_request_handler("subscriptions/listen")
        if listening is not None:

            async def listen(context: Context, params: types.SubscriptionsListenRequestParams) -> Any:
                if "taskIds" in (params.notifications.model_extra or {}):
                    _require_declared(context)
                return await listening.handler(context, params)

            server.add_request_handler("subscriptions/listen", types.SubscriptionsListenRequestParams, listen)

    async def begin(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult | None:
        """Make a task of a call and give its announcement; None leaves the call to be made and waited for.

        Raises:
            MCPError: -32021, the tool must run as a task and the client cannot follow one; -32602, the `requestState`
                is not valid.
        """
        caller, arguments = self._caller(context), params.arguments or {}
        support = self._listing.task_support(params.name, arguments, caller.view)
        if support is TaskSupport.FORBIDDEN:
            return None
        if not _declares(context):
            if support is TaskSupport.OPTIONAL:
                return None
            raise _missing_extension(f"{params.name[:100]} runs as a task, which this client cannot follow")
        if not caller.may(Scope.CALL) or (support is TaskSupport.AFTER_INPUT and not params.input_responses):
            return None
        try:
            call = SuspendedCall("tools/call", params.name, arguments, caller)
            transcript = await self._clients.resumed(context, call)
            work = self._work(params.name, arguments, caller, _origin(context))
            task = await self._tasks.start(params.name, work, caller, _capabilities(context), transcript)
        except InvalidInput as error:
            raise MCPError(types.INVALID_PARAMS, error.message, {"reason": error.code}) from error
        except Unavailable as error:
            return wire_result(failed_result(error))
        # The SDK leaves the result alone for its `resultType`.
        return cast(types.CallToolResult, {"resultType": "task", **_summary(task)})

    async def get(self, context: Context, params: TaskParams) -> Any:
        """`tasks/get`."""
        caller = self._admitted(context, params)
        with _protocol_errors():
            return {**_DONE, **_detailed(await self._tasks.get(params.task_id, caller))}

    async def update(self, context: Context, params: UpdateTaskParams) -> Any:
        """`tasks/update`."""
        caller = self._admitted(context, params)
        with _protocol_errors():
            task = await self._tasks.get(params.task_id, caller)
            answers = {
                key: _answer(task.requests[key].method, key, response)
                for key, response in params.input_responses.items()
                if key in task.requests
            }
            await self._tasks.update(params.task_id, caller, answers)
        return dict(_DONE)

    async def cancel(self, context: Context, params: TaskParams) -> Any:
        """`tasks/cancel`."""
        caller = self._admitted(context, params)
        with _protocol_errors():
            await self._tasks.cancel(params.task_id, caller)
        return dict(_DONE)

    def _caller(self, context: Context) -> Caller:
        return self._local if context.request is None else context.request.state.caller

    def _admitted(self, context: Context, params: TaskParams) -> Caller:
        """Who asks for a task, once the request is one of this extension's."""
        if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found", context.method)
        _require_declared(context)
        if context.request is not None:
            # The SDK compares this header for the methods that it knows.
            if decode_header_value(context.request.headers.get(MCP_NAME_HEADER)) != params.task_id:
                raise MCPError(types.HEADER_MISMATCH, "the header Mcp-Name does not repeat the parameter 'taskId'")
        return self._caller(context)

    def _work(self, name: str, arguments: JsonObject, caller: Caller, origin: Origin) -> Work:
        async def work(client: ClientChannel) -> bytes:
            try:
                result = await self._calls.call(name, arguments, caller, client, origin)
                missing = missing_capability(result)
                if missing is not None:
                    raise missing
                return compact_json(serialized_result(result, MODERN))
            except ToolServerError:
                raise
            except Exception as error:
                # Part of MCP's top-level translation table. As the SDK says it where the call is waited for.
                logger.exception("a task of %r gave a result that cannot be sent", name)
                raise CallFailed("bad_output", "Handler returned an invalid result") from error

        return work


@contextmanager
def _protocol_errors() -> Generator[None]:
    """Turn what the tasks raise into JSON-RPC errors: these methods have no results that could say it."""
    try:
        yield
    except (NotFound, InvalidInput) as error:
        raise MCPError(types.INVALID_PARAMS, error.message) from error
    except Unavailable as error:
        raise MCPError(types.INTERNAL_ERROR, error.message) from error


def _declares(context: Context) -> bool:
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS and declares_tasks(_capabilities(context))


def _capabilities(context: Context) -> JsonObject:
    """What the client declares in this request, MCP's `ClientCapabilities`."""
    declared = (context.meta or {}).get(types.CLIENT_CAPABILITIES_META_KEY)
    return cast(JsonObject, declared) if isinstance(declared, dict) else {}


def _require_declared(context: Context) -> None:
    if not _declares(context):
        raise _missing_extension("tasks are for clients that declare this extension")


def _missing_extension(message: str) -> MCPError:
    required: JsonObject = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, message, required)


def _origin(context: Context) -> Origin:
    # Of the request nothing else is kept for as long as the task runs.
    request = context.request
    headers = (
        None if request is None else {key: request.headers[key] for key in _TRACE_HEADERS if key in request.headers}
    )
    return Origin(context.meta, headers)


def _answer(method: str, key: str, response: dict[str, Any]) -> ClientAnswer:
    try:
        _ANSWERS[method].model_validate(response)
    except ValidationError as error:
        raise MCPError(types.INVALID_PARAMS, f"inputResponses[{key[:80]!r}] is no result of {method}") from error
    return ClientAnswer(response)


def _summary(task: Task) -> JsonObject:
    """A task without what it asks or came to."""
    shown: JsonObject = {
        "taskId": task.id,
        "status": task.status.value,
        "createdAt": _moment(task.created_at),
        "lastUpdatedAt": _moment(task.updated_at),
        "ttlMs": task.ttl_ms,
        "pollIntervalMs": task.poll_interval_ms,
    }
    return shown if task.message is None else {**shown, "statusMessage": task.message}


def _detailed(task: Task) -> JsonObject:
    shown = _summary(task)
    if task.requests:
        shown["inputRequests"] = wire_requests(task.requests)
    if task.result is not None:
        shown["result"] = from_json(task.result)
    if task.failure is not None:
        shown["error"] = _error(task.failure)
    return shown


def _error(failure: TaskFailure) -> JsonObject:
    """The JSON-RPC error that the call would have been answered with."""
    if failure.code == "client_cannot_be_asked":
        data = required_capabilities(Unavailable(failure.code, failure.message, failure.data))
        return {"code": MISSING_CAPABILITY, "message": failure.message, "data": data}
    code = types.INVALID_PARAMS if failure.code == "unknown_tool" else types.INTERNAL_ERROR
    return {"code": code, "message": failure.message, "data": {"code": failure.code, "data": failure.data}}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
