"""An agent tool server: Extism plugins become typed, validated, sandboxed MCP tools.

`load_plugin` runs one plugin from Python; `ToolServer` is the whole server as an ASGI application; `HostFunction` is
what either offers to plugins, and `Permissions` what is granted. They are imported on first use, so that a worker
process pays for nothing it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tool_server.version import VERSION

if TYPE_CHECKING:
    from tool_server.embedding import HostFunction, LoadedPlugin, Permissions, ToolServer, load_plugin

__version__ = VERSION

__all__ = ["HostFunction", "LoadedPlugin", "Permissions", "ToolServer", "__version__", "load_plugin"]


def __getattr__(name: str) -> Any:
    if name in __all__ and name != "__version__":
        from tool_server import embedding

        return getattr(embedding, name)
    raise AttributeError(f"module 'tool_server' has no attribute {name!r}")
