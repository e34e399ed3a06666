"""One call in a straight line: find, authorise, validate, run, validate, record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol
from weakref import WeakKeyDictionary

import anyio

from tool_server.errors import CallFailed, Denied, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.inspection.arguments import ArgumentsValidator, OutputValidator
from tool_server.inspection.carriage import decode_output, encode_input
from tool_server.interfaces import Clock, Sandbox
from tool_server.model.call import Call, CallRecord, GuestOutput, Outcome, Timings, ToolResult
from tool_server.model.caller import Caller, Scope
from tool_server.model.catalog import CatalogEntry
from tool_server.model.json_value import JsonObject, canonical_json, sha256_hex


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
    """

    def __init__(
        self,
        find: Callable[[str], CatalogEntry | None],
        sandbox: Sandbox,
        recorder: Recorder,
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        self._find = find
        self._sandbox = sandbox
        self._recorder = recorder
        self._clock = clock
        self._environment = environment
        # Compiled at a tool's first call, and gone with the catalogue entry.
        self._arguments: WeakKeyDictionary[CatalogEntry, ArgumentsValidator] = WeakKeyDictionary()
        self._outputs: WeakKeyDictionary[CatalogEntry, OutputValidator] = WeakKeyDictionary()

    async def call(self, name: str, arguments: JsonObject, caller: Caller) -> ToolResult:
        """Call a tool by its MCP name; cancelling the awaiting task stops the guest.

        Raises:
            NotFound: `unknown_tool`.
            Denied: `missing_scope`.
            InvalidInput: `invalid_arguments`, with path, expected and got; `input_too_large`.
            CallFailed: the guest gave no good answer.
            Unavailable: `busy`, `call_log_full`, `shutting_down`.
        """
        entry = self._find(name)
        if entry is None:
            raise NotFound(
                "unknown_tool", f"there is no tool {name[:100]!r} here: list the tools again", {"tool": name[:200]}
            )
        self._recorder.require_room()
        running = _RunningCall(os.urandom(16).hex(), entry, caller, self._clock.now(), arguments)
        try:
            result = await self._run(running, arguments)
            running.outcome = Outcome.TOOL_ERROR if result.is_error else Outcome.OK
            return result
        except ToolServerError as error:
            running.fail(error)
            raise
        except anyio.get_cancelled_exc_class():
            running.outcome = Outcome.CANCELLED
            raise
        finally:
            self._recorder.record(running.record())

    async def _run(self, running: _RunningCall, arguments: JsonObject) -> ToolResult:
        entry = running.entry
        running.caller.require(Scope.CALL)
        complete = self._arguments_validator(entry).check(arguments)
        definition = entry.definition
        permitted = entry.permissions.environment
        output = await self._sandbox.run(
            Call(
                id=running.id,
                tool=entry.name,
                plugin=entry.plugin,
                caller=running.caller.name,
                program=entry.program,
                permissions=entry.permissions,
                limits=entry.limits,
                export=definition.binding.export,
                input=encode_input(definition.binding, definition.name, complete, call_id=running.id),
                config={key: self._environment[key] for key in permitted if key in self._environment},
            )
        )
        running.output = output
        result = decode_output(definition, output.data)
        if definition.output_schema is not None and not result.is_error:
            self._output_validator(entry, definition.output_schema).check(_structured(result))
        return result

    def _arguments_validator(self, entry: CatalogEntry) -> ArgumentsValidator:
        validator = self._arguments.get(entry)
        if validator is None:
            validator = self._arguments[entry] = ArgumentsValidator(entry.definition.input_schema)
        return validator

    def _output_validator(self, entry: CatalogEntry, schema: JsonObject) -> OutputValidator:
        validator = self._outputs.get(entry)
        if validator is None:
            validator = self._outputs[entry] = OutputValidator(schema)
        return validator


def _structured(result: ToolResult) -> JsonObject:
    if result.structured is None:
        raise CallFailed("bad_output", "the plugin promised structured output by its output schema and returned none")
    return result.structured


def _canonical(arguments: JsonObject) -> bytes:
    # Over the wire only JSON arrives; a Python program can pass anything.
    try:
        return canonical_json(arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            "invalid_arguments",
            "the arguments are no JSON: send an object of strings, numbers, booleans, null, lists and objects, "
            "nested less deeply and without circles",
        ) from error


class _RunningCall:
    """What the record of one call gathers while it runs."""

    def __init__(
        self, call_id: str, entry: CatalogEntry, caller: Caller, started_at: datetime, arguments: JsonObject
    ) -> None:
        self.id = call_id
        self.entry = entry
        self.caller = caller
        self.outcome = Outcome.INTERNAL_ERROR
        self.error: str | None = None
        self.output: GuestOutput | None = None
        self._started_at = started_at
        self._started_ns = time.perf_counter_ns()
        self._arguments = _canonical(arguments)

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
        )
