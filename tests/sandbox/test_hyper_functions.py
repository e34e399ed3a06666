"""What reaches the client of a call, and the bounds of what a guest may hold."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tool_server.errors import Denied, InvalidInput, Unavailable
from tool_server.model.call import MAX_SECRET_READS, Call
from tool_server.model.client import ClientAnswer, ClientRequest, NoClient
from tool_server.model.json_value import JsonObject
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.model.secret import Secret, SecretRecord
from tool_server.model.transcript import Suspended, Transcript, give_answers, open_requests
from tool_server.sandbox.guest_secrets import GuestSecrets
from tool_server.sandbox.host_calls import HostCall, HostReply
from tool_server.sandbox.hyper_functions import MAX_LINES, HyperFunctions
from tool_server.sandbox.protocol import USER

NOW = datetime(2026, 1, 1, tzinfo=UTC)


ALL: JsonObject = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}


class Listener(NoClient):
    """A client that answers everything alike and keeps what it heard."""

    def __init__(self, answer: ClientAnswer, capabilities: JsonObject = ALL) -> None:
        self.heard: list[tuple[str, JsonObject, float | None]] = []
        self._answer = answer
        self._capabilities = capabilities

    @property
    def capabilities(self) -> JsonObject:
        return self._capabilities

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer]:
        self.heard += [(request.method, request.params, request.timeout_s) for request in requests.values()]
        return dict.fromkeys(requests, self._answer)

    async def tell(self, method: str, params: JsonObject) -> None:
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
    """Call a host function as a guest does that is run again until its client has answered."""
    handler = HyperFunctions(GuestSecrets(read_secret)).handlers()[USER, name]
    encoded = tuple(json.dumps(block).encode() for block in blocks)
    call = replace(call, client=client)
    transcript = call.journal.transcript = Transcript()
    question = HostCall(call, USER, name, (0,) * len(encoded), encoded)
    question = replace(question, entry=transcript.next(name, question.digest))
    try:
        return await handler(question)
    except Suspended:
        give_answers(transcript, await client.ask(open_requests(transcript)))
        return await handler(question)


async def test_questions_reach_the_client_in_mcps_terms_and_its_answer_the_guest() -> None:
    client, call = Listener(ClientAnswer({"action": "accept"})), make_call()
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
    client, call = Listener(ClientAnswer({})), make_call()
    await ask(client, call, "notify_progress", {"progressToken": 4, "progress": 1, "total": None})
    await ask(client, call, "notify_logging_message", {"level": "info", "data": None})
    await ask(client, call, "notify_url_elicitation_completed", {"elicitationId": "7"})
    assert [(method, params) for method, params, _ in client.heard] == [
        ("notifications/progress", {"progressToken": 4, "progress": 1}),
        ("notifications/message", {"level": "info", "data": None}),
        ("notifications/elicitation/complete", {"elicitationId": "7"}),
    ]


async def test_a_secret_that_the_guest_holds_does_not_reach_the_client() -> None:
    client, call = Listener(ClientAnswer({})), make_call()
    reply = await ask(client, call, "get_keyring_secret", {"service": "a", "user": "b"})
    assert reply.data == b"the-secret"
    await ask(client, call, "notify_logging_message", {"level": "info", "data": {"the-secret": ["the-secret!"]}})
    await ask(client, call, "create_message", {"messages": [{"role": "user", "content": "the-secret"}], "maxTokens": 1})
    assert "the-secret" not in str(client.heard)
    assert str(client.heard).count("[secret a.b]") == 3


async def test_a_client_that_refuses_fails_the_question() -> None:
    client = Listener(ClientAnswer({}, "the user is away"))
    with pytest.raises(Unavailable, match="the user is away"):
        await ask(client, make_call(), "list_roots")


async def test_a_client_without_the_capability_is_not_asked_and_the_guest_gets_what_its_own_host_says() -> None:
    client = Listener(ClientAnswer({}), {"elicitation": {}})
    form: Any = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
    url: Any = {"mode": "url", "message": "?", "url": "https://example.com", "elicitationId": "1"}
    assert json.loads((await ask(client, make_call(), "create_elicitation", url)).data)["action"] == "decline"
    message = json.loads((await ask(client, make_call(), "create_message", {"messages": [], "maxTokens": 1})).data)
    assert message["stopReason"] == "error"
    assert json.loads((await ask(client, make_call(), "list_roots")).data) == {"roots": []}
    assert client.heard == []
    await ask(client, make_call(), "create_elicitation", form)
    assert [method for method, _, _ in client.heard] == ["elicitation/create"]


async def test_log_messages_beyond_the_bound_are_dropped_after_saying_so(caplog: pytest.LogCaptureFixture) -> None:
    client, call = Listener(ClientAnswer({})), make_call()
    with caplog.at_level(logging.DEBUG, logger="tool_server.guest"):
        for number in range(MAX_LINES + 5):
            await ask(client, call, "notify_logging_message", {"level": "info", "data": number})
    assert len(client.heard) == len(caplog.records) == MAX_LINES
    assert caplog.records[-2].getMessage() == str(MAX_LINES - 2)
    assert "no further one is kept" in caplog.records[-1].getMessage()


async def test_a_kept_instance_gets_no_secret() -> None:
    call = make_call(reuse=True)
    assert (
        await ask(Listener(ClientAnswer({})), call, "get_keyring_secret", {"service": "a", "user": "b"})
    ).data == b""
    assert [read.outcome for read in call.journal.secret_reads] == ["kept_instance"]


async def test_a_call_that_asks_for_secret_after_secret_is_ended() -> None:
    client, call = Listener(ClientAnswer({})), make_call()
    for number in range(MAX_SECRET_READS):
        await ask(client, call, "get_keyring_secret", {"service": "a", "user": f"u{number}"})
    with pytest.raises(Denied) as caught:
        await ask(client, call, "get_keyring_secret", {"service": "a", "user": "b"})
    assert caught.value.code == "too_many_secret_reads"
    assert len(call.journal.secret_reads) == MAX_SECRET_READS


async def test_an_argument_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(InvalidInput, match="at most 1048576 bytes"):
        await ask(
            Listener(ClientAnswer({})), make_call(), "notify_url_elicitation_completed", {"elicitationId": "a" * 2**20}
        )
