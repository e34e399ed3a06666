"""Trying out a module: compile it in one disposable worker; make an instance and run probes in another."""

from __future__ import annotations

from collections.abc import Sequence

from tool_server.errors import CallFailed, ToolServerError, Unavailable
from tool_server.model.call import Call, Probe
from tool_server.model.permission import Permissions
from tool_server.sandbox.compiler import Compiler, load_crash, start_extra
from tool_server.sandbox.crew import Crew
from tool_server.sandbox.outcome import STORAGE_ERROR
from tool_server.sandbox.process import WorkerProcess, crash_of
from tool_server.sandbox.programs import Loading
from tool_server.sandbox.session import Services, Session


class Inspector:
    """One inspection of one module; no worker survives it.

    The workers that run the module are ordinary ones: they read the compiled code and cannot write any.

    Args:
        crew: lends the processes and watches their deadlines.
        compiler: fills the compile cache first.
        services: for the host calls of probes.
        loading: the program under its limits.
        wasm: the module.
    """

    def __init__(self, crew: Crew, compiler: Compiler, services: Services, loading: Loading, wasm: bytes) -> None:
        self._crew = crew
        self._compiler = compiler
        self._services = services
        self._loading = loading
        self._wasm = wasm

    async def inspect(self, probes: Sequence[Probe]) -> tuple[bytes | ToolServerError, ...]:
        """See `interfaces.Sandbox.inspect`."""
        outcomes: list[bytes | ToolServerError] = []
        remaining = list(probes)
        another = False
        worker = self._crew.employ_extra()  # starts while the other one compiles
        try:
            await self._compiler.compile(self._crew, self._loading, self._wasm)
            try:
                await self._probe_all(worker, remaining, outcomes)
            except Unavailable as error:
                if error.code != STORAGE_ERROR:
                    raise
                another = True  # it started before the cache was made anew, and does not see it
        finally:
            self._crew.discard(worker)
        while another or remaining:
            another = False
            worker = self._crew.employ_extra()
            try:
                await self._probe_all(worker, remaining, outcomes)
            finally:
                self._crew.discard(worker)
        return tuple(outcomes)

    async def _probe_all(
        self, worker: WorkerProcess, remaining: list[Probe], outcomes: list[bytes | ToolServerError]
    ) -> None:
        """Load, then run probes as long as the worker is fit for it."""
        await self._load(worker)
        while remaining:
            outcome, usable = await self._probe(worker, remaining.pop(0))
            outcomes.append(outcome)
            if not usable:
                return

    async def _load(self, worker: WorkerProcess) -> None:
        session = Session(worker, self._services)
        await start_extra(self._crew, worker, session)
        try:
            await session.load(self._loading, self._wasm)
        except CallFailed as error:
            raise await load_crash(worker) from error

    async def _probe(self, worker: WorkerProcess, probe: Probe) -> tuple[bytes | ToolServerError, bool]:
        """What the probe gave, and whether the worker may be used again."""
        digest = self._loading.program.digest
        call = Call(
            id=f"inspect-{digest[:12]}",
            tool=probe.export,
            plugin=digest[:12],
            caller="inspection",
            program=self._loading.program,
            permissions=Permissions(),
            limits=self._loading.limits,
            export=probe.export,
            input=probe.input,
        )
        session = Session(worker, self._services)
        try:
            return (await session.call(call, self._loading)).data, True
        except CallFailed as error:
            return (await crash_of(worker) if error.code == "worker_lost" else error), session.finished
