"""Ending work whose client has gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from tool_server.background import unless

Result = TypeVar("Result")


async def while_connected(request: Request, work: Callable[[], Awaitable[Result]]) -> Result:
    """Await `work()`, and cancel it when the client hangs up. The request's body must have been read.

    Raises:
        ClientDisconnect: the client has gone; nobody waits for an answer.
    """

    async def hang_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    result = await unless(hang_up, work)
    if result is None:
        raise ClientDisconnect
    return result
