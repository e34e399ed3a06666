"""What a worker is told to compile, with a short key for each distinct way of doing it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tool_server.model.folder_permission import Folder
from tool_server.model.limits import WASM_PAGE, Limits
from tool_server.model.release import Program
from tool_server.sandbox.compile_cache import CacheEntry, CompileCache

_REMEMBERED = 4_096


@dataclass(slots=True, eq=False)
class Loading:
    """A program under certain limits, with the folders it may use."""

    key: int
    program: Program
    limits: Limits
    folders: tuple[Folder, ...]
    cached: CacheEntry
    """Where its compiled code is."""
    prepare: bool = True
    """Whether workers may start it ahead of its calls: not after one that may have done so died idle."""

    def header(self, *, instantiate: bool = False) -> dict[str, Any]:
        """Of a LOAD frame. With `instantiate` the worker also makes one instance, as a trial."""
        limits = self.limits
        return {
            "key": self.key,
            "wasi": self.program.wasi,
            "pages": limits.memory_bytes // WASM_PAGE,
            "timeout_ms": limits.timeout_ms,
            "fuel": limits.fuel,
            "imports": [[i.module, i.name, i.params, i.results] for i in self.program.imports],
            "folders": [[folder.host, folder.guest, folder.write] for folder in self.folders],
            "instantiate": instantiate,
            "cache": str(self.cached.settings),
            # Extism makes a second instance while the first is still there (256 MiB of initial memory took 512);
            # input and output are held by the guest, by the engine and by Python.
            "memory": 2 * limits.memory_bytes + 3 * (limits.input_bytes + limits.output_bytes),
        }


class LoadingTable:
    """Gives equal loadings equal keys; keys are never used again.

    What is compiled depends on the module, memory, time, fuel and folders. Other permissions are no part of it: they
    are decided in the server at each host call, so one compiled plugin serves callers with different grants.

    Args:
        cache: where compiled code is kept.
    """

    def __init__(self, cache: CompileCache) -> None:
        self._cache = cache
        self._loadings: OrderedDict[tuple[object, ...], Loading] = OrderedDict()
        self._next = 0

    def get(self, program: Program, limits: Limits, folders: tuple[Folder, ...] = ()) -> Loading:
        """The loading of a program under these limits and with these folders."""
        key = (
            *(program.digest, program.wasi, limits.memory_bytes, limits.timeout_ms, limits.fuel),
            *(limits.input_bytes, limits.output_bytes, folders),
        )
        loading = self._loadings.get(key)
        if loading is None:
            self._next += 1
            cached = self._cache.entry(program.digest, with_fuel=limits.fuel is not None)
            loading = self._loadings[key] = Loading(self._next, program, limits, folders, cached)
            if len(self._loadings) > _REMEMBERED:
                self._loadings.popitem(last=False)
        return loading
