"""What the REST API needs from the rest of the house, handed in by whoever wires it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tool_server.interfaces import CallLog
from tool_server.services.browse import BrowseService
from tool_server.services.catalog import CatalogService
from tool_server.services.grants import GrantService
from tool_server.services.install import InstallService
from tool_server.services.invoke import InvokeService
from tool_server.services.publish import PublishService
from tool_server.services.secrets import SecretService
from tool_server.services.tokens import TokenService

Readiness = Callable[[], Awaitable[object]]
"""Returns anything while the server can serve, and raises `Unavailable` while it cannot."""


@dataclass(frozen=True, slots=True)
class RegistryServices:
    """Services and bounds of one REST API."""

    publish: PublishService
    install: InstallService
    grants: GrantService
    browse: BrowseService
    catalog: CatalogService
    invoke: InvokeService
    tokens: TokenService
    secrets: SecretService
    call_log: CallLog
    ready: Readiness
    version: str
    """The server's own version."""
    wasm_bytes: int
    """Largest module that may be uploaded."""
    body_bytes: int
    """Largest body of a tool call."""
