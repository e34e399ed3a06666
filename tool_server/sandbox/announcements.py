"""The host functions by which a plugin tells that its resources, or what it offers, have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tool_server.errors import InvalidInput
from tool_server.inspection import hyper_host
from tool_server.model.call import Call
from tool_server.sandbox.host_calls import Handler, HostCall, HostReply
from tool_server.sandbox.protocol import USER

_NOTHING = HostReply(value=0)


class Announcer(Protocol):
    """Hands on what plugins announce."""

    async def resource_updated(self, call: Call, uri: str) -> None:
        """See `AnnouncementService.resource_updated`."""
        ...

    async def list_changed(self, call: Call, kind: str) -> None:
        """See `AnnouncementService.list_changed`."""
        ...


class AnnouncementFunctions:
    """`notify_resource_updated` and the three `notify_…_list_changed`.

    Args:
        announcer: hands them on; without one they go nowhere.
    """

    def __init__(self, announcer: Announcer | None) -> None:
        self._announcer = announcer

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """For `HostFunctions`."""
        lists = {
            f"notify_{kind}_list_changed": self._list_changed(f"{kind}s") for kind in ("tool", "prompt", "resource")
        }
        named: dict[str, Handler] = {"notify_resource_updated": self._resource_updated, **lists}
        return {(USER, name): handler for name, handler in named.items()}

    async def _resource_updated(self, question: HostCall) -> HostReply:
        if len(question.blocks) != 1:
            raise InvalidInput("invalid_frame", f"{question.name} takes one argument")
        uri = str(hyper_host.resource_updated(question.blocks[0])["uri"])
        # What a plugin holds of a secret must not leave in a URI.
        if self._announcer is not None and question.call.journal.redactor.text(uri) == uri:
            await self._announcer.resource_updated(question.call, uri)
        return _NOTHING

    def _list_changed(self, kind: str) -> Handler:
        async def notify(question: HostCall) -> HostReply:
            if self._announcer is not None:
                await self._announcer.list_changed(question.call, kind)
            return _NOTHING

        return notify
