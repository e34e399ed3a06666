"""The pool: calls in, outputs out, everything about processes hidden. Implements `interfaces.Sandbox`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self

import anyio

from tool_server.errors import CallFailed, InvalidInput, ToolServerError
from tool_server.model.call import Call, GuestOutput, Probe
from tool_server.model.limits import Limits
from tool_server.model.protection import ProtectionReport
from tool_server.model.release import Program
from tool_server.sandbox.compile_cache import CompileCache
from tool_server.sandbox.compiler import Compiler
from tool_server.sandbox.crew import Crew
from tool_server.sandbox.gate import Bounds, Gate, Ticket, shutting_down
from tool_server.sandbox.host_calls import HostFunctions
from tool_server.sandbox.inspector import Inspector
from tool_server.sandbox.process import NotSentError, WorkerProcess, crash_of
from tool_server.sandbox.programs import Loading, LoadingTable
from tool_server.sandbox.protections import ProtectionCheck
from tool_server.sandbox.session import ArtifactReader, Services, Session
from tool_server.sandbox.settings import NO_FOLDERS, PoolSettings, Profile, WorkerSetup

_INSPECTIONS = 1
"""Compiling may take gigabytes: one module at a time."""


class WorkerPool:
    """Runs calls in worker processes; an async context manager that owns them all.

    No process is started before the first call, unless `warm` is called.

    Args:
        settings: sizes and bounds.
        read_artifact: gives the wasm bytes of a digest.
        host_functions: what guests may ask of the server.
    """

    def __init__(
        self, settings: PoolSettings, read_artifact: ArtifactReader, host_functions: HostFunctions | None = None
    ) -> None:
        self._settings = settings
        self._protections = ProtectionCheck(settings.require)
        self._services = Services(
            read_artifact,
            host_functions or HostFunctions(),
            settings.compile_timeout_ms / 1000,
            self._ensure_compiled,
            self._protections.admit,
        )
        self._cache = CompileCache(settings.compile_cache, settings.cache_bytes)
        self._loadings = LoadingTable(self._cache)
        self._gate = Gate(settings.bounds, settings.queue_timeout_ms / 1000)
        self._inspection_gate = Gate(Bounds(_INSPECTIONS, settings.queue), settings.compile_timeout_ms / 1000)
        self._stack = AsyncExitStack()
        self._crew: Crew | None = None
        self._deaths: Mapping[str, int] = {}
        self._cache_hits = self._cache_misses = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tool-server-"))
            setup = WorkerSetup.prepare(self._settings, Path(folder))
            self._compiler = Compiler(self._cache, self._services)
            crew = Crew(partial(WorkerProcess.spawn, setup), self._settings.workers, self._settings.spares)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(crew.tend)
            tasks.start_soon(crew.watch)
            tasks.start_soon(self._gate.watch)
            stack.push_async_callback(self._shut, crew, tasks.cancel_scope)
            self._crew = crew
            self._deaths = crew.deaths
            self._stack = stack.pop_all()
        if self._protections.required:
            try:
                await self.protections()
            except BaseException:
                await self._stack.aclose()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # Errors of the body pass by the task group, which would wrap them.
        await self._stack.aclose()

    async def _shut(self, crew: Crew, tasks: anyio.CancelScope) -> None:
        tasks.cancel()
        await self._end(crew)

    async def end_calls(self) -> None:
        """End every call, running or waiting, as `shutting_down`, and take no more."""
        if self._crew is not None:
            await self._end(self._crew)

    async def _end(self, crew: Crew) -> None:
        self._crew = None
        self._gate.close()
        self._inspection_gate.close()
        with anyio.CancelScope(shield=True):
            await crew.close()

    def require_ready(self) -> None:
        """Do nothing while calls can be taken.

        Raises:
            Unavailable: `shutting_down`; `worker_start_failed`, the last processes did not start.
        """
        self._open_crew().require_hiring()

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the workers."""
        return self._crew.pids if self._crew else frozenset()

    async def protections(self) -> ProtectionReport:
        """What keeps the workers harmless, starting one to find out if there was none yet.

        Raises:
            Unavailable: `worker_start_failed`; `protection_missing`.
        """
        if (report := self._protections.report) is not None:
            return report
        crew = self._open_crew()
        crew.give_back(await self._ready_worker(crew, 0, NO_FOLDERS))
        return await self.protections()

    @property
    def busy(self) -> int:
        """Workers with a call or an inspection in hand."""
        return self._crew.busy if self._crew else 0

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return self._gate.waiting

    @property
    def deaths(self) -> Mapping[str, int]:
        """Workers that ended, by cause: see `Crew.deaths`."""
        return self._deaths

    @property
    def cache_hits(self) -> int:
        """Calls whose worker held their program already."""
        return self._cache_hits

    @property
    def cache_misses(self) -> int:
        """Calls whose worker had to be given their program first."""
        return self._cache_misses

    async def warm(self) -> None:
        """Start all workers and spares, and wait until one is ready.

        Raises:
            Unavailable: `worker_start_failed`.
        """
        crew = self._open_crew()
        worker = await self._ready_worker(crew, 0, NO_FOLDERS)
        crew.give_back(worker)
        crew.grow()

    async def run(self, call: Call) -> GuestOutput:
        """Run one call in a fresh instance. Cancelling the awaiting task stops the guest.

        Raises:
            CallFailed: see its codes.
            InvalidInput: `input_too_large`.
            Unavailable: `busy`, `shutting_down`, `worker_start_failed`, `folder_unavailable`.
        """
        if len(call.input) > call.limits.input_bytes:
            raise InvalidInput(
                "input_too_large",
                f"the input has {len(call.input)} bytes; at most {call.limits.input_bytes} are accepted",
                {"bytes": len(call.input), "limit": call.limits.input_bytes},
            )
        started = time.monotonic()
        ticket = await self._gate.acquire(call.caller, call.plugin)
        try:
            queued = int((time.monotonic() - started) * 1e6)
            return await self._run_admitted(call, queued, ticket)
        finally:
            self._gate.release(ticket)

    async def inspect(
        self, program: Program, wasm: bytes, probes: Sequence[Probe] = (), limits: Limits | None = None
    ) -> tuple[bytes | ToolServerError, ...]:
        """Compile in a disposable worker, filling the compile cache; in another, run the probes one after another.

        Returns one entry for each probe: its output, or the typed error it ended in.

        Raises:
            InvalidInput: `invalid_wasm`, `compile_limit`.
            Unavailable: `busy`, `worker_start_failed`, `shutting_down`.
        """
        loading = self._loadings.get(program, limits or Limits())
        ticket = await self._inspection_gate.acquire("inspection", program.digest)
        try:
            return await Inspector(self._open_crew(), self._compiler, self._services, loading, wasm).inspect(probes)
        finally:
            self._inspection_gate.release(ticket)

    async def _ensure_compiled(self, loading: Loading, wasm: bytes) -> None:
        if loading.cached.is_ready():
            return
        digest = loading.program.digest
        ticket = await self._inspection_gate.acquire(digest, digest)
        try:
            if not loading.cached.is_ready():
                await self._compiler.compile(self._open_crew(), loading, wasm)
        finally:
            self._inspection_gate.release(ticket)

    async def _run_admitted(self, call: Call, queue_us: int, ticket: Ticket) -> GuestOutput:
        profile = frozenset((folder.host, folder.write) for folder in call.folders)
        while True:  # ends: every round uses up a worker that died idle, and a new one is alive
            crew = self._open_crew()
            loading = self._loadings.get(call.program, call.limits, call.folders)
            worker = await self._ready_worker(crew, loading.key, profile)
            session = Session(worker, self._services)
            try:
                return await session.call(call, loading, queue_us)
            except CallFailed as error:
                if self._crew is None:
                    raise shutting_down() from error
                if isinstance(error, NotSentError) and not session.begun:
                    continue
                if error.code == "worker_lost":
                    raise await crash_of(worker) from error
                raise
            finally:
                self._cache_hits += session.begun and not session.supplied
                self._cache_misses += session.supplied
                # A worker that had to be killed may have said anything before.
                ticket.cpu_s = session.cpu_s if session.finished else None
                (crew.give_back if session.finished else crew.discard)(worker)

    async def _ready_worker(self, crew: Crew, key: int, profile: Profile) -> WorkerProcess:
        while True:  # ends: after a few failed starts the crew refuses for a while
            worker = crew.take(key, profile)
            if worker.ready:
                return worker
            try:
                await Session(worker, self._services).start()
            except CallFailed:
                await worker.reap()
                crew.lost(worker)
            except BaseException:  # cancelled
                crew.discard(worker)
                raise
            else:
                return worker

    def _open_crew(self) -> Crew:
        if self._crew is None:
            raise shutting_down()
        return self._crew
