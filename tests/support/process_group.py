"""A process with all its children, whose lines can be waited for and which never outlives its test."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pytest

READER_SECONDS = 30


class ProcessGroup:
    """A command in a process group of its own, and what it has said so far. Made by `process_group`."""

    def __init__(self, command: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._said: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(cast(IO[str], stream), lines))
            for stream, lines in ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, words: str, seconds: float) -> str:
        """Wait until a line on either stream holds these words; returns the line."""
        deadline = time.monotonic() + seconds
        while True:
            lines = [*self.stdout, *self.stderr]
            for line in lines:
                if words in line:
                    return line
            reading = any(reader.is_alive() for reader in self._readers)
            try:
                self._said.get(timeout=max(0.0, deadline - time.monotonic()) if reading else 0)
            except queue.Empty:
                pytest.fail(f"no {words!r} within {seconds} s in:\n{''.join(lines)[-4_000:]}", pytrace=False)

    def send(self, number: signal.Signals, *, to_all: bool = False) -> None:
        """Send a signal to the process, or to its whole group as a terminal does."""
        if to_all:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def ended(self, seconds: float) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(READER_SECONDS)
        return code

    def is_gone_within(self, seconds: float) -> bool:
        """Wait until no process of the group is left; whether that came in time."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line)
                self._said.put(None)
        self._said.put(None)


@contextmanager
def process_group(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> Generator[ProcessGroup]:
    """Run a command; whatever is left of its group at the end is killed."""
    group = ProcessGroup(command, cwd, env)
    try:
        yield group
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group.process.pid, signal.SIGKILL)
        group.ended(READER_SECONDS)
