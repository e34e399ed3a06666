"""Host and Origin validation, against DNS rebinding and against other sites' pages in a user's browser.

The rules are those of the MCP SDK's `TransportSecurityMiddleware`, which guards `/mcp`: an exact match, or
`name:*` for any port; a missing Host is refused, a missing Origin is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from tool_server.errors import Denied, InvalidInput, ToolServerError
from tool_server.http_api.authentication import OPEN_PATHS
from tool_server.http_api.problems import problem_response


class HostGuard:
    """ASGI middleware that answers 421 to a foreign Host and 403 to a foreign Origin.

    Args:
        app: what is called when both are fine.
        allowed_hosts: Host header values, such as `127.0.0.1:*` or `tools.example.com`.
        allowed_origins: Origin header values, such as `http://127.0.0.1:*`.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]) -> None:
        self._app = app
        self._allowed_hosts = frozenset(allowed_hosts)
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Health is asked by address, and its answer is no secret.
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = self._refusal(scope)
            if refusal is not None:
                await problem_response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ToolServerError | None:
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or not _allowed(hosts[0], self._allowed_hosts):
            given = repr(hosts[0][:100]) if len(hosts) == 1 else f"{len(hosts)} Host headers"
            return InvalidInput(
                "misdirected_host",
                f"this server does not answer to {given}: use the address it listens on, or have the operator add the "
                "name to allowed_hosts",
            )
        # An empty Origin counts as none, as in the SDK.
        foreign = [origin for origin in origins if origin and not _allowed(origin, self._allowed_origins)]
        if foreign:
            return Denied(
                "origin_not_allowed",
                f"pages of {foreign[0][:100]!r} may not use this server: the operator can add the origin to "
                "allowed_origins",
            )
        return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for given, value in scope["headers"] if given.lower() == name]


def _allowed(value: str, allowed: frozenset[str]) -> bool:
    base, colon, port = value.rpartition(":")
    return value in allowed or (bool(colon) and port.isascii() and port.isdigit() and f"{base}:*" in allowed)
