"""Bearer tokens, anonymous loopback, and what turns either away."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from tool_server.errors import Denied
from tool_server.http_api.authentication import Authentication, caller_of
from tool_server.model.caller import LOCAL, Scope
from tool_server.services.tokens import TokenService
from tool_server.storage.database import open_database
from tool_server.storage.tokens import SqlTokenStore

LOOPBACK = ("127.0.0.1", 40_000)
ELSEWHERE = ("192.0.2.7", 40_000)


@dataclass
class AdjustableClock:
    """Time that moves when a test says so."""

    time: datetime = field(default_factory=lambda: datetime(2026, 11, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.time


@dataclass
class Door:
    """A token service on a real database, and an application behind `Authentication` that names its caller."""

    clock: AdjustableClock
    tokens: TokenService

    def app(self, *, anonymous_loopback: bool = True) -> ASGIApp:
        async def name_caller(request: Request) -> JSONResponse:
            caller = caller_of(request)
            return JSONResponse({"name": caller.name, "scopes": sorted(caller.scopes)})

        async def healthy(request: Request) -> JSONResponse:
            return JSONResponse({"has_caller": hasattr(request.state, "caller")})

        routes = [Route("/", name_caller), Route("/healthz", healthy), Route("/readyz", healthy)]
        return Authentication(Starlette(routes=routes), self.tokens, anonymous_loopback=anonymous_loopback)

    async def get(
        self,
        path: str = "/",
        *,
        peer: tuple[str, int] = ELSEWHERE,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        method: str = "GET",
        anonymous_loopback: bool = True,
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app(anonymous_loopback=anonymous_loopback), client=peer)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, headers=headers)

    async def secret(self, name: str = "ci", *scopes: Scope, lifetime: timedelta | None = None) -> str:
        return (await self.tokens.create(name, scopes or (Scope.READ,), LOCAL, lifetime)).secret


@pytest.fixture
async def door(tmp_path: Path) -> AsyncGenerator[Door]:
    clock = AdjustableClock()
    async with open_database(f"sqlite:///{tmp_path / 'tokens.db'}") as database:
        yield Door(clock, TokenService(SqlTokenStore(database), clock))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def assert_unauthenticated(response: httpx.Response) -> None:
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"].startswith('Bearer realm="tool-server"')
    problem = response.json()
    assert (problem["code"], problem["kind"], problem["status"]) == ("unauthenticated", "denied", 401)
    assert "Authorization: Bearer" in problem["detail"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_token_gives_its_name_and_scopes(door: Door, scheme: str) -> None:
    secret = await door.secret("ci", Scope.PUBLISH, Scope.CALL)
    response = await door.get(headers={"Authorization": f"{scheme} {secret}"})
    assert response.json() == {"name": "ci", "scopes": ["call", "publish"]}


async def test_an_expired_token_is_refused_from_the_very_second(door: Door) -> None:
    secret = await door.secret(lifetime=timedelta(minutes=5))
    door.clock.time += timedelta(minutes=5) - timedelta(milliseconds=1)
    assert (await door.get(headers=bearer(secret))).status_code == 200
    door.clock.time += timedelta(milliseconds=1)
    response = await door.get(headers=bearer(secret))
    assert_unauthenticated(response)
    assert "expired" in response.json()["detail"]


async def test_a_revoked_token_is_refused_at_once(door: Door) -> None:
    secret = await door.secret("ci")
    assert (await door.get(headers=bearer(secret))).status_code == 200
    await door.tokens.revoke("ci", LOCAL)
    response = await door.get(headers=bearer(secret))
    assert_unauthenticated(response)
    assert "revoked" in response.json()["detail"]


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer ts_000000000000_" + "A" * 43,
        "Bearer ts_nonsense",
        "Bearer sk-live-1234",
        "Bearer",
        "Bearer ",
        "",
        "Basic dXNlcjpwYXNz",
        "ts_000000000000_" + "A" * 43,
        "Bearer a b",
        "Bearer " + "x" * 10_000,
    ],
)
async def test_a_bad_credential_is_refused_and_never_falls_back_to_anonymous(door: Door, authorization: str) -> None:
    response = await door.get(peer=LOOPBACK, headers={"Authorization": authorization})
    assert_unauthenticated(response)
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_a_token_with_one_character_changed_is_refused(door: Door) -> None:
    secret = await door.secret()
    changed = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    assert_unauthenticated(await door.get(headers=bearer(changed)))


async def test_two_authorization_headers_are_refused_though_one_is_good(door: Door) -> None:
    secret = await door.secret()
    twice = [("Authorization", f"Bearer {secret}"), ("Authorization", "Bearer other")]
    assert_unauthenticated(await door.get(headers=twice))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
async def test_a_loopback_peer_without_a_token_is_anonymous(door: Door, address: str) -> None:
    response = await door.get(peer=(address, 1))
    assert response.json() == {"name": "anonymous", "scopes": ["call"]}


@pytest.mark.parametrize(
    "address",
    ["192.0.2.7", "10.0.0.1", "0.0.0.0", "::", "2001:db8::1", "fe80::1%lo", "::ffff:192.0.2.7", "", "localhost"],  # noqa: S104
)
async def test_any_other_peer_without_a_token_is_refused(door: Door, address: str) -> None:
    response = await door.get(peer=(address, 1))
    assert_unauthenticated(response)
    assert response.headers["www-authenticate"] == 'Bearer realm="tool-server"'


async def test_a_peer_without_an_address_such_as_a_unix_socket_is_not_loopback(door: Door) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [],
        "client": None,
        "query_string": b"",
    }
    await door.app()(scope, receive, send)
    assert sent[0]["status"] == 401


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "Via",
        "CF-Connecting-IP",
    ],
)
async def test_a_proxy_on_loopback_makes_nobody_anonymous(door: Door, header: str) -> None:
    assert_unauthenticated(await door.get(peer=LOOPBACK, headers={header: "127.0.0.1"}))


async def test_a_token_works_through_a_proxy(door: Door) -> None:
    headers = {**bearer(await door.secret()), "X-Forwarded-For": "192.0.2.7"}
    assert (await door.get(peer=LOOPBACK, headers=headers)).status_code == 200


async def test_the_operator_can_close_anonymous_loopback(door: Door) -> None:
    assert_unauthenticated(await door.get(peer=LOOPBACK, anonymous_loopback=False))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_open_to_everyone_and_knows_no_caller(door: Door, path: str) -> None:
    response = await door.get(path, headers={"Authorization": "Bearer wrong"})
    assert (response.status_code, response.json()) == (200, {"has_caller": False})


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/x", "//healthz", "/HEALTHZ"])
async def test_only_the_exact_health_paths_are_open(door: Door, path: str) -> None:
    assert_unauthenticated(await door.get(path))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
async def test_every_method_needs_a_caller(door: Door, method: str) -> None:
    assert (await door.get(method=method)).status_code == 401


async def test_a_caller_that_the_request_brings_along_is_replaced(door: Door) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope: dict[str, Any] = {
        **{"type": "http", "method": "GET", "path": "/", "headers": [], "client": LOOPBACK, "query_string": b""},
        "state": {"caller": LOCAL, "kept": 1},
    }
    await door.app()(scope, receive, send)
    assert b'"anonymous"' in sent[1]["body"]
    assert scope["state"] == {"caller": LOCAL, "kept": 1}


async def test_websockets_are_turned_away(door: Door) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await door.app()({"type": "websocket", "path": "/", "headers": [], "client": LOOPBACK}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_an_application_without_the_middleware_lets_nobody_in() -> None:
    async def endpoint(request: Request) -> JSONResponse:
        return JSONResponse({"name": caller_of(request).name})

    transport = httpx.ASGITransport(Starlette(routes=[Route("/", endpoint)]), client=LOOPBACK)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        with pytest.raises(Denied, match="not authenticated"):
            await client.get("/")
