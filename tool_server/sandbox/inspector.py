"""Trying out a module in a disposable worker: compile, make an instance, run probes."""

from __future__ import annotations

from collections.abc import Sequence

from tool_server.errors import CallFailed, InvalidInput, ToolServerError, Unavailable
from tool_server.model.call import Call, Probe
from tool_server.model.permission import Permissions
from tool_server.sandbox.crew import Crew
from tool_server.sandbox.outcome import COMPILE_MEMORY
from tool_server.sandbox.process import WorkerProcess, crash_of
from tool_server.sandbox.programs import Loading
from tool_server.sandbox.session import Services, Session


class Inspector:
    """One inspection of one module; no worker survives it.

    Args:
        crew: lends the process and watches its deadline.
        services: for the host calls of probes.
        loading: the program under its limits.
        wasm: the module.
    """

    def __init__(self, crew: Crew, services: Services, loading: Loading, wasm: bytes) -> None:
        self._crew = crew
        self._services = services
        self._loading = loading
        self._wasm = wasm

    async def inspect(self, probes: Sequence[Probe]) -> tuple[bytes | ToolServerError, ...]:
        """See `interfaces.Sandbox.inspect`."""
        outcomes: list[bytes | ToolServerError] = []
        remaining = list(probes)
        while True:
            worker = self._crew.employ_extra()
            try:
                await self._load(worker)
                while remaining:
                    outcome, usable = await self._probe(worker, remaining.pop(0))
                    outcomes.append(outcome)
                    if not usable:
                        break
            finally:
                self._crew.discard(worker)
            if not remaining:
                return tuple(outcomes)

    async def _load(self, worker: WorkerProcess) -> None:
        session = Session(worker, self._services)
        try:
            await session.start()
        except CallFailed as error:
            await worker.reap()
            self._crew.lost(worker)
            raise Unavailable(
                "worker_start_failed", f"the process that compiles did not start: {worker.last_words}"
            ) from error
        try:
            await session.load(self._loading, self._wasm)
        except CallFailed as error:
            raise await self._load_crash(worker) from error

    async def _load_crash(self, worker: WorkerProcess) -> ToolServerError:
        await worker.reap()
        if worker.ran_out_of_memory:
            return InvalidInput("compile_limit", COMPILE_MEMORY)
        if worker.killed_from_outside:
            return Unavailable("worker_lost", "the system killed the process that compiled the module: try again")
        return InvalidInput("invalid_wasm", "the module crashes the engine: it cannot be compiled or started")

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
