"""Checking arguments and results, in the event loop or in validator processes. Implements `interfaces.Validation`."""

from __future__ import annotations

import json
import marshal
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self
from weakref import WeakKeyDictionary

import anyio.lowlevel
import anyio.to_thread

from tool_server.config import Config
from tool_server.errors import CallFailed, InvalidInput, ToolServerError, Unavailable
from tool_server.inspection.checked_tool import CheckedTool
from tool_server.inspection.instance_bounds import NotQuickError
from tool_server.inspection.lint import is_quick_to_lint, lint_tool
from tool_server.model.call import ToolResult
from tool_server.model.catalog import CatalogEntry
from tool_server.model.json_value import JsonObject
from tool_server.model.protection import Protection
from tool_server.model.tool import Finding, ToolDefinition
from tool_server.sandbox.gate import Bounds, Gate, shutting_down
from tool_server.sandbox.process import NotSentError, WorkerProcess
from tool_server.sandbox.settings import Profile, WorkerSetup
from tool_server.sandbox.validation_task import Exchange, Task, fields_of
from tool_server.sandbox.workplace import Workplace

_LINTS = 1
"""Publishes that are linted at once, beside the calls and in processes of their own."""

_SYSTEM_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")

_ATTEMPTS = 3
"""Processes that one task is given to, when somebody else ends them."""


@dataclass(frozen=True, slots=True)
class ValidationSettings:
    """Sizes and bounds of validation. Times are milliseconds."""

    processes: int = 2
    """Tasks at once. None is started before it is needed."""
    queue: int = 1_000
    queue_timeout_ms: int = 60_000
    timeout_ms: int = 5_000
    """Of one check."""
    lint_timeout_ms: int = 120_000
    """Of all tools of one plugin."""
    memory: int = 2**30
    """Private memory of each process, bytes."""
    kept: int = 64
    """Tools that each process keeps compiled."""
    protections: tuple[Protection, ...] = tuple(Protection)

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """What a configuration asks for."""
        limits = config.limits
        return cls(
            queue=limits.queue,
            queue_timeout_ms=limits.queue_timeout,
            timeout_ms=limits.validation_timeout,
            lint_timeout_ms=limits.compile_timeout,
            protections=config.sandbox.protections,
        )


@dataclass(slots=True)
class _Tool:
    """What is kept of an offered tool."""

    key: int
    quick: CheckedTool


class ValidatorPool:
    """Validation; an async context manager that owns the validator processes.

    Ordinary schemas with ordinary values are checked in place. What the bounds of `inspection.instance_bounds` (QUICK)
    and `inspection.quick_schema` exclude is handed to a process, in turn with other callers, and ends at its deadline.

    Args:
        settings: sizes and bounds.
    """

    def __init__(self, settings: ValidationSettings) -> None:
        self._settings = settings
        timeout_s = settings.queue_timeout_ms / 1000
        self._checks = Gate(Bounds(settings.processes, settings.queue), timeout_s)
        self._lints = Gate(Bounds(_LINTS, settings.queue), settings.lint_timeout_ms / 1000)
        self._tools: WeakKeyDictionary[CatalogEntry, _Tool] = WeakKeyDictionary()
        self._next_key = 0
        self._profile = _imported_from()
        self._workplace = Workplace(
            partial(_setup, settings), settings.processes, 0, (self._checks, self._lints), _start
        )

    async def __aenter__(self) -> Self:
        await self._workplace.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._workplace.__aexit__()

    async def end_tasks(self) -> None:
        """End every check, running or waiting, as `shutting_down`, and take no more."""
        await self._workplace.end()

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the validators."""
        return self._workplace.pids

    @property
    def busy(self) -> int:
        """Validators with a task in hand."""
        return self._workplace.busy

    @property
    def waiting(self) -> int:
        """Checks in the queue."""
        return self._checks.waiting

    async def encode_arguments(
        self, entry: CatalogEntry, arguments: JsonObject, *, call: str, caller: str, wants_progress: bool = False
    ) -> bytes:
        """See `interfaces.Validation`."""
        tool = self._tool(entry)
        try:
            return tool.quick.encode(arguments, call, wants_progress)
        except NotQuickError:
            pass
        try:
            # The event loop has just written these values for the call's record: others come first.
            await anyio.lowlevel.checkpoint()
            body = marshal.dumps(arguments)
        except ValueError as error:
            raise InvalidInput(
                "invalid_arguments", "the arguments are no JSON: send an object of JSON values"
            ) from error
        seconds = self._settings.timeout_ms / 1000
        task = Task("arguments", body, seconds, _arguments_limit, tool.key, entry.definition, call, wants_progress)
        return await self._check(task, caller)

    async def decode_output(self, entry: CatalogEntry, data: bytes, *, caller: str) -> ToolResult:
        """See `interfaces.Validation`."""
        tool = self._tool(entry)
        try:
            return tool.quick.decode(data)
        except NotQuickError:
            pass
        seconds = self._settings.timeout_ms / 1000
        answer = await self._check(Task("output", data, seconds, _output_limit, tool.key, entry.definition), caller)
        content, structured, is_error, meta = json.loads(answer)
        return ToolResult(tuple(content), structured, is_error, meta)

    async def lint(self, plugin: str, tools: Sequence[ToolDefinition]) -> tuple[Finding, ...]:
        """See `interfaces.Validation`."""
        if is_quick_to_lint(tools):
            # Short enough for a thread, though it shares the interpreter with the event loop.
            return await anyio.to_thread.run_sync(
                lambda: tuple(finding for tool in tools for finding in lint_tool(plugin, tool))
            )
        body = await anyio.to_thread.run_sync(lambda: marshal.dumps((plugin, [fields_of(tool) for tool in tools])))
        task = Task("lint", body, self._settings.lint_timeout_ms / 1000, _lint_limit)
        ticket = await self._lints.acquire("lint", plugin)
        try:
            answer = await self._attempt(task, disposable=True)
        finally:
            self._lints.release(ticket)
        return tuple(Finding.model_validate(finding) for finding in json.loads(answer))

    def _tool(self, entry: CatalogEntry) -> _Tool:
        tool = self._tools.get(entry)
        if tool is None:
            self._next_key += 1
            tool = self._tools[entry] = _Tool(self._next_key, CheckedTool(entry.definition, quick=True))
        return tool

    async def _check(self, task: Task, caller: str) -> bytes:
        ticket = await self._checks.acquire(caller, "")
        try:
            return await self._attempt(task)
        finally:
            self._checks.release(ticket)

    async def _attempt(self, task: Task, *, disposable: bool = False) -> bytes:
        """Run a task, and again where somebody else ended the process: a task changes nothing, however often it ran."""
        for _ in range(_ATTEMPTS):
            crew = self._workplace.crew
            take = (
                partial(crew.employ_extra, self._profile) if disposable else partial(crew.take, task.key, self._profile)
            )
            worker = await self._workplace.made_ready(take(), take)
            exchange = Exchange(worker)
            try:
                return await exchange.run(task)
            except CallFailed as error:
                if exchange.finished:
                    raise
                if not self._workplace.is_open:
                    raise shutting_down() from error
                if not isinstance(error, NotSentError):
                    await self._require_blameless(worker, task)
            finally:
                (crew.give_back if exchange.finished and not disposable else crew.discard)(worker)
        raise Unavailable("worker_lost", "the process that checks values was ended again and again: try again later")

    async def _require_blameless(self, worker: WorkerProcess, task: Task) -> None:
        """Raise the task's error where the task itself ended the process."""
        await worker.reap()
        if worker.overdue or worker.ran_out_of_cpu_time:
            raise task.too_slow()
        if worker.ran_out_of_memory:
            raise task.limit("takes too much memory")
        if not worker.killed_from_outside:
            raise task.limit("ends the process that does it")


async def _start(worker: WorkerProcess) -> None:
    await Exchange(worker).start()


def _arguments_limit(what: str) -> ToolServerError:
    return InvalidInput(
        "validation_limit",
        f"the arguments cannot be checked: checking them {what}. Send fewer or smaller values, or nest them less.",
    )


def _output_limit(what: str) -> ToolServerError:
    return CallFailed(
        "bad_output",
        f"the plugin's output cannot be checked: checking it {what} (the plugin must answer less, or its output "
        "schema be simplified)",
    )


def _lint_limit(what: str) -> ToolServerError:
    return InvalidInput(
        "validation_limit", f"the plugin's tools cannot be checked: checking them {what}. Simplify their schemas."
    )


def _setup(settings: ValidationSettings, folder: Path) -> WorkerSetup:
    empty = folder / "empty"
    empty.mkdir(mode=0o500)
    # Without `site`, as workers: the folders that this process imports from are all it needs.
    own = str(Path(__file__).absolute().parents[2])
    path = os.pathsep.join(dict.fromkeys((own, *(str(Path(entry).absolute()) for entry in sys.path if entry))))
    environment = {"PYTHONPATH": path, "PYTHONUTF8": "1", "RUST_BACKTRACE": "0"}
    return WorkerSetup(
        folder=empty,
        environment=environment,
        compile_cache=empty,
        memory_bytes=settings.memory,
        compile_memory=settings.memory,
        loaded=settings.kept,
        protections=settings.protections,
        module="tool_server.sandbox.validator",
    )


def _imported_from() -> Profile:
    """The folders that hold the interpreter and its packages: some modules are imported when they are first used."""
    folders = (*(str(Path(entry).absolute()) for entry in sys.path if entry), sys.base_prefix, *_SYSTEM_LIBRARIES)
    own = str(Path(__file__).absolute().parents[2])
    return frozenset((folder, False) for folder in (own, *folders))
