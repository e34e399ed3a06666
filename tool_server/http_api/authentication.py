"""Who calls: bearer tokens (RFC 6750), or nobody in particular over loopback."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tool_server.errors import Denied, ToolServerError
from tool_server.http_api.problems import CHALLENGE, problem_response
from tool_server.model.caller import ANONYMOUS, Caller
from tool_server.services.tokens import TokenService

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Asked by machines that hold no token and know no host name."""

PROXY_HEADERS = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip", b"fly-client-ip"}
)
"""Signs, besides `PROXY_PREFIXES`, that a loopback peer is a proxy and the real client somewhere else."""

PROXY_PREFIXES = (b"x-forwarded-", b"x-original-")

_NO_SIGNS = frozenset(
    {
        *(b"host", b"accept", b"accept-encoding", b"user-agent", b"connection", b"content-type", b"content-length"),
        *(b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"origin"),
    }
)
"""What almost every request brings, as ASGI servers spell it."""

_INVALID_TOKEN = f'{CHALLENGE}, error="invalid_token"'


class Authentication:
    """ASGI middleware that puts a `Caller` into `scope["state"]["caller"]`, or answers 401.

    Args:
        app: what is called once the caller is known.
        tokens: where bearer tokens are checked.
        anonymous_loopback: whether a request over loopback, without a token and not through a proxy, is let in as
            `ANONYMOUS`.
        anonymous_everywhere: whether every request without a token is (`--insecure`).
    """

    def __init__(
        self, app: ASGIApp, tokens: TokenService, *, anonymous_loopback: bool, anonymous_everywhere: bool = False
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._anonymous_loopback = anonymous_loopback
        self._anonymous_everywhere = anonymous_everywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no path here takes WebSockets"})
            return
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        credentials, proxied = _signs(scope["headers"])
        try:
            caller = await self._with_token(credentials) if credentials else self._without_token(scope, proxied)
        except ToolServerError as error:
            bad_token = credentials and isinstance(error, Denied)
            response = problem_response(error, {"WWW-Authenticate": _INVALID_TOKEN} if bad_token else None)
            await response(scope, receive, send)
            return
        await self._app({**scope, "state": {**scope.get("state", {}), "caller": caller}}, receive, send)

    async def _with_token(self, credentials: list[bytes]) -> Caller:
        scheme, _, token = credentials[0].decode("latin-1").strip().partition(" ")
        if len(credentials) > 1 or scheme.lower() != "bearer":
            raise Denied(
                "unauthenticated", "send one header 'Authorization: Bearer TOKEN': no other scheme is understood here"
            )
        return await self._tokens.authenticate(token.strip())

    def _without_token(self, scope: Scope, proxied: bool) -> Caller:
        if self._anonymous_everywhere:
            return ANONYMOUS
        if self._anonymous_loopback and not proxied and _from_loopback(scope.get("client")):
            return ANONYMOUS
        raise Denied(
            "unauthenticated",
            "this needs a token: send 'Authorization: Bearer TOKEN' with one from 'tool-server token create NAME'",
        )


def caller_of(request: Request) -> Caller:
    """Whom `Authentication` found.

    Raises:
        Denied: `unauthenticated`, where the middleware is missing: nothing is open by accident.
    """
    caller = request.scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        raise Denied("unauthenticated", "this request was not authenticated")
    return caller


def _from_loopback(client: tuple[str, int] | None) -> bool:
    # A Unix socket has no peer address: whoever set one up has put a proxy in front.
    return client is not None and _is_loopback(client[0])


@lru_cache(maxsize=1_024)
def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _signs(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[bytes], bool]:
    """The values of Authorization, and whether a proxy left a sign."""
    credentials: list[bytes] = []
    proxied = False
    for given, value in headers:
        if given in _NO_SIGNS:
            continue
        name = given.lower()
        if name == b"authorization":
            credentials.append(value)
        elif name.startswith(PROXY_PREFIXES) or name in PROXY_HEADERS:
            proxied = True
    return credentials, proxied
