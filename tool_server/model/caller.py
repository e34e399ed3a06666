"""Who calls, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from tool_server.errors import Denied
from tool_server.model.view import EVERYTHING, View, ViewMode


class Scope(StrEnum):
    """What a token allows. `admin` includes all others, `publish` and `call` include `read`."""

    READ = "read"
    CALL = "call"
    PUBLISH = "publish"
    ADMIN = "admin"


_IMPLIED: dict[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.CALL: frozenset({Scope.CALL, Scope.READ}),
    Scope.PUBLISH: frozenset({Scope.PUBLISH, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """An identified caller. `name` keys fairness in the queue and stands in the call log."""

    name: str
    scopes: frozenset[Scope]
    view: View = EVERYTHING
    """The tools that the caller sees; for the caller there are no others."""

    def may(self, scope: Scope) -> bool:
        """Whether one of the caller's scopes includes `scope`."""
        return any(scope in _IMPLIED[own] for own in self.scopes)

    def in_mode(self, mode: ViewMode) -> Caller:
        """The same caller, shown the same tools in another way."""
        return self if mode is self.view.mode else replace(self, view=self.view.in_mode(mode))

    def require(self, scope: Scope) -> None:
        """Do nothing when the caller may.

        Raises:
            Denied: `missing_scope`, naming the scope and how to get it.
        """
        if scope not in self.scopes and not self.may(scope):
            raise Denied(
                "missing_scope",
                f"this needs the scope '{scope}', which {self.name!r} does not have: ask the operator for a token "
                f"made with 'tool-server token create NAME --scope {scope}'",
                {"scope": str(scope), "scopes": sorted(self.scopes)},
            )


LOCAL = Caller("local", frozenset(Scope))
"""Whoever runs the commands on this machine's own data directory."""

ANONYMOUS = Caller("anonymous", frozenset({Scope.CALL}))
"""A request over loopback without a token: may list and call, nothing else."""


class TokenRecord(BaseModel):
    """A token as it is stored: never the secret itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Public part of the token, shown in listings."""
    name: str
    secret_hash: str
    """SHA-256 of the secret part, hexadecimal."""
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    view: View = EVERYTHING
