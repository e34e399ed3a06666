"""The clients of plain requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from tool_server.mcp_api.lane.requests import MODERN
from tool_server.model.client import LOG_LEVELS, ClientAnswer, ClientChannel, ClientRequest, can_be_asked
from tool_server.model.json_value import JsonObject
from tool_server.model.transcript import Transcript


def client_with(capabilities: JsonObject) -> ClientChannel:
    """The client that declared these capabilities."""
    return LaneClient(capabilities) if capabilities else _UNABLE


class LaneClient:
    """A client of 2026-07-28: it can be asked, by calling once more, and wants to be told nothing.

    Args:
        capabilities: what it declared.
    """

    __slots__ = ("_capabilities", "_transcript")

    protocol_version = MODERN
    wants_progress = False

    def __init__(self, capabilities: JsonObject) -> None:
        self._capabilities = capabilities
        self._transcript = Transcript() if can_be_asked(capabilities) else None

    @property
    def capabilities(self) -> JsonObject:
        """See `ClientChannel.capabilities`."""
        return self._capabilities

    @property
    def transcript(self) -> Transcript | None:
        """See `ClientChannel.transcript`."""
        return self._transcript

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer] | None:
        """See `ClientChannel.ask`: it answers by calling once more."""
        return None

    async def tell(self, method: str, params: JsonObject) -> None:
        """See `ClientChannel.tell`."""


_UNABLE = LaneClient({})


class ToldClient:
    """A client of the handshake era on a line of its own, which has no capability by which it could be asked.

    Args:
        notify: sends it a notification.
    """

    wants_progress = False
    transcript = None

    def __init__(self, notify: Callable[[str, JsonObject], Awaitable[None]]) -> None:
        self._notify = notify
        self._level = LOG_LEVELS[0]
        self.protocol_version: str | None = None
        self.capabilities: JsonObject = {}

    def set_level(self, level: object) -> None:
        """The client wants log messages from this level on."""
        if level in LOG_LEVELS:
            self._level = str(level)

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer] | None:
        """See `ClientChannel.ask`. Nobody does, since it declared no capability."""
        return {key: ClientAnswer({}, "this client cannot be asked") for key in requests}

    async def tell(self, method: str, params: JsonObject) -> None:
        """See `ClientChannel.tell`."""
        if method == "notifications/message" and LOG_LEVELS.index(str(params["level"])) >= LOG_LEVELS.index(
            self._level
        ):
            await self._notify(method, params)
