"""The composed application: health, lifespans, MCP beside REST, and bodies that never arrive."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.http_api.registry import Registry, assert_problem
from tool_server.errors import Unavailable
from tool_server.http_api import requests, routes_health
from tool_server.http_api.app import RegistryServices, compose, registry_app
from tool_server.http_api.lifespans import lifespan_of


def rest_services(registry: Registry) -> RegistryServices:
    services = registry.services
    return RegistryServices(
        publish=services.publish,
        install=services.install,
        grants=services.grants,
        browse=services.browse,
        catalog=services.catalog,
        invoke=services.invoke,
        tokens=services.tokens,
        secrets=services.secrets,
        call_log=services.call_log,
        ready=services.plugins.revision,
        version="1.2.3",
        wasm_bytes=1_000,
        body_bytes=1_000,
    )


async def get(app: ASGIApp, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:1") as client:
        return await client.get(path)


async def test_health_and_readiness_need_no_token_and_no_host(registry: Registry) -> None:
    async with registry.client(Host="10.0.0.1:80", **{"X-Forwarded-For": "192.0.2.1"}) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}


async def database_gone() -> object:
    raise Unavailable("database_error", "the password of the database is hunter2")


@pytest.mark.parametrize("ready", [database_gone, anyio.sleep_forever], ids=["failing", "silent"])
async def test_a_server_that_cannot_serve_says_so_and_keeps_the_reason_for_its_log(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ready: object
) -> None:
    monkeypatch.setattr(routes_health, "READY_SECONDS", 0.05)
    app = registry_app(replace(rest_services(registry), ready=ready))  # pyright: ignore[reportArgumentType]
    with caplog.at_level(logging.WARNING), anyio.fail_after(10):
        response = await get(app, "/readyz")
    assert_problem(response, 503, "not_ready")
    assert response.headers["retry-after"] == "5"
    assert "hunter2" not in response.text
    assert "hunter2" in caplog.text or "no answer within" in caplog.text
    assert (await get(app, "/healthz")).status_code == 200


async def test_a_body_that_does_not_arrive_is_given_up(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.05)
    host, port = registry.url.removeprefix("http://").split(":")
    with anyio.fail_after(20):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            head = f"POST /api/v1/tools/x/call HTTP/1.1\r\nHost: {host}:{port}\r\n"
            await stream.send(f"{head}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{".encode())
            answer = await stream.receive()
    assert b" 408 " in answer
    assert b"request_timeout" in answer


async def test_mcp_answers_beside_the_rest_api_under_the_same_token(registry: Registry) -> None:
    message: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    async with registry.client("call", **headers) as client:
        response = await client.post("/mcp", json=message)
        assert response.status_code == 200, response.text
        assert '"tools"' in response.text
        assert_problem(await client.post("/mcp/below", json=message), 404, "unknown_path")


async def test_an_application_without_authentication_lets_nobody_in(registry: Registry) -> None:
    app = registry_app(rest_services(registry))
    assert_problem(await get(app, "/api/v1/whoami"), 401, "unauthenticated")
    assert_problem(await get(app, "/api/v1/tools"), 401, "unauthenticated")


class Recording:
    """An application that writes down its lifespan."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.app = Starlette(lifespan=self._living)

    @asynccontextmanager
    async def _living(self, app: Starlette) -> AsyncGenerator[None]:
        self.events.append("started")
        yield
        self.events.append("stopped")


def composed(registry: Registry, mcp: ASGIApp, events: list[str], *, everywhere: bool = False) -> ASGIApp:
    @asynccontextmanager
    async def living() -> AsyncGenerator[None]:
        events.append("own started")
        yield
        events.append("own stopped")

    return compose(
        rest_services(registry),
        mcp=mcp,
        allowed_hosts=["127.0.0.1:*"],
        allowed_origins=[],
        anonymous_loopback=False,
        anonymous_everywhere=everywhere,
        lifespan=living,
    )


async def test_the_lifespan_of_mcp_runs_inside_the_applications_own(registry: Registry) -> None:
    recording = Recording()
    async with lifespan_of(composed(registry, recording.app, recording.events)):
        assert recording.events == ["started", "own started"]
    assert recording.events == ["started", "own started", "own stopped", "stopped"]


@pytest.mark.parametrize(("everywhere", "status"), [(True, 200), (False, 401)])
async def test_insecure_lets_everybody_be_anonymous(registry: Registry, everywhere: bool, status: int) -> None:
    recording = Recording()
    app = composed(registry, recording.app, recording.events, everywhere=everywhere)
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
        assert (await client.get("/api/v1/tools")).status_code == status
        assert (await client.get("/api/v1/tokens")).status_code == (403 if everywhere else 401)


async def test_an_application_that_cannot_start_is_an_error_and_not_a_hang() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no disk"})

    with anyio.fail_after(10), pytest.raises(ExceptionGroup) as caught:
        async with lifespan_of(failing):
            await checkpoint()
    assert caught.group_contains(RuntimeError, match="startup failed: no disk")
