"""`CallJournal` in mapped files: a record is with the kernel before its call is answered, so `kill -9` loses none.

A record costs a few microseconds: its JSON is copied into a file mapped into memory, whose pages outlive the process.
Nothing is synced to the disk, so a power failure may take the last moments, as it may take the answers. The space is
taken beforehand, by writing zeros: a disk that is full makes taking space fail, and not the copy, which would be a
SIGBUS.

Each process appends to two files of its own in turn, so that one can be emptied as soon as its records are in the
database while the other one fills. It holds locks on them for as long as it lives (flock(2)): files that nobody locks
were left by a process that died, and whoever starts next folds them in.

A file is lines of JSON up to the first zero byte. The first line names the fields, each further one holds the values
of a record.
"""

from __future__ import annotations

import dataclasses
import fcntl
import logging
import mmap
import os
from operator import attrgetter
from pathlib import Path
from typing import cast
from uuid import uuid4

import orjson
from pydantic import TypeAdapter, ValidationError

from tool_server.errors import Unavailable
from tool_server.model.call import CallRecord, Timings

SPACE = 2**18
"""Bytes of a new file: some 700 records. It doubles when they are full."""

_SUFFIX = ".calls"
_TIMINGS = "timings"
_FIELDS = (
    *(field.name for field in dataclasses.fields(CallRecord) if field.name != _TIMINGS),
    *(f"{_TIMINGS}.{field}" for field in Timings._fields),
)
_HEADER = orjson.dumps(_FIELDS) + b"\n"
_values = attrgetter(*_FIELDS)
_records = TypeAdapter(CallRecord)
_log = logging.getLogger(__name__)


class _JournalFile:
    """One file of this process, made and locked at its first record."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._map: mmap.mmap | None = None
        self._space = 0
        self._end = 0

    def append(self, line: bytes) -> None:
        """Write a line.

        Raises:
            OSError: nothing was written.
        """
        # A process that dies in the middle of the copy has acknowledged nothing; what stands behind it then is older
        # than the call log.
        end = self._end + len(line)
        while end >= self._space:
            self._take_space()
            end = self._end + len(line)
        if self._map is not None:
            self._map[self._end : end + 1] = line + b"\0"
        self._end = end

    def empty(self) -> None:
        """Forget what was written."""
        if self._map is not None and self._end > len(_HEADER):
            self._map[len(_HEADER)] = 0
            self._end = len(_HEADER)

    def close(self) -> None:
        """Let go of the file, and remove it where it is empty."""
        if self._descriptor < 0:
            return
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._end <= len(_HEADER):
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1

    def _take_space(self) -> None:
        if self._descriptor < 0:
            self._descriptor = _create(self._path)
        space = 2 * self._space or SPACE
        _write_zeros(self._descriptor, self._space, space)
        mapped = mmap.mmap(self._descriptor, space)
        if self._map is None:
            mapped[: len(_HEADER)] = _HEADER
            self._end = len(_HEADER)
        else:
            self._map.close()
        self._map, self._space = mapped, space


def _create(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Under its own name only once it is locked: nobody may take it for a dead process's.
    unlocked = path.with_suffix(".new")
    descriptor = os.open(unlocked, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write_zeros(descriptor: int, start: int, end: int) -> None:
    while start < end:
        start += os.pwrite(descriptor, bytes(end - start), start)


class FileLeftover:
    """What one process left behind, locked against others who start."""

    def __init__(self, path: Path, descriptor: int, records: tuple[CallRecord, ...]) -> None:
        self._path = path
        self._descriptor = descriptor
        self.records = records

    def discard(self) -> None:
        """See `CallLeftover.discard`."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """See `CallLeftover.release`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FileCallJournal:
    """The `CallJournal` of a folder; no file is made before the first record.

    Args:
        folder: of all processes that share one call log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        name = uuid4().hex
        self._filling = _JournalFile(folder / f"{name}-0{_SUFFIX}")
        self._resting = _JournalFile(folder / f"{name}-1{_SUFFIX}")

    def append(self, record: CallRecord) -> None:
        """See `CallJournal.append`."""
        try:
            self._filling.append(orjson.dumps(_values(record)) + b"\n")
        except OSError as error:
            raise Unavailable(
                "journal_failed", f"the call journal in {self._folder} cannot be written: {error.strerror}"
            ) from error

    def turn(self) -> None:
        """See `CallJournal.turn`."""
        self._filling, self._resting = self._resting, self._filling

    def forget(self) -> None:
        """See `CallJournal.forget`."""
        self._resting.empty()

    def close(self) -> None:
        """See `CallJournal.close`."""
        self._filling.close()
        self._resting.close()

    def leftovers(self) -> tuple[FileLeftover, ...]:
        """See `CallJournal.leftovers`."""
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix == _SUFFIX)
        except OSError:
            return ()
        found = (_leftover(path) for path in paths)
        return tuple(leftover for leftover in found if leftover is not None)


def _leftover(path: Path) -> FileLeftover | None:
    """The records of a file that nobody holds, or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        data = path.read_bytes()
    except OSError:
        os.close(descriptor)
        return None
    return FileLeftover(path, descriptor, _parse(path, data))


def _parse(path: Path, data: bytes) -> tuple[CallRecord, ...]:
    header, *lines = data.partition(b"\0")[0].split(b"\n")
    records: list[CallRecord] = []
    unreadable = 0
    for line in lines:
        if line:
            try:
                records.append(_record(orjson.loads(header), orjson.loads(line)))
            except (orjson.JSONDecodeError, ValidationError, ValueError, TypeError, LookupError):
                unreadable += 1
    if unreadable:
        _log.error("%d lines of the call journal %s cannot be read and are left out", unreadable, path)
    return tuple(records)


def _record(fields: list[str], values: list[object]) -> CallRecord:
    document: dict[str, object] = {_TIMINGS: {}}
    for field, value in zip(fields, values, strict=True):
        parent, dot, name = field.partition(".")
        if dot:
            cast(dict[str, object], document[parent])[name] = value
        else:
            document[field] = value
    return _records.validate_json(orjson.dumps(document))
