"""Runs the bundled plugins as the product does, in its sandbox, from ordinary (synchronous) tests.

`BundledPlugins` belongs to one fixture; hypothesis calls it many times from one test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tool_server.errors import CallFailed
from tool_server.inspection.manifest_files import PluginSource, load_plugin_folder
from tool_server.model.call import Call
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.settings import PoolSettings

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
NAMES = sorted(path.parent.name for path in PLUGINS.glob("*/plugin.json"))

Json = dict[str, Any]


def source_of(plugin: str) -> PluginSource:
    """The folder of a bundled plugin, read as a publish reads it."""
    return load_plugin_folder(PLUGINS / plugin, max_wasm_bytes=16 * 2**20)


@dataclass(frozen=True, slots=True)
class BundledPlugins:
    """The plugins, ready to be called."""

    portal: BlockingPortal
    pool: WorkerPool
    programs: dict[str, Program]

    def send(self, plugin: str, tool: str, data: bytes) -> bytes:
        """Run a tool on raw input bytes.

        Raises:
            CallFailed: as the sandbox ends the call.
        """
        call = Call(
            id="test",
            tool=tool,
            plugin=plugin,
            caller="test",
            program=self.programs[plugin],
            permissions=Permissions(),
            limits=Limits(timeout_ms=60_000),
            export=tool,
            input=data,
        )
        return self.portal.call(self.pool.run, call).data

    def call(self, plugin: str, tool: str, /, **arguments: object) -> Json:
        """Run a tool and return its result."""
        return json.loads(self.send(plugin, tool, json.dumps(arguments, ensure_ascii=False).encode()))

    def refusal(self, plugin: str, tool: str, /, **arguments: object) -> str:
        """Run a tool that must refuse its arguments, and return its message."""
        return self.refusal_of(plugin, tool, json.dumps(arguments).encode())

    def refusal_of(self, plugin: str, tool: str, data: bytes) -> str:
        """The same for raw input: an error of the guest's own, never a trap, a timeout or a lack of memory."""
        with pytest.raises(CallFailed) as caught:
            self.send(plugin, tool, data)
        assert caught.value.code == "guest_error", caught.value.message
        return caught.value.message


@contextmanager
def bundled_plugins(cache: Path) -> Generator[BundledPlugins]:
    """All bundled plugins over one pool of one worker."""
    sources = {name: source_of(name) for name in NAMES}
    modules = {hashlib.sha256(source.wasm).hexdigest(): source.wasm for source in sources.values()}

    async def read(digest: str) -> bytes:
        return modules[digest]

    programs = {
        name: Program(digest=hashlib.sha256(source.wasm).hexdigest(), size=len(source.wasm))
        for name, source in sources.items()
    }
    settings = PoolSettings(workers=1, spares=0, compile_cache=cache)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(WorkerPool(settings, read)) as pool,
    ):
        yield BundledPlugins(portal, pool, programs)
