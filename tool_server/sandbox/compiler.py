"""Compiling in disposable workers, which alone may write compiled code and never run a guest."""

from __future__ import annotations

import anyio.to_thread

from tool_server.errors import CallFailed, InvalidInput, ToolServerError, Unavailable
from tool_server.sandbox.compile_cache import CompileCache
from tool_server.sandbox.crew import Crew
from tool_server.sandbox.outcome import COMPILE_MEMORY
from tool_server.sandbox.process import WorkerProcess
from tool_server.sandbox.programs import Loading
from tool_server.sandbox.session import Services, Session

_TRIM_EVERY = 64
"""Compiles between two looks at how much there is."""


class Compiler:
    """Fills the compile cache. One module at a time: whoever calls sees to that.

    Args:
        cache: of compiled code.
        services: for the exchange with the workers.
    """

    def __init__(self, cache: CompileCache, services: Services) -> None:
        self._cache = cache
        self._services = services
        self._compiles = 0

    async def compile(self, crew: Crew, loading: Loading, wasm: bytes) -> None:
        """Compile a module and note that its code is there. No process stays.

        Raises:
            InvalidInput: `invalid_wasm`, `compile_limit`.
            Unavailable: `worker_start_failed`, `storage_error`, `disk_full`, `shutting_down`.
        """
        try:
            await self._compile(crew, loading, wasm)
        except Unavailable:
            if await anyio.to_thread.run_sync(loading.cached.settings.is_file):
                raise
            # Somebody emptied the cache meanwhile, which may be done at any time.
            await self._compile(crew, loading, wasm)
        if self._compiles % _TRIM_EVERY == 0:
            await anyio.to_thread.run_sync(self._cache.trim)
        self._compiles += 1

    async def _compile(self, crew: Crew, loading: Loading, wasm: bytes) -> None:
        entry = loading.cached
        await anyio.to_thread.run_sync(entry.prepare)
        worker = crew.employ_extra(frozenset({(str(entry.code.absolute()), True)}))
        try:
            session = Session(worker, self._services)
            await start_extra(crew, worker, session)
            try:
                await session.compile(loading, wasm)
            except CallFailed as error:
                raise await load_crash(worker) from error
        finally:
            crew.discard(worker)
        await anyio.to_thread.run_sync(entry.mark_ready)


async def start_extra(crew: Crew, worker: WorkerProcess, session: Session) -> None:
    """Wait until a worker beyond the crew's size is ready.

    Raises:
        Unavailable: `worker_start_failed`, `protection_missing`.
    """
    try:
        await session.start()
    except CallFailed as error:
        await worker.reap()
        crew.lost(worker)
        raise Unavailable(
            "worker_start_failed", f"the process that compiles did not start: {worker.last_words}"
        ) from error


async def load_crash(worker: WorkerProcess) -> ToolServerError:
    """Why a worker went away while it compiled or tried out a module."""
    await worker.reap()
    if worker.ran_out_of_memory:
        return InvalidInput("compile_limit", COMPILE_MEMORY)
    if worker.killed_from_outside:
        return Unavailable("worker_lost", "the system killed the process that compiled the module: try again")
    return InvalidInput("invalid_wasm", "the module crashes the engine: it cannot be compiled or started")
