"""What plugins announce, on its way through the host functions."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.test_hyper_functions import make_call
from tool_server.errors import InvalidInput
from tool_server.model.call import Call
from tool_server.sandbox.announcements import AnnouncementFunctions
from tool_server.sandbox.host_calls import HostCall, HostReply
from tool_server.sandbox.protocol import USER


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    async def resource_updated(self, call: Call, uri: str) -> None:
        self.heard.append((call.plugin, uri))

    async def list_changed(self, call: Call, kind: str) -> None:
        self.heard.append((call.plugin, kind))


async def announce(listener: Listener | None, call: Call, name: str, *blocks: bytes) -> HostReply:
    handlers = AnnouncementFunctions(listener).handlers()
    return await handlers[USER, name](HostCall(call, USER, name, (0,) * len(blocks), blocks))


async def test_announcements_name_their_plugin() -> None:
    listener, call = Listener(), make_call()
    await announce(listener, call, "notify_resource_updated", b'{"uri":"a:b"}')
    for kind in ("tool", "prompt", "resource"):
        await announce(listener, call, f"notify_{kind}_list_changed")
    assert [what for _, what in listener.heard] == ["a:b", "tools", "prompts", "resources"]
    assert {plugin for plugin, _ in listener.heard} == {call.plugin}


async def test_a_secret_does_not_leave_in_a_uri() -> None:
    listener, call = Listener(), make_call()
    call.journal.redactor.add("key", "s3cret-value")
    await announce(listener, call, "notify_resource_updated", json.dumps({"uri": "a:s3cret-value"}).encode())
    assert listener.heard == []


@pytest.mark.parametrize("block", [b"", b"{}", b"[]", b'{"uri":1}', b'"a:b"', b"\xff"])
async def test_what_names_no_resource_ends_the_call(block: bytes) -> None:
    with pytest.raises(InvalidInput):
        await announce(Listener(), make_call(), "notify_resource_updated", block)


async def test_where_nobody_listens_announcing_is_no_error() -> None:
    assert (await announce(None, make_call(), "notify_resource_updated", b'{"uri":"a:b"}')).value == 0
    assert (await announce(None, make_call(), "notify_tool_list_changed")).value == 0
