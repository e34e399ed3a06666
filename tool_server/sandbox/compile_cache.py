"""Compiled code on disk: a folder for each module, which only the worker that compiles it may write.

The engine loads native code from there, so whoever writes into a module's folder runs code wherever that module is
called. A folder for each module keeps it at that: no compile reaches the code of another one.

    compiled/ENGINE/DIGEST/cache.toml         the engine's settings, naming `code`
    compiled/ENGINE/DIGEST/code/              wasmtime's own cache, written by the compile worker
    compiled/ENGINE/DIGEST/ready[-fuel].json  which files of `code` are to be there, written by the server
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tool_server.errors import Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_MOST_FILES = 64
"""Of one compile; there are two, the module and the runtime's own kernel."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """The compiled code of one module, with fuel counted or not."""

    folder: Path
    with_fuel: bool

    @property
    def settings(self) -> Path:
        """The file that tells the engine where the code is."""
        return self.folder / "cache.toml"

    @property
    def code(self) -> Path:
        """What the compile worker may write."""
        return self.folder / "code"

    @property
    def _marker(self) -> Path:
        return self.folder / ("ready-fuel.json" if self.with_fuel else "ready.json")

    def prepare(self) -> None:
        """Make the folder and the engine's settings.

        Raises:
            Unavailable: `storage_error`.
        """
        try:
            self.code.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory = json.dumps(str(self.code.absolute()), ensure_ascii=False)
            _replace(self.settings, f"[cache]\ndirectory = {directory}\n")
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def is_ready(self) -> bool:
        """Whether all that was compiled is there; takes note of the use."""
        try:
            files: dict[str, int] = json.loads(self._marker.read_bytes())
            whole = (
                bool(files)
                and self.settings.is_file()
                and all(
                    stat.S_ISREG((found := (self.code / name).lstat()).st_mode) and found.st_size == size
                    for name, size in files.items()
                )
            )
        except (OSError, ValueError, AttributeError, TypeError):
            return False
        if whole:
            with suppress(OSError):
                os.utime(self.folder)
        return whole

    def mark_ready(self) -> None:
        """Note down what was compiled.

        Raises:
            Unavailable: `storage_error`; `disk_full`, also where the engine could not write its code.
        """
        try:
            files = dict(self._compiled())
            if not files:
                raise Unavailable(
                    "disk_full", f"the engine could not write compiled code into {self.code}: make room on the disk"
                )
            _replace(self._marker, json.dumps(files))
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def _compiled(self) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for path in sorted(self.code.glob("modules/*/*"))[:_MOST_FILES]:
            state = path.lstat()
            if stat.S_ISREG(state.st_mode) and not path.suffix:
                found.append((str(path.relative_to(self.code)), state.st_size))
        return found


class CompileCache:
    """All entries.

    Args:
        folder: of all engines.
        limit: bytes that may stay.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._engine = engine_identity()

    def entry(self, digest: str, *, with_fuel: bool) -> CacheEntry:
        """The entry of a module, compiled or not."""
        return CacheEntry(self._folder / self._engine / digest, with_fuel)

    def trim(self) -> int:
        """Remove what was used longest ago, also by other versions of the engine; bytes that are left."""
        entries = sorted(
            (path.lstat().st_mtime, _bytes_in(path), path)
            for engine in _folders_in(self._folder)
            for path in _folders_in(engine)
        )
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= self._limit:
                break
            shutil.rmtree(path, ignore_errors=True)
            total -= size
        return total


def engine_identity() -> str:
    """A short name for all that decides whether compiled code can be used: the engine and this processor."""
    parts: list[Any] = [version("extism-sys"), platform.system(), platform.machine(), _processor_features()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _processor_features() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                return line.partition(":")[2].strip()
    return ""


def _replace(file: Path, text: str) -> None:
    """Write a file in one step: workers may be reading it."""
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(text, "utf-8")
    temporary.replace(file)


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _cannot_write(folder: Path, error: OSError) -> Unavailable:
    code = "disk_full" if error.errno in _FULL else "storage_error"
    return Unavailable(code, f"cannot write into the compile cache {folder}: {error.strerror}")
