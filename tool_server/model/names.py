"""Plugin names, and how a plugin's tool is called by MCP clients."""

from __future__ import annotations

import re

from tool_server.errors import InvalidInput

MAX_PLUGIN_NAME = 64
"""Characters in one part of a plugin's name."""

MAX_TOOL_NAME = 48
"""Characters in an MCP tool name, so that a client's `server_tool` prefix fits in 63."""

PLUGIN_NAME_PATTERN = r"(?:@[a-z][a-z0-9-]*/)?[a-z][a-z0-9-]*"

_PLUGIN_NAME = re.compile(PLUGIN_NAME_PATTERN)
_OUTSIDE_TOOL_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def check_plugin_name(name: str) -> str:
    """Return `name` when it is `name` or `@scope/name`, each part `[a-z][a-z0-9-]*`.

    Raises:
        InvalidInput: `invalid_name`.
    """
    if not _PLUGIN_NAME.fullmatch(name) or any(len(part) > MAX_PLUGIN_NAME for part in name.split("/")):
        raise InvalidInput(
            "invalid_name",
            f"{name[:80]!r} is not a plugin name: use 'name' or '@scope/name' with lower-case letters, digits and "
            f"'-', starting with a letter, at most {MAX_PLUGIN_NAME} characters a part",
            {"name": name[:200]},
        )
    return name


def tool_name(plugin: str, tool: str) -> str:
    """The MCP name of a plugin's tool: `{plugin}_{tool}`, every other character an underscore.

    `tool_name("@acme/text", "count words")` is `"acme_text_count_words"`. The result may be longer than
    `MAX_TOOL_NAME`; lint decides about that.
    """
    return _OUTSIDE_TOOL_NAME.sub("_", f"{plugin.removeprefix('@')}_{tool}")
