"""What the pool is built with, and how a worker's process is set up."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tool_server.config import Config
from tool_server.errors import Unavailable
from tool_server.model.protection import Protection
from tool_server.sandbox.accounts import NO_BOUNDS, Allowance
from tool_server.sandbox.admission import Bounds

_ENGINE_MEMORY = 640 * 2**20
"""Bytes that interpreter, engine, instances made ready, input and output may take beside the guest."""


Profile = frozenset[tuple[str, bool]]
"""What a worker is started for: host folders, absolute, each with whether it may be written to."""

NO_FOLDERS: Profile = frozenset()


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Sizes and bounds of a pool. Times are milliseconds."""

    workers: int
    """Calls that run at once."""
    spares: int
    """Started processes beyond those at work."""
    compile_cache: Path
    queue: int = 1_000
    queue_timeout_ms: int = 60_000
    compile_timeout_ms: int = 120_000
    compile_memory: int = 2 * 2**30
    """Private memory a worker may have while it compiles, bytes."""
    reserve: int = 0
    """Calls beyond `workers`, see `Bounds`."""
    caller: Allowance = NO_BOUNDS
    plugin: Allowance = NO_BOUNDS
    call_memory: int = 256 * 2**20
    """The most linear memory that any call may ask for, bytes."""
    loaded: int = 32
    """Compiled plugins that each worker keeps."""
    cache_bytes: int = 4 * 2**30
    """Compiled code that is kept on disk, the least recently used going first."""
    protections: tuple[Protection, ...] = tuple(Protection)
    """Which of a worker's protections are tried."""
    require: tuple[Protection, ...] = ()
    """Without which nothing is run."""

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The pool that a configuration asks for."""
        limits, sandbox = config.limits, config.sandbox
        return cls(
            workers=config.workers,
            spares=config.spare_workers,
            compile_cache=config.compile_cache,
            queue=limits.queue,
            queue_timeout_ms=limits.queue_timeout,
            compile_timeout_ms=limits.compile_timeout,
            compile_memory=limits.compile_memory,
            reserve=limits.reserve,
            caller=_allowance(limits.caller_calls, limits.caller_queue, limits.caller_cpu),
            plugin=_allowance(limits.plugin_calls, limits.plugin_queue, limits.plugin_cpu),
            call_memory=limits.memory,
            cache_bytes=sandbox.cache,
            protections=sandbox.protections,
            require=sandbox.require,
        )

    @property
    def bounds(self) -> Bounds:
        """Of the gate that calls pass."""
        return Bounds(self.workers, self.queue, self.reserve, self.caller, self.plugin)


def _allowance(calls: int | None, queue: int | None, cpu_ms: int | None) -> Allowance:
    return Allowance(calls, queue, None if cpu_ms is None else cpu_ms / 1000)


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """How every worker of a pool is started.

    Args:
        folder: empty, the worker's working folder.
        environment: all of it; the worker drops it once it has its imports.
        compile_cache: what every worker may read.
        memory_bytes: the most private memory it may ever have.
        compile_memory: the most while it compiles.
        loaded: compiled plugins it keeps.
        protections: which it tries.
        module: what it runs.
    """

    folder: Path
    environment: dict[str, str]
    compile_cache: Path
    memory_bytes: int
    compile_memory: int
    loaded: int
    protections: tuple[Protection, ...]
    module: str = "tool_server.sandbox.worker"

    @classmethod
    def prepare(cls, settings: PoolSettings, folder: Path) -> Self:
        """Make the worker's working folder and the compile cache.

        Raises:
            Unavailable: `storage_error`, the compile cache cannot be made.
        """
        empty = folder / "empty"
        try:
            settings.compile_cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            empty.mkdir(mode=0o500)
        except OSError as error:
            raise Unavailable(
                "storage_error", f"cannot prepare the compile cache {settings.compile_cache}: {error.strerror}"
            ) from error
        environment = {
            "PYTHONPATH": os.pathsep.join(_import_path()),
            "PYTHONUTF8": "1",
            "RUST_BACKTRACE": "0",
        }
        memory_bytes = max(settings.compile_memory, 2 * settings.call_memory + _ENGINE_MEMORY)
        return cls(
            folder=empty,
            environment=environment,
            compile_cache=settings.compile_cache,
            memory_bytes=memory_bytes,
            compile_memory=settings.compile_memory,
            loaded=settings.loaded,
            protections=settings.protections,
        )

    def argument(self, channel: int, shared: int | None, parent: int, profile: Profile) -> str:
        """The worker's one argument, as JSON: see `worker.main`."""
        return json.dumps(
            {
                "channel": channel,
                "shared": shared,
                "parent": parent,
                "memory_bytes": self.memory_bytes,
                "compile_memory": self.compile_memory,
                "loaded": self.loaded,
                "protections": self.protections,
                "read_folders": [
                    str(self.compile_cache.absolute()),
                    *sorted(folder for folder, write in profile if not write),
                ],
                "write_folders": sorted(folder for folder, write in profile if write),
            }
        )


def _import_path() -> list[str]:
    """The folders a worker imports from: it starts without `site`, which reads every .pth file."""
    folders = [str(Path(__file__).absolute().parents[2])]
    for name in ("extism_sys", "cffi", "_cffi_backend", "orjson"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            folders.append(str(origin.parent.parent if spec.submodule_search_locations else origin.parent))
    return list(dict.fromkeys(folders))
