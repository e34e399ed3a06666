"""What the tests of the services publish, and what they compare before and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from tests.inspection.wasm.encoding import custom
from tests.support.guests import guest
from tool_server.bootstrap.services import Services
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.model.caller import LOCAL, Caller, Scope
from tool_server.model.permission import Permissions
from tool_server.services.publish import Published

ALICE = Caller("alice", frozenset({Scope.PUBLISH}))
BOB = Caller("bob", frozenset({Scope.PUBLISH}))
READER = Caller("reader", frozenset({Scope.READ}))
CALLER = Caller("caller", frozenset({Scope.CALL}))

INTEGERS: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
SUM: dict[str, Any] = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
ADD: dict[str, Any] = {"description": "Adds two integers.", "input": INTEGERS, "output": SUM}
ANYTHING: dict[str, Any] = {"description": "Takes anything.", "input": {"type": "object"}}


@dataclass
class SettableClock:
    """A clock that stands still until it is set."""

    time: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        """The time that was set."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.time += timedelta(seconds=seconds)


def other_bytes(wasm: bytes, mark: bytes = b"x") -> bytes:
    """The same module with another digest."""
    return wasm + custom("mark", mark)


async def publish(
    services: Services, name: str, version: str = "1.0.0", *, wasm: bytes = b"", caller: Caller = LOCAL, **fields: Any
) -> Published:
    """Publish a plugin; by default the guest `add` with its types in the manifest."""
    document: dict[str, Any] = {"name": name, "version": version, **({} if wasm else {"tools": {"add": ADD}}), **fields}
    manifest, findings = parse_manifest(document)
    return await services.publish.publish(manifest, wasm or guest("add"), caller, findings)


async def offer(
    services: Services, name: str, version: str = "1.0.0", *, granted: Permissions | None = None, **options: Any
) -> Published:
    """Publish, and install exactly that version."""
    published = await publish(services, name, version, **options)
    await services.install.install(name, version, LOCAL, granted)
    return published


async def offer_guest(services: Services, name: str, guest_name: str, **fields: Any) -> str:
    """Offer a guest as a tool that takes any arguments; the tool's MCP name."""
    await offer(services, name, wasm=guest(guest_name), tools={guest_name: ANYTHING}, **fields)
    return f"{name}_{guest_name}"


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Wait for a condition."""
    with anyio.fail_after(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await anyio.sleep(0.02)


async def stored(services: Services) -> tuple[object, ...]:
    """Everything that a refused request must leave as it was."""
    return (
        await services.plugins.list_plugins(),
        await services.plugins.list_installed(),
        {digest async for digest in services.artifacts.digests()},
    )
