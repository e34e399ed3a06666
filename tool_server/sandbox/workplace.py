"""A crew of worker processes and the gates before it, opened and shut together."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self

import anyio

from tool_server.errors import CallFailed
from tool_server.sandbox.crew import Crew
from tool_server.sandbox.gate import Gate, shutting_down
from tool_server.sandbox.process import WorkerProcess
from tool_server.sandbox.settings import WorkerSetup


class Workplace:
    """An async context manager that owns a crew, its folder and its gates. No process is started on entry.

    Args:
        prepare: how workers are started, made from an empty folder of their own.
        workers: see `Crew`.
        spares: see `Crew`.
        gates: what work passes; they are watched while the workplace is open.
        start: waits until a new worker is ready; raises `CallFailed` where it does not start.
    """

    def __init__(
        self,
        prepare: Callable[[Path], WorkerSetup],
        workers: int,
        spares: int,
        gates: Sequence[Gate],
        start: Callable[[WorkerProcess], Awaitable[None]],
    ) -> None:
        self._prepare = prepare
        self._workers = workers
        self._spares = spares
        self._gates = gates
        self._start = start
        self._stack = AsyncExitStack()
        self._crew: Crew | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tool-server-"))
            setup = self._prepare(Path(folder))
            crew = Crew(partial(WorkerProcess.spawn, setup), self._workers, self._spares)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for task in (crew.tend, crew.watch, *(gate.watch for gate in self._gates)):
                tasks.start_soon(task)
            stack.push_async_callback(self._shut, tasks.cancel_scope)
            self._crew = crew
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        # Errors of the body pass by the task group, which would wrap them.
        await self._stack.aclose()

    async def _shut(self, tasks: anyio.CancelScope) -> None:
        tasks.cancel()
        await self.end()

    async def end(self) -> None:
        """End everything that runs or waits, as `shutting_down`, and take no more."""
        crew, self._crew = self._crew, None
        if crew is None:
            return
        for gate in self._gates:
            gate.close()
        with anyio.CancelScope(shield=True):
            await crew.close()

    @property
    def is_open(self) -> bool:
        """Whether work is taken."""
        return self._crew is not None

    @property
    def crew(self) -> Crew:
        """The workers.

        Raises:
            Unavailable: `shutting_down`.
        """
        if self._crew is None:
            raise shutting_down()
        return self._crew

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the workers."""
        return self._crew.pids if self._crew else frozenset()

    @property
    def busy(self) -> int:
        """Workers with something in hand."""
        return self._crew.busy if self._crew else 0

    async def made_ready(self, worker: WorkerProcess, another: Callable[[], WorkerProcess]) -> WorkerProcess:
        """A worker that is ready: this one once it has started, or others in its place.

        Raises:
            Unavailable: `worker_start_failed`, `shutting_down`.
        """
        crew = self.crew
        while not worker.ready:  # ends: after a few failed starts the crew refuses for a while
            try:
                await self._start(worker)
            except CallFailed:
                await worker.reap()
                crew.lost(worker)
                worker = another()
            except BaseException:  # cancelled
                crew.discard(worker)
                raise
        return worker
