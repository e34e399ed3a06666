"""Bearer tokens: shown once, stored as a hash, expiring, revocable."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tool_server.errors import Conflict, Denied, InvalidInput
from tool_server.interfaces import Clock, TokenStore
from tool_server.model.caller import Caller, Scope, TokenRecord
from tool_server.model.json_value import sha256_hex
from tool_server.model.view import EVERYTHING, View

PREFIX = "ts"
_TOKEN = re.compile(r"ts_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}")
_RESERVED = frozenset({"local", "anonymous"})

CACHE_SECONDS = 1.0
"""How long a token read from the store is believed: a revocation by another process takes effect within it."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made. `secret` is the whole text to send as `Authorization: Bearer`; it cannot be had again."""

    record: TokenRecord
    secret: str


class TokenService:
    """Makes, lists, revokes and checks tokens."""

    def __init__(self, tokens: TokenStore, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock
        self._known: dict[str, tuple[datetime, TokenRecord]] = {}

    async def create(
        self,
        name: str,
        scopes: Iterable[Scope],
        caller: Caller,
        lifetime: timedelta | None = None,
        view: View = EVERYTHING,
    ) -> NewToken:
        """Make a token named `name`, valid for `lifetime` (None: until revoked), that sees the tools of `view`.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_token_name`, `no_scopes`, `invalid_lifetime` or `invalid_view`.
            Conflict: `token_exists`.
        """
        caller.require(Scope.ADMIN)
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                "invalid_token_name", f"{name[:80]!r} is not a token name: letters, digits and . _ @ -, at most 64"
            )
        if name in _RESERVED:
            raise Conflict("token_exists", f"the name {name!r} is the server's own: choose another")
        wanted = tuple(sorted(set(scopes)))
        if not wanted:
            raise InvalidInput("no_scopes", f"a token needs a scope: one of {', '.join(Scope)}")
        if lifetime is not None and not timedelta(seconds=1) <= lifetime <= timedelta(days=3_650):
            raise InvalidInput("invalid_lifetime", "a token lives between one second and ten years")
        if view.restricted and Scope.ADMIN in wanted:
            raise InvalidInput(
                "invalid_view",
                "a token with the scope 'admin' can make itself any other token: give it the scopes call, read or "
                "publish, or let it see every tool",
            )
        now = self._clock.now()
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        record = TokenRecord(
            id=token_id,
            name=name,
            secret_hash=sha256_hex(secret.encode()),
            scopes=wanted,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
            view=view,
        )
        await self._tokens.add(record)
        return NewToken(record, f"{PREFIX}_{token_id}_{secret}")

    async def list_tokens(self, caller: Caller) -> tuple[TokenRecord, ...]:
        """All tokens, newest first.

        Raises:
            Denied: `missing_scope`.
        """
        caller.require(Scope.ADMIN)
        return await self._tokens.list_tokens()

    async def revoke(self, name_or_id: str, caller: Caller) -> TokenRecord:
        """End a token at once.

        Raises:
            Denied: `missing_scope`.
            NotFound: `unknown_token`.
        """
        caller.require(Scope.ADMIN)
        record = await self._tokens.revoke(name_or_id, self._clock.now())
        self._known.pop(record.id, None)
        return record

    async def authenticate(self, token: str) -> Caller:
        """The caller behind a bearer token.

        Raises:
            Denied: `unauthenticated`; the message does not say whether the token exists.
            Unavailable: the store cannot answer.
        """
        match = _TOKEN.fullmatch(token)
        record = None if match is None else await self._look_up(match.group(1))
        if match is None or record is None:
            raise _refused("this token is not known here")
        if not hmac.compare_digest(sha256_hex(match.group(2).encode()), record.secret_hash):
            raise _refused("this token is not known here")
        if record.revoked_at is not None:
            raise _refused("this token was revoked")
        if record.expires_at is not None and record.expires_at <= self._clock.now():
            raise _refused(f"this token expired at {record.expires_at.isoformat(timespec='seconds')}")
        return Caller(record.name, frozenset(record.scopes), record.view)

    async def _look_up(self, token_id: str) -> TokenRecord | None:
        now = self._clock.now()
        known = self._known.get(token_id)
        if known is not None and (now - known[0]).total_seconds() < CACHE_SECONDS:
            return known[1]
        record = await self._tokens.get(token_id)
        if record is None:
            self._known.pop(token_id, None)
        else:
            if len(self._known) >= 10_000:
                self._known.clear()
            self._known[token_id] = (now, record)
        return record


def _refused(reason: str) -> Denied:
    return Denied(
        "unauthenticated",
        f"{reason}: send 'Authorization: Bearer TOKEN' with one from 'tool-server token create NAME'",
    )
