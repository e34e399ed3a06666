"""What the pool is built with, and how a worker's process is set up."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tool_server.config import Config
from tool_server.errors import Unavailable
from tool_server.sandbox.accounts import NO_BOUNDS, Allowance
from tool_server.sandbox.admission import Bounds

_ENGINE_MEMORY = 512 * 2**20
"""Bytes that interpreter, engine, input and output may take beside the guest."""


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

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The pool that a configuration asks for."""
        limits = config.limits
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
        environment: all of it.
        memory_bytes: the most private memory it may ever have.
        compile_memory: the most while it compiles.
        loaded: compiled plugins it keeps.
    """

    folder: Path
    environment: dict[str, str]
    memory_bytes: int
    compile_memory: int
    loaded: int

    @classmethod
    def prepare(cls, settings: PoolSettings, folder: Path) -> Self:
        """Make the private folders and the engine's cache settings.

        Raises:
            Unavailable: `storage_error`, the compile cache cannot be made.
        """
        empty, cache_settings = folder / "empty", folder / "cache.toml"
        try:
            settings.compile_cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            empty.mkdir(mode=0o500)
            cache_settings.write_text(
                f"[cache]\ndirectory = {_toml_string(settings.compile_cache)}\n", encoding="utf-8"
            )
        except OSError as error:
            raise Unavailable(
                "storage_error", f"cannot prepare the compile cache {settings.compile_cache}: {error.strerror}"
            ) from error
        environment = {
            "PYTHONPATH": os.pathsep.join(_import_path()),
            "PYTHONUTF8": "1",
            "RUST_BACKTRACE": "0",
            "EXTISM_CACHE_CONFIG": str(cache_settings),
        }
        memory_bytes = max(settings.compile_memory, 2 * settings.call_memory + _ENGINE_MEMORY)
        return cls(empty, environment, memory_bytes, settings.compile_memory, settings.loaded)


def _toml_string(path: Path) -> str:
    escaped = str(path.absolute()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _import_path() -> list[str]:
    """The folders a worker imports from: it starts without `site`, which reads every .pth file."""
    folders = [str(Path(__file__).absolute().parents[2])]
    for name in ("extism_sys", "cffi", "_cffi_backend", "orjson"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            folders.append(str(origin.parent.parent if spec.submodule_search_locations else origin.parent))
    return list(dict.fromkeys(folders))
