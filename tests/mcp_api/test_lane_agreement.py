"""The fast lane against the SDK of the same process: equal requests, equal answers, equal records."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message

from tests.mcp_api.lane_requests import BODY_LIMIT, Sent, Tokens, generate, mutations, plain
from tests.services.publishing import SUM, offer
from tests.support.guests import compile_c, guest
from tests.support.plugins import TRIAL_SOURCE, TRIAL_TOOLS
from tool_server.bootstrap.http import HttpApplication, http_application
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.http_api.lifespans import lifespan_of
from tool_server.model.caller import LOCAL, Scope
from tool_server.model.view import View, ViewMode

REQUESTS = 21_000
BATCH = 250
HEADED: dict[str, Any] = {
    "description": "Adds, one number also in a header.",
    "input": {
        "type": "object",
        "properties": {"a": {"type": "integer", "x-mcp-header": "a"}, "b": {"type": "integer"}},
    },
    "output": SUM,
}


VIEWED = 600
VIEWS = {
    "search": View(mode=ViewMode.SEARCH),
    "one tool": View(tools=("trial_add",)),
    "a plugin with headers": View(plugins=("headed",)),
    "search in one plugin": View(mode=ViewMode.SEARCH, plugins=("trial",)),
    "nothing": View(plugins=("none",)),
}
SEARCH_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("search_tools", {"query": "add two integers"}),
    ("search_tools", {"query": "", "limit": 3, "plugin": "trial"}),
    ("search_tools", {"query": 1, "further": []}),
    ("describe_tool", {"name": "trial_add"}),
    ("describe_tool", {"name": "headed_add"}),
    ("call_tool", {"name": "trial_add", "arguments": {"a": 1, "b": 2}}),
    ("call_tool", {"name": "trial_image", "arguments": {}}),
    ("call_tool", {"name": "headed_add", "arguments": {"a": 1, "b": 2}}),
    ("call_tool", {"name": "unknown", "arguments": {}}),
    ("headed_add", {"a": 1, "b": 2}),
    ("trial_add", {"a": 1, "b": 2}),
]


@dataclass
class Both:
    """The two ways into one server."""

    services: Services
    lane: HttpApplication
    sdk: HttpApplication
    tokens: Tokens


@pytest.fixture
async def both(tmp_path: Path) -> AsyncGenerator[Both]:
    settings: dict[str, Any] = {"workers": 1, "spare_workers": 0, "limits": {"input": BODY_LIMIT}}
    config = Config.model_validate({"data_dir": tmp_path / "data", **settings})
    async with build(config, environment={}) as services:
        trial = compile_c(f"{TRIAL_SOURCE}\nEXPORT(trap) {{ __builtin_trap(); }}")
        await offer(services, "trial", wasm=trial, tools=TRIAL_TOOLS)
        await offer(services, "headed", wasm=guest("add"), tools={"add": HEADED})
        tokens = await make_tokens(services)
        lane, sdk = http_application(services, port=8000), http_application(services, port=8000, lane=False)
        async with lifespan_of(lane.app), lifespan_of(sdk.app):
            yield Both(services, lane, sdk, tokens)


async def make_tokens(services: Services) -> Tokens:
    """Tokens that are good, and those that are not."""

    async def made(name: str, scope: Scope, lifetime: timedelta | None = None) -> str:
        return (await services.tokens.create(name, [scope], LOCAL, lifetime)).secret

    good, revoked = await made("good", Scope.CALL), await made("revoked", Scope.CALL)
    await services.tokens.revoke("revoked", LOCAL)
    brief = await made("brief", Scope.CALL, timedelta(seconds=1))
    reader = await made("reader", Scope.READ)
    await anyio.sleep(1.1)  # the shortest life of a token, which ends by the real clock alone
    return {
        "good": f"Bearer {good}",
        "odd case": f"bEARER  {good} ",
        "reader": f"Bearer {reader}",
        "publisher": f"Bearer {await made('publisher', Scope.PUBLISH)}",
        "admin": f"Bearer {await made('admin', Scope.ADMIN)}",
        "revoked": f"Bearer {revoked}",
        "expired": f"Bearer {brief}",
        "unknown": "Bearer ts_000000000000_" + "a" * 43,
        "garbage": "Bearer x",
        "basic": "Basic eDp5",
        "empty": "",
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, as far as it must be equal."""

    status: int | None
    headers: dict[bytes, bytes]
    body: object


async def ask(app: ASGIApp, sent: Sent) -> Answer:
    """The answer of an ASGI application."""
    incoming = messages_of(sent)
    outgoing: list[Message] = []

    async def receive() -> Message:
        if incoming:
            return incoming.pop(0)
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        outgoing.append(message)

    scope = {
        "type": "http", "method": sent.method, "path": sent.path, "raw_path": sent.path.encode(), "query_string": b"",
        "headers": sent.complete_headers(), "client": sent.client, "server": ("127.0.0.1", 8000), "scheme": "http",
        "http_version": "1.1", "asgi": {"version": "3.0"}, "root_path": "", "state": {},
    }  # fmt: skip
    with anyio.fail_after(30):
        await app(scope, receive, send)
    if not outgoing:
        return Answer(None, {}, None)
    body = b"".join(message.get("body", b"") for message in outgoing[1:])
    headers = {name: value for name, value in outgoing[0]["headers"] if name != b"content-length"}
    return Answer(outgoing[0]["status"], headers, parsed(body))


def messages_of(sent: Sent) -> list[Message]:
    """The body as the server hands it on."""
    body, starts = sent.encoded(), [0, *sent.cuts]
    pieces = [body[start:end] for start, end in zip(starts, [*sent.cuts, len(body)], strict=True)]
    parts: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": index + 1 < len(pieces)}
        for index, piece in enumerate(pieces)
    ]
    if sent.leaves_after is not None:
        return [*parts[: sent.leaves_after], {"type": "http.disconnect"}, {"type": "http.disconnect"}]
    return parts


def parsed(body: bytes) -> object:
    """JSON where it is that; its spelling need not be equal."""
    try:
        return json.loads(body)
    except ValueError:
        return body


async def records(services: Services, count: int) -> list[object]:
    """What the newest records say about arguments, results and outcomes, oldest first."""
    await services.recorder.flush()
    kept = await services.call_log.recent(count) if count else ()
    return [
        (record.tool, record.caller, record.arguments_hash, record.arguments_bytes, record.result_hash, record.outcome,
         record.error)
        for record in reversed(kept)
    ]  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", VIEWS)
async def test_the_lane_answers_as_the_sdk_does_in_a_view(both: Both, name: str) -> None:
    token = (await both.services.tokens.create("viewer", [Scope.CALL], LOCAL, view=VIEWS[name])).secret
    rng, available = random.Random(name), mutations(both.tokens)  # noqa: S311
    lane = both.lane.mcp.lane
    assert lane is not None
    for number in range(VIEWED):
        sent = generate(rng, available)
        sent.set_header("authorization", f"Bearer {token}")
        if rng.random() < 0.5:
            tool, arguments = rng.choice(SEARCH_CALLS)
            sent.params().update({"name": tool, "arguments": arguments})
            sent.set_header("mcp-name", tool)
        answer, expected = await ask(both.lane.app, sent), await ask(both.sdk.app, sent)
        assert answer == expected, (number, sent)
    assert lane.answered > 5


LIST_BODIES: list[dict[str, Any]] = [
    {},
    {"params": {}},
    {"params": None},
    {"params": []},
    {"params": {"cursor": "dHJpYWxfYWRk"}},
    {"params": {"cursor": ""}},
    {"params": {"cursor": None}},
    {"params": {"cursor": "x"}},
    {"params": {"cursor": 5}},
    {"params": {"_meta": {}}},
    {"params": {"_meta": {"progressToken": 1}}},
    {"params": {"further": 1}},
    {"id": "one"},
    {"id": None},
    {"id": 1.5},
    {"id": True},
    {"jsonrpc": "1.0"},
    {"further": 1},
    {"method": "tools/call", "params": {"name": "trial_words", "arguments": {"text": "a b"}}},
    {"method": "prompts/list"},
    {"method": "ping"},
]
LIST_HEADERS: list[dict[str, str]] = [
    {},
    {"mcp-session-id": "0" * 32},
    {"mcp-method": "tools/list"},
    {"mcp-name": "x"},
    {"accept": "application/json"},
    {"accept": "text/event-stream"},
    {"content-type": "text/plain"},
    {"origin": "http://evil.example"},
    {"host": "evil.example"},
    {"x-other": "1"},
]


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2025-01-01", ""])
async def test_the_lane_lists_tools_in_the_handshake_era_as_the_sdk_does(both: Both, version: str) -> None:
    lane = both.lane.mcp.lane
    assert lane is not None
    rng = random.Random(version)  # noqa: S311
    tokens = [both.tokens[name] for name in ("good", "reader", "revoked", "unknown", "garbage")]
    for headers in LIST_HEADERS:
        for changes in LIST_BODIES:
            sent = plain(rng)
            for name in ("mcp-method", "mcp-name"):
                sent.set_header(name, None)
            sent.set_header("mcp-protocol-version", version)
            sent.set_header("authorization", rng.choice(tokens[:1] * 4 + tokens))
            for name, value in headers.items():
                sent.set_header(name, value)
            sent.body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", **changes}
            answer, expected = await ask(both.lane.app, sent), await ask(both.sdk.app, sent)
            assert answer == expected, sent
    assert (lane.answered >= 5) == (version in HANDSHAKE_PROTOCOL_VERSIONS)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_lane_answers_and_records_as_the_sdk_does(
    both: Both, record_property: Callable[[str, object], None]
) -> None:
    rng, available = random.Random(20_261_122), mutations(both.tokens)  # noqa: S311
    seen: Counter[str] = Counter()
    lane = both.lane.mcp.lane
    assert lane is not None
    for start in range(0, REQUESTS, BATCH):
        requests = [generate(rng, available) for _ in range(BATCH)]
        before = await both.services.call_log.count()
        answers = [await ask(both.lane.app, sent) for sent in requests]
        await both.services.recorder.flush()
        made = await both.services.call_log.count() - before
        by_lane = await records(both.services, made)
        for index, (sent, answer) in enumerate(zip(requests, answers, strict=True)):
            expected = await ask(both.sdk.app, sent)
            assert answer == expected, (start + index, sent)
            seen[str(expected.status)] += 1
            seen.update(sent.changes)
        assert await records(both.services, made) == by_lane, start
    share = lane.answered / REQUESTS
    assert 0.25 < share < 0.75, (share, seen)
    assert all(seen[name] > 100 for name in available), seen
    assert {"200", "400", "401", "404", "405", "406", "413", "421", "403", "None"} <= seen.keys(), seen
    record_property("requests", REQUESTS)
    record_property("answered by the lane", lane.answered)
