"""Host and Origin validation, held against the MCP SDK's own."""

from __future__ import annotations

import httpx
import pytest
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tool_server.http_api.host_guard import HostGuard

HOSTS = ["127.0.0.1:*", "localhost:8000", "[::1]:*", "tools.example.com"]
ORIGINS = ["http://127.0.0.1:*", "https://tools.example.com"]

HOST_CASES = [
    ("127.0.0.1:8000", True),
    ("127.0.0.1:1", True),
    ("127.0.0.1", False),
    ("localhost:8000", True),
    ("localhost:8001", False),
    ("[::1]:9", True),
    ("tools.example.com", True),
    ("tools.example.com:443", False),
    ("evil.example.com", False),
    ("127.0.0.1.evil.example.com:8000", False),
    ("evil.example.com:127.0.0.1", False),
]
ORIGIN_CASES = [
    ("", True),
    ("http://127.0.0.1:8000", True),
    ("http://127.0.0.1", False),
    ("https://127.0.0.1:8000", False),
    ("https://tools.example.com", True),
    ("https://tools.example.com.evil.example", False),
    ("null", False),
    ("http://evil.example.com", False),
]


def guarded() -> ASGIApp:
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    app = Starlette(routes=[Route(path, endpoint, methods=["GET", "POST"]) for path in ("/", "/healthz", "/readyz")])
    return HostGuard(app, allowed_hosts=HOSTS, allowed_origins=ORIGINS)


async def ask(headers: list[tuple[str, str]], path: str = "/", method: str = "GET") -> httpx.Response:
    transport = httpx.ASGITransport(guarded())
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        request = client.build_request(method, path)
        request.headers = httpx.Headers(headers, encoding="latin-1")
        return await client.send(request)


async def sdk_admits(host: str, origin: str) -> bool:
    settings = TransportSecuritySettings(allowed_hosts=HOSTS, allowed_origins=ORIGINS)
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    request = Request({"type": "http", "method": "GET", "path": "/mcp", "headers": headers})
    return await TransportSecurityMiddleware(settings).validate_request(request) is None


@pytest.mark.parametrize(("host", "admitted"), HOST_CASES)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_foreign_host_is_misdirected_exactly_as_at_the_mcp_endpoint(
    host: str, admitted: bool, method: str
) -> None:
    response = await ask([("Host", host)], method=method)
    assert (response.status_code == 200) == admitted == await sdk_admits(host, "")
    if not admitted:
        assert response.status_code == 421
        assert response.json()["code"] == "misdirected_host"
        assert "allowed_hosts" in response.json()["detail"]


@pytest.mark.parametrize(("origin", "admitted"), ORIGIN_CASES)
async def test_a_foreign_origin_is_refused_exactly_as_at_the_mcp_endpoint(origin: str, admitted: bool) -> None:
    response = await ask([("Host", "127.0.0.1:8000"), ("Origin", origin)])
    assert (response.status_code == 200) == admitted == await sdk_admits("127.0.0.1:8000", origin)
    if not admitted:
        assert response.status_code == 403
        assert response.json()["code"] == "origin_not_allowed"


@pytest.mark.parametrize("host", ["127.0.0.1:evil", "127.0.0.1:", "127.0.0.1:80@evil", "127.0.0.1:\u00b2"])
async def test_a_port_that_is_no_number_is_no_port(host: str) -> None:
    assert (await ask([("Host", host)])).status_code == 421


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1:8000", "evil.example.com"], ["127.0.0.1:8000", "127.0.0.1:8000"]])
async def test_exactly_one_host_header_is_needed(hosts: list[str]) -> None:
    assert (await ask([("Host", host) for host in hosts])).status_code == 421


async def test_one_foreign_origin_among_several_is_enough_to_refuse() -> None:
    headers = [("Host", "127.0.0.1:8000"), ("Origin", "http://127.0.0.1:8000"), ("Origin", "http://evil.example.com")]
    assert (await ask(headers)).status_code == 403


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_answers_to_any_host(path: str) -> None:
    assert (await ask([("Host", "10.1.2.3:8000")], path)).status_code == 200
