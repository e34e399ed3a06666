"""One call in a straight line: find, authorise, validate, run, validate, record."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol, cast

import anyio

from tool_server.errors import CallFailed, Denied, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.interfaces import Clock, Sandbox, Validation
from tool_server.model.call import Call, CallJournal, CallRecord, GuestOutput, Outcome, Pending, Timings, ToolResult
from tool_server.model.caller import Caller, Scope
from tool_server.model.catalog import CatalogEntry
from tool_server.model.client import NO_CLIENT, ClientChannel
from tool_server.model.folder_permission import FolderRoots
from tool_server.model.json_value import JsonObject, canonical_json, sha256_hex
from tool_server.model.nesting import ParentCall
from tool_server.model.transcript import Suspended, Transcript, give_answers, open_requests

MAX_INTEGER_BITS = 2_048
"""Of an integer among the arguments: some 600 digits."""


class Recorder(Protocol):
    """Where the record of a call goes."""

    def require_room(self) -> None:
        """Raise `Unavailable` when records cannot be kept."""
        ...

    def record(self, record: CallRecord) -> None:
        """Keep one record without waiting."""
        ...


class InvokeService:
    """Runs tools.

    Args:
        find: the catalogue's look-up by MCP name.
        environment: values that a plugin may read through `config_get`, where its effective permission names them.
        roots: the host folders that plugins may be granted.
        reuse: MCP names of tools that may keep their instance from call to call of one caller.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[CatalogEntry | None]],
        sandbox: Sandbox,
        validation: Validation,
        recorder: Recorder,
        clock: Clock,
        environment: Mapping[str, str],
        roots: FolderRoots,
        reuse: frozenset[str] = frozenset(),
    ) -> None:
        self._find = find
        self._sandbox = sandbox
        self._validation = validation
        self._recorder = recorder
        self._clock = clock
        self._environment = environment
        self._roots = roots
        self._reuse = reuse

    async def call(
        self,
        name: str,
        arguments: JsonObject,
        caller: Caller,
        client: ClientChannel = NO_CLIENT,
        parent: ParentCall | None = None,
    ) -> ToolResult:
        """Call a tool by its MCP name; cancelling the awaiting task stops the guest.

        Args:
            name: the tool.
            arguments: JSON values.
            caller: who calls, also where a plugin does so on the way.
            client: whom the plugin may ask and tell things. Where it answers by calling again, the result is `pending`.
            parent: the plugin's call that asks, None for a client's own.

        Raises:
            Suspended: under a `parent`, the plugin waits for the client.
            NotFound: `unknown_tool`.
            Denied: `missing_scope`; what `parent` may not.
            InvalidInput: `invalid_arguments`, with path, expected and got; `validation_limit`; `input_too_large`.
            CallFailed: the guest gave no good answer.
            Unavailable: `busy`, `call_log_full`, `shutting_down`; at a first call also that the store cannot answer.
        """
        entry = await self._find(name)
        # What a plugin may call is its operator's to grant, whatever its client sees.
        if entry is None or (parent is None and not caller.view.admits(entry.plugin, name)):
            if parent is not None:
                parent.require(name)
            raise NotFound(
                "unknown_tool", f"there is no tool {name[:100]!r} here: list the tools again", {"tool": name[:200]}
            )
        return await self._call(entry, arguments, caller, client, parent)

    async def ask_plugin(
        self, entry: CatalogEntry, params: JsonObject, caller: Caller, client: ClientChannel = NO_CLIENT
    ) -> JsonObject | Pending:
        """Put one of MCP's other questions, `prompts/get` for one, to a plugin: a call like that of a tool.

        Args:
            entry: of an `ItemEntry`.
            params: of the question.
            caller: who asks.
            client: whom the plugin may ask and tell things.

        Returns:
            MCP's result, or what the plugin asks a client that answers by asking again.

        Raises:
            ToolServerError: as `call`, but for `unknown_tool`.
        """
        result = await self._call(entry, params, caller, client, None)
        return result.pending or result.structured or {}

    async def _call(
        self,
        entry: CatalogEntry,
        arguments: JsonObject,
        caller: Caller,
        client: ClientChannel,
        parent: ParentCall | None,
    ) -> ToolResult:
        self._recorder.require_room()
        running = _RunningCall(os.urandom(16).hex(), entry, caller, self._clock.now(), arguments, parent, client)
        try:
            if parent is not None:
                result = await self._run_nested(running, arguments, parent)
            elif client.transcript is None:
                result = await self._run(running, arguments)
            else:
                result = await self._run_until_answered(running, arguments, client.transcript)
            running.end(result)
            return result
        except Suspended:
            running.outcome = Outcome.INPUT_REQUIRED
            raise
        except ToolServerError as error:
            running.fail(error)
            _redact(error, running.journal)
            raise
        except anyio.get_cancelled_exc_class():
            running.outcome = Outcome.CANCELLED
            raise
        finally:
            self._recorder.record(running.record())

    async def _run_nested(self, running: _RunningCall, arguments: JsonObject, parent: ParentCall) -> ToolResult:
        """As `_run`, within what the parent may, and has left of its time."""
        parent.require(running.entry.name)
        left = parent.deadline - time.monotonic()
        with anyio.move_on_after(left):
            if parent.transcript is None:
                return await self._run(running, arguments)
            return await self._run_once(running, arguments, parent.transcript)
        raise CallFailed(
            "timeout",
            f"{running.entry.name} did not finish within the {max(int(left * 1000), 0)} ms that {parent.stack[-1]} had "
            "left",
        )

    async def _run_until_answered(
        self, running: _RunningCall, arguments: JsonObject, transcript: Transcript
    ) -> ToolResult:
        """As `_run`, again from the start whenever the client has answered what the guest asked it."""
        while True:
            try:
                return await self._run_once(running, arguments, transcript)
            except Suspended:
                requests = open_requests(transcript)
                # The guest is stopped and its worker free: nothing is held while a person thinks.
                answers = await running.client.ask(requests)
                if answers is None:
                    return ToolResult((), pending=Pending(requests, transcript))
                give_answers(transcript, answers)

    async def _run_once(self, running: _RunningCall, arguments: JsonObject, transcript: Transcript) -> ToolResult:
        """As `_run`; what the guest asked before is answered from the transcript.

        Raises:
            Suspended: the guest has asked its client something.
        """
        transcript.begin(running.entry.program.digest, running.id)
        running.journal.transcript = transcript
        try:
            return await self._run(running, arguments)
        except ToolServerError as error:
            if transcript.open is None:
                raise
            raise Suspended from error

    async def _run(self, running: _RunningCall, arguments: JsonObject) -> ToolResult:
        entry = running.entry
        running.caller.require(Scope.CALL)
        caller = running.caller.name
        transcript = running.journal.transcript
        data = await self._validation.encode_arguments(
            entry,
            arguments,
            # A guest that is run again sees the request of its first run.
            call=running.id if transcript is None else transcript.call,
            caller=caller,
            wants_progress=running.client.wants_progress,
        )
        output = await self._sandboxed(
            Call(
                id=running.id,
                tool=entry.name,
                plugin=entry.plugin,
                caller=caller,
                program=entry.program,
                permissions=entry.permissions,
                limits=entry.limits,
                export=entry.definition.binding.export,
                input=data,
                config=_settings(entry, self._environment),
                # Without WASI a guest has no way to open a file.
                folders=self._roots.folders(entry.permissions.folder_permissions) if entry.program.wasi else (),
                reuse=entry.name in self._reuse,
                journal=running.journal,
                parent=running.parent,
                client=running.client,
            )
        )
        if not running.journal.redactor.empty:
            output = output._replace(data=running.journal.redactor.data(output.data))
        running.output = output
        return await self._validation.decode_output(entry, output.data, caller=caller)

    async def _sandboxed(self, call: Call) -> GuestOutput:
        """The guest's output. Where it failed only because its client cannot be asked, that is the error."""
        try:
            return await self._sandbox.run(call)
        except CallFailed as error:
            reason = call.journal.unanswerable
            # The words are there where the guest did not ask what went wrong, and found none of its own.
            if reason is None or error.code not in ("guest_error", "host_function"):
                raise
            if reason.message not in error.message:
                raise
            raise reason from error


def _settings(entry: CatalogEntry, environment: Mapping[str, str]) -> dict[str, str]:
    """What the guest may read through `config_get`; what the installation sets goes before the server's environment."""
    permitted = entry.permissions.environment
    own = entry.config
    return {key: own.get(key, environment.get(key, "")) for key in permitted if key in own or key in environment}


def _redact(error: ToolServerError, journal: CallJournal) -> None:
    error.message = journal.redactor.text(error.message)
    error.args = (error.code, error.message)
    error.data = cast("JsonObject", journal.redactor.json(error.data))


def _canonical(arguments: JsonObject) -> bytes:
    # Over the wire only JSON arrives; a Python program can pass anything.
    try:
        return canonical_json(arguments, MAX_INTEGER_BITS)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            "invalid_arguments",
            "the arguments are no JSON: send an object of strings, numbers, booleans, null, lists and objects, "
            "nested less deeply, without circles, and without integers of hundreds of digits",
        ) from error


class _RunningCall:
    """What the record of one call gathers while it runs."""

    def __init__(
        self,
        call_id: str,
        entry: CatalogEntry,
        caller: Caller,
        started_at: datetime,
        arguments: JsonObject,
        parent: ParentCall | None,
        client: ClientChannel,
    ) -> None:
        self.id = call_id
        self.entry = entry
        self.caller = caller
        self.parent = parent
        self.client = client
        self.outcome = Outcome.INTERNAL_ERROR
        self.error: str | None = None
        self.output: GuestOutput | None = None
        self.journal = CallJournal()
        self._started_at = started_at
        self._started_ns = time.perf_counter_ns()
        self._arguments = _canonical(arguments)

    def end(self, result: ToolResult) -> None:
        """Note the result."""
        if result.pending is not None:
            self.outcome = Outcome.INPUT_REQUIRED
        else:
            self.outcome = Outcome.TOOL_ERROR if result.is_error else Outcome.OK

    def fail(self, error: ToolServerError) -> None:
        """Note how the call failed."""
        self.error = error.code
        match error:
            case InvalidInput():
                self.outcome = Outcome.INVALID_ARGUMENTS
            case Denied():
                self.outcome = Outcome.DENIED
            case Unavailable():
                self.outcome = Outcome.UNAVAILABLE
            case _:
                self.outcome = Outcome.FAILED

    def record(self) -> CallRecord:
        """The finished record."""
        output = self.output
        return CallRecord(
            id=self.id,
            started_at=self._started_at,
            caller=self.caller.name,
            tool=self.entry.name,
            plugin=self.entry.plugin,
            version=self.entry.version,
            digest=self.entry.program.digest,
            arguments_hash=sha256_hex(self._arguments),
            arguments_bytes=len(self._arguments),
            result_hash=None if output is None else sha256_hex(output.data),
            result_bytes=None if output is None else len(output.data),
            outcome=self.outcome,
            error=self.error,
            timings=Timings() if output is None else output.timings,
            total_us=(time.perf_counter_ns() - self._started_ns) // 1_000,
            requests=self.journal.requests,
            parent=None if self.parent is None else self.parent.id,
            secret_reads=self.journal.secret_reads,
        )
