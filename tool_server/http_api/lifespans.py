"""Running another application's lifespan (ASGI's lifespan protocol, version 2.0) inside one's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from starlette.types import ASGIApp, Message

LIFESPAN_SECONDS = 30.0
"""How long an application may take to start, and to stop."""


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncGenerator[None]:
    """Start `app`, and stop it when the block ends.

    Raises:
        RuntimeError: the application says that it could not.
        TimeoutError: it says nothing in time.
    """
    to_app, from_us = anyio.create_memory_object_stream[Message](2)
    to_us, from_app = anyio.create_memory_object_stream[Message](4)

    async def run() -> None:
        with to_us, from_us:
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, from_us.receive, to_us.send)

    with to_app, from_app:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await to_app.send({"type": "lifespan.startup"})
            await _complete(from_app, "startup")
            yield
            await to_app.send({"type": "lifespan.shutdown"})
            await _complete(from_app, "shutdown")


async def _complete(answers: MemoryObjectReceiveStream[Message], phase: str) -> None:
    with anyio.fail_after(LIFESPAN_SECONDS):
        answer = await answers.receive()
    if answer["type"] != f"lifespan.{phase}.complete":
        raise RuntimeError(f"an application's {phase} failed: {answer.get('message', '')}")
