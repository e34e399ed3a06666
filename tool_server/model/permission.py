"""What a manifest requests, what an operator grants, and the intersection that a call gets."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict


class Permissions(BaseModel):
    """A set of capabilities. The empty value grants nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: tuple[str, ...] = ()
    """Host names or patterns such as `*.example.com`."""
    filesystem: tuple[str, ...] = ()
    """`PATH:read` or `PATH:write`."""
    environment: tuple[str, ...] = ()
    """Names of settings the guest may read through Extism's config."""
    secrets: tuple[str, ...] = ()
    """Names of secrets that the server may use on the guest's behalf."""
    tools: tuple[str, ...] = ()
    """MCP names of other tools the guest may call."""

    def intersect(self, granted: Permissions) -> Self:
        """Effective permission: what is both requested (`self`) and granted, in the order requested."""
        return type(self)(
            **{
                field: tuple(item for item in getattr(self, field) if item in getattr(granted, field))
                for field in Permissions.model_fields
            }
        )

    def allows_request(self, method: str, host: str, port: int, scheme: str) -> bool:
        """Whether a pattern of `network` (`HOST`, `*.example.com`, `HOST:PORT`, `GET,HEAD HOST`) allows a request.

        A pattern without a port means the scheme's own.
        """
        return any(_allows_request(pattern, method, host, port, scheme) for pattern in self.network)

    @property
    def empty(self) -> bool:
        """Whether nothing at all is allowed."""
        return not any(getattr(self, field) for field in Permissions.model_fields)


def _allows_request(pattern: str, method: str, host: str, port: int, scheme: str) -> bool:
    methods, _, place = pattern.strip().rpartition(" ")
    if methods and method not in methods.split(","):
        return False
    name, colon, number = place.partition(":")
    if str(port) != (number if colon else {"http": "80", "https": "443"}.get(scheme)):
        return False
    return name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:]))
