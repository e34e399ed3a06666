"""The pool: calls in, outputs out, everything about processes hidden. Implements `interfaces.Sandbox`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol, Self

from tool_server.errors import CallFailed, InvalidInput, ToolServerError, Unavailable
from tool_server.model.call import Call, GuestOutput, Probe
from tool_server.model.limits import Limits
from tool_server.model.nesting import CallTree
from tool_server.model.protection import ProtectionReport
from tool_server.model.release import Program
from tool_server.sandbox.compile_cache import CompileCache
from tool_server.sandbox.compiler import Compiler
from tool_server.sandbox.crew import Crew
from tool_server.sandbox.gate import Bounds, Gate, shutting_down
from tool_server.sandbox.host_calls import HostFunctions
from tool_server.sandbox.inspector import Inspector
from tool_server.sandbox.nesting import Nesting
from tool_server.sandbox.outcome import STORAGE_ERROR
from tool_server.sandbox.process import NotSentError, WorkerProcess, crash_of
from tool_server.sandbox.programs import Loading, LoadingTable
from tool_server.sandbox.protections import ProtectionCheck
from tool_server.sandbox.session import ArtifactReader, Services, Session
from tool_server.sandbox.settings import NO_FOLDERS, PoolSettings, WorkerSetup
from tool_server.sandbox.workplace import Workplace

_INSPECTIONS = 1
"""Compiling may take gigabytes: one module at a time."""


class _Admitted(Protocol):
    """What says that a call may run."""

    @property
    def entered_at(self) -> float:
        """When it began to wait, monotonic seconds."""
        ...

    cpu_s: float | None
    """Set to what the call says to have used, seconds."""


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
        self._nesting = Nesting(settings.workers + settings.reserve)
        self._inspection_gate = Gate(Bounds(_INSPECTIONS, settings.queue), settings.compile_timeout_ms / 1000)
        self._compiler = Compiler(self._cache, self._services)
        self._workplace = Workplace(
            partial(WorkerSetup.prepare, settings),
            settings.workers,
            settings.spares,
            (self._gate, self._inspection_gate),
            self._start,
        )
        self._deaths: Mapping[str, int] = {}
        self._cache_hits = self._cache_misses = 0

    async def __aenter__(self) -> Self:
        await self._workplace.__aenter__()
        self._deaths = self._workplace.crew.deaths
        if self._protections.required:
            try:
                await self.protections()
            except BaseException:
                await self._workplace.__aexit__()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._nesting.close()
        await self._workplace.__aexit__()

    async def end_calls(self) -> None:
        """End every call, running or waiting, as `shutting_down`, and take no more."""
        self._nesting.close()
        await self._workplace.end()

    def require_ready(self) -> None:
        """Do nothing while calls can be taken.

        Raises:
            Unavailable: `shutting_down`; `worker_start_failed`, the last processes did not start.
        """
        self._workplace.crew.require_hiring()

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the workers."""
        return self._workplace.pids

    async def protections(self) -> ProtectionReport:
        """What keeps the workers harmless, starting one to find out if there was none yet.

        Raises:
            Unavailable: `worker_start_failed`; `protection_missing`.
        """
        if (report := self._protections.report) is not None:
            return report
        await self._start_one()
        return await self.protections()

    @property
    def busy(self) -> int:
        """Workers with a call or an inspection in hand."""
        return self._workplace.busy

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
        await self._start_one()
        self._workplace.crew.grow()

    async def run(self, call: Call) -> GuestOutput:
        """Run one call in a fresh instance. Cancelling the awaiting task stops the guest.

        Raises:
            CallFailed: see its codes.
            InvalidInput: `input_too_large`.
            Unavailable: `busy`, `shutting_down`, `worker_start_failed`, `folder_unavailable`, `storage_error`.
        """
        if len(call.input) > call.limits.input_bytes:
            raise InvalidInput(
                "input_too_large",
                f"the input has {len(call.input)} bytes; at most {call.limits.input_bytes} are accepted",
                {"bytes": len(call.input), "limit": call.limits.input_bytes},
            )
        if call.parent is not None:
            return await self._run_nested(call, call.parent.tree)
        ticket = await self._gate.acquire(call.caller, call.plugin)
        try:
            output = await self._run_admitted(call, ticket)
        finally:
            if (tree := call.journal.tree) is not None and ticket.cpu_s is not None:
                ticket.cpu_s += tree.cpu_s
            others = self._gate.release(ticket)
        if others:
            # The next call is on its way to the worker before anything is made of this one's output.
            await asyncio.sleep(0)
        return output

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
            return await Inspector(self._workplace.crew, self._compiler, self._services, loading, wasm).inspect(probes)
        finally:
            self._inspection_gate.release(ticket)

    async def _ensure_compiled(self, loading: Loading, wasm: bytes) -> None:
        if loading.cached.is_ready():
            return
        digest = loading.program.digest
        ticket = await self._inspection_gate.acquire(digest, digest)
        try:
            if not loading.cached.is_ready():
                await self._compiler.compile(self._workplace.crew, loading, wasm)
        finally:
            self._inspection_gate.release(ticket)

    async def _run_nested(self, call: Call, tree: CallTree) -> GuestOutput:
        """Run a call that another one waits for: not in the queue, in which that one could wait for itself."""
        try:
            async with self._nesting.place(tree, call.caller) as place:
                return await self._run_admitted(call, place)
        finally:
            if self._workplace.is_open:
                self._workplace.crew.dismiss_surplus()

    async def _run_admitted(self, call: Call, ticket: _Admitted) -> GuestOutput:
        loading = self._loadings.get(call.program, call.limits, call.folders)
        profile = frozenset((folder.host, folder.write) for folder in call.folders) if call.folders else NO_FOLDERS
        queued_us = int((time.monotonic() - ticket.entered_at) * 1e6)
        renewed = False
        while True:  # ends: every round uses up a worker that died idle, and a new one is alive
            crew = self._workplace.crew
            worker = crew.take(loading.key, profile)
            if not worker.ready:
                worker = await self._workplace.made_ready(worker, partial(crew.take, loading.key, profile))
            session = Session(worker, self._services)
            try:
                return await session.call(call, loading, queued_us)
            except CallFailed as error:
                if not self._workplace.is_open:
                    raise shutting_down() from error
                if isinstance(error, NotSentError) and not session.begun:
                    continue
                if error.code == "worker_lost":
                    raise await crash_of(worker) from error
                raise
            except Unavailable as error:
                if error.code != STORAGE_ERROR or renewed:
                    raise
                renewed = True
                crew.renew()
            finally:
                self._part(crew, worker, session, ticket)

    def _part(self, crew: Crew, worker: WorkerProcess, session: Session, ticket: _Admitted) -> None:
        """Count an exchange that is over, and let go of its worker."""
        if session.supplied:
            self._cache_misses += 1
        elif session.begun:
            self._cache_hits += 1
        if session.finished:
            ticket.cpu_s = session.cpu_s
            crew.give_back(worker)
        else:  # a worker that had to be killed may have said anything before
            crew.discard(worker)

    async def _start(self, worker: WorkerProcess) -> None:
        await Session(worker, self._services).start()

    async def _start_one(self) -> None:
        crew = self._workplace.crew
        take = partial(crew.take, 0)
        crew.give_back(await self._workplace.made_ready(take(), take))
