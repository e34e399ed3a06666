"""The plugins that ship with the product."""

from __future__ import annotations

import logging
from pathlib import Path

import anyio.to_thread

from tool_server.bootstrap.bundled_version import note_bundled
from tool_server.bootstrap.services import Services
from tool_server.errors import Conflict, Denied, InvalidInput
from tool_server.inspection.manifest_files import load_plugin_folder
from tool_server.model.caller import Caller, Scope

PUBLISHER_OF_BUNDLED = Caller("tool-server", frozenset({Scope.ADMIN}))
"""Owns the plugins that ship with the product."""

logger = logging.getLogger(__name__)


def bundled_folder() -> Path:
    """Where the plugins that ship with the product are: in the package, or in a checkout beside it."""
    package = Path(__file__).parents[1]
    packaged = package / "bundled"
    return packaged if packaged.is_dir() else package.parent / "plugins"


async def install_bundled(services: Services) -> None:
    """Publish and install the plugins that ship with the product.

    A version that is already in the registry is left alone, so what an operator uninstalled stays uninstalled.
    """
    for manifest in sorted(bundled_folder().glob("*/plugin.json")):
        source = await anyio.to_thread.run_sync(
            lambda path=manifest: load_plugin_folder(path, max_wasm_bytes=services.config.limits.wasm)
        )
        try:
            published = await services.publish.publish(
                source.manifest, source.wasm, PUBLISHER_OF_BUNDLED, source.findings
            )
        except (Conflict, Denied, InvalidInput) as error:
            # One plugin that cannot be offered, such as one whose name is taken, never keeps the server down.
            logger.warning("the bundled plugin %s is not installed: %s", manifest.parent.name, error.message)
            continue
        if published.created:
            await services.install.install(published.release.plugin, "", PUBLISHER_OF_BUNDLED)
    note_bundled(services.config)
