"""Programs that the storage tests run as real processes, and how they are run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]


def command(program: str, *arguments: str) -> list[str]:
    """The command line of a module of this package."""
    return [sys.executable, "-m", f"{__name__}.{program}", *arguments]


@contextmanager
def running(program: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    """A module of this package as a process with text pipes, killed at the end if it still runs."""
    process = subprocess.Popen(
        command(program, *arguments), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen[str], line: str = "") -> None:
    """Write one line to the process."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def receive(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints; empty at its end."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rest(process: subprocess.Popen[str]) -> list[str]:
    """The complete lines that are still to come, until the process ends."""
    assert process.stdout is not None
    return [line.strip() for line in process.stdout if line.endswith("\n")]
