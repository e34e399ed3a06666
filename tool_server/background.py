"""Work beside other work."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio

Result = TypeVar("Result")


@asynccontextmanager
async def background(work: Callable[[], Coroutine[Any, Any, object]]) -> AsyncGenerator[None]:
    """Run `work` beside the block and cancel it when the block ends.

    What the block raises comes out as it is, and not wrapped into the group of a task group. What `work` raises
    cancels the block and comes out as an exception group.
    """
    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - handed on below, outside of the group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def unless(
    gone: Callable[[], Coroutine[Any, Any, object]], work: Callable[[], Awaitable[Result]]
) -> Result | None:
    """Await `work()`, and cancel it when `gone()` returns first; then the result is None.

    What `work` raises comes out as it is, and not wrapped into the group of a task group.
    """
    results: list[Result] = []
    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            await gone()
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        try:
            results.append(await work())
        except Exception as error:  # noqa: BLE001 - handed on below, outside of the group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return results[0] if results else None
