"""What the commands of `extism-registry` share: opening the backend, and reading `NAME@RANGE`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tool_server.cli.backend import Backend, open_backend
from tool_server.cli.context import run_async

T = TypeVar("T")


def with_backend(data_dir: Path | None, work: Callable[[Backend], Awaitable[T]]) -> T:
    """Open the backend in force, do `work` with it, and close it."""

    async def run() -> T:
        async with open_backend(data_dir) as backend:
            return await work(backend)

    return run_async(run)


def split_requirement(text: str) -> tuple[str, str]:
    """Name and range of `NAME`, `NAME@RANGE`, `@scope/NAME` or `@scope/NAME@RANGE`."""
    name, _, requested = text[1:].partition("@")
    return text[:1] + name, requested
