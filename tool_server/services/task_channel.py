"""The client of a task: it is asked by what `tasks/get` shows, and answers when it wants to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio

from tool_server.errors import Unavailable
from tool_server.model.client import ClientAnswer, ClientRequest, can_be_asked
from tool_server.model.json_value import JsonObject
from tool_server.model.task import Task, TaskStatus
from tool_server.model.transcript import Transcript


class TaskChannel:
    """A `ClientChannel`. Its owner calls `wake` when the stored task may have changed.

    Args:
        capabilities: what the client declared.
        ask: stores the questions.
        read: gives the task as it is now.
        give_up: takes the questions back.
        patience_seconds: how long one round of answers may take.
        transcript: of what the call did before it became a task.
    """

    wants_progress = False
    """Tasks have no progress (`notifications/progress` may not be sent for one)."""
    protocol_version = "2026-07-28"
    """The one that has tasks."""

    def __init__(
        self,
        capabilities: JsonObject,
        ask: Callable[[Mapping[str, ClientRequest]], Awaitable[None]],
        read: Callable[[], Awaitable[Task]],
        give_up: Callable[[], Awaitable[object]],
        patience_seconds: float,
        transcript: Transcript | None = None,
    ) -> None:
        self.transcript = (transcript or Transcript()) if can_be_asked(capabilities) else None
        self._capabilities = capabilities
        self._ask = ask
        self._read = read
        self._give_up = give_up
        self._patience_seconds = patience_seconds
        self._round = 0
        self._stirred = anyio.Event()

    @property
    def capabilities(self) -> JsonObject:
        """See `ClientChannel.capabilities`."""
        return self._capabilities

    def wake(self) -> None:
        """Have a waiting `ask` look at the task again."""
        self._stirred.set()

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer]:
        """See `ClientChannel.ask`. The answers come by `tasks/update`, in parts if the client likes.

        Raises:
            Unavailable: `client_did_not_answer`.
        """
        self._round += 1
        # The same key must not mean two questions of one task, whoever chose it.
        keys = {f"{self._round}-{key}": key for key in requests}
        self._stirred = anyio.Event()
        await self._ask({shown: requests[key] for shown, key in keys.items()})
        with anyio.move_on_after(self._patience_seconds):
            while True:
                await self._stirred.wait()
                self._stirred = anyio.Event()
                task = await self._read()
                if task.status is not TaskStatus.INPUT_REQUIRED:
                    return {key: task.answers[shown] for shown, key in keys.items()}
        await self._give_up()
        raise Unavailable(
            "client_did_not_answer",
            f"nobody answered what the tool asks within {self._patience_seconds:g} s: call it again",
        )

    async def tell(self, method: str, params: JsonObject) -> None:
        """See `ClientChannel.tell`. Nobody listens."""
