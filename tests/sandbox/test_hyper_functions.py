"""What reaches the client of a call, and the bounds of what a guest may hold."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from tool_server.errors import Denied, InvalidInput, Unavailable
from tool_server.model.call import MAX_SECRET_READS, Call
from tool_server.model.json_value import JsonObject
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.model.secret import Secret, SecretRecord
from tool_server.sandbox.guest_secrets import GuestSecrets
from tool_server.sandbox.host_calls import HostCall, HostReply
from tool_server.sandbox.hyper_functions import MAX_LINES, HyperFunctions
from tool_server.sandbox.protocol import USER

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Listener:
    """A client that answers everything alike and keeps what it heard."""

    def __init__(self, answer: JsonObject | Unavailable) -> None:
        self.heard: list[tuple[str, JsonObject, float | None]] = []
        self._answer = answer

    async def ask(self, call: Call, method: str, params: JsonObject, timeout_s: float | None = None) -> JsonObject:
        self.heard.append((method, params, timeout_s))
        if isinstance(self._answer, Unavailable):
            raise self._answer
        return self._answer

    async def tell(self, call: Call, method: str, params: JsonObject) -> None:
        self.heard.append((method, params, None))


def make_call(*, reuse: bool = False) -> Call:
    return Call(
        id="call-1",
        tool="p_t",
        plugin="p",
        caller="ada",
        program=Program(digest="0" * 64, size=1),
        permissions=Permissions(secrets=("a.b",)),
        limits=Limits(),
        export="call",
        input=b"",
        reuse=reuse,
    )


async def read_secret(name: str) -> Secret:
    return Secret(SecretRecord(name=name, created_at=NOW, updated_at=NOW), "the-secret")


async def ask(client: Listener, call: Call, name: str, *blocks: object) -> HostReply:
    handlers = HyperFunctions(GuestSecrets(read_secret), client).handlers()
    encoded = tuple(json.dumps(block).encode() for block in blocks)
    return await handlers[USER, name](HostCall(call, USER, name, (0,) * len(encoded), encoded))


async def test_questions_reach_the_client_in_mcps_terms_and_its_answer_the_guest() -> None:
    client, call = Listener({"action": "accept"}), make_call()
    schema: Any = {"type": "object", "properties": {"when": {"type": "string", "format": "date_time"}}}
    reply = await ask(
        client, call, "create_elicitation", {"message": "When?", "requestedSchema": schema, "timeout": 2.5}
    )
    await ask(client, call, "create_message", {"messages": [], "maxTokens": 3, "systemPrompt": None})
    await ask(client, call, "list_roots")
    assert json.loads(reply.data) == {"action": "accept"}
    schema["properties"]["when"]["format"] = "date-time"
    assert client.heard == [
        ("elicitation/create", {"mode": "form", "message": "When?", "requestedSchema": schema}, 2.5),
        ("sampling/createMessage", {"messages": [], "maxTokens": 3}, None),
        ("roots/list", {}, None),
    ]


async def test_notices_reach_the_client_in_mcps_terms() -> None:
    client, call = Listener({}), make_call()
    await ask(client, call, "notify_progress", {"progressToken": 4, "progress": 1, "total": None})
    await ask(client, call, "notify_logging_message", {"level": "info", "data": None})
    await ask(client, call, "notify_url_elicitation_completed", {"elicitationId": "7"})
    assert [(method, params) for method, params, _ in client.heard] == [
        ("notifications/progress", {"progressToken": 4, "progress": 1}),
        ("notifications/message", {"level": "info", "data": None}),
        ("notifications/elicitation/complete", {"elicitationId": "7"}),
    ]


async def test_a_secret_that_the_guest_holds_does_not_reach_the_client() -> None:
    client, call = Listener({}), make_call()
    reply = await ask(client, call, "get_keyring_secret", {"service": "a", "user": "b"})
    assert reply.data == b"the-secret"
    await ask(client, call, "notify_logging_message", {"level": "info", "data": {"the-secret": ["the-secret!"]}})
    await ask(client, call, "create_message", {"messages": [{"role": "user", "content": "the-secret"}], "maxTokens": 1})
    assert "the-secret" not in str(client.heard)
    assert str(client.heard).count("[secret a.b]") == 3


async def test_an_error_that_is_not_about_the_client_ends_the_call() -> None:
    client = Listener(Unavailable("shutting_down", "the server ends"))
    with pytest.raises(Unavailable, match="the server ends"):
        await ask(client, make_call(), "list_roots")


async def test_log_messages_beyond_the_bound_are_dropped_after_saying_so(caplog: pytest.LogCaptureFixture) -> None:
    client, call = Listener({}), make_call()
    with caplog.at_level(logging.DEBUG, logger="tool_server.guest"):
        for number in range(MAX_LINES + 5):
            await ask(client, call, "notify_logging_message", {"level": "info", "data": number})
    assert len(client.heard) == len(caplog.records) == MAX_LINES
    assert caplog.records[-2].getMessage() == str(MAX_LINES - 2)
    assert "no further one is kept" in caplog.records[-1].getMessage()


async def test_a_kept_instance_gets_no_secret() -> None:
    call = make_call(reuse=True)
    assert (await ask(Listener({}), call, "get_keyring_secret", {"service": "a", "user": "b"})).data == b""
    assert [read.outcome for read in call.journal.secret_reads] == ["kept_instance"]


async def test_a_call_that_asks_for_secret_after_secret_is_ended() -> None:
    client, call = Listener({}), make_call()
    for number in range(MAX_SECRET_READS):
        await ask(client, call, "get_keyring_secret", {"service": "a", "user": f"u{number}"})
    with pytest.raises(Denied) as caught:
        await ask(client, call, "get_keyring_secret", {"service": "a", "user": "b"})
    assert caught.value.code == "too_many_secret_reads"
    assert len(call.journal.secret_reads) == MAX_SECRET_READS


async def test_an_argument_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(InvalidInput, match="at most 1048576 bytes"):
        await ask(Listener({}), make_call(), "notify_url_elicitation_completed", {"elicitationId": "a" * 2**20})
