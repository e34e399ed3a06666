"""Plugin names, and how a plugin's tool is called by MCP clients."""

from __future__ import annotations

import re

from tool_server.errors import InvalidInput

MAX_PLUGIN_NAME = 64
"""Characters in one part of a plugin's name."""

MAX_TOOL_NAME = 48
"""Characters in an MCP tool name, so that a client's `server_tool` prefix fits in 63."""

MAX_TOOL_PREFIX = 32
TOOL_PREFIX_PATTERN = r"[a-zA-Z0-9_-]*"

PLUGIN_NAME_PATTERN = r"(?:@[a-z][a-z0-9-]*/)?[a-z][a-z0-9-]*"

_PLUGIN_NAME = re.compile(PLUGIN_NAME_PATTERN)
_TOOL_PREFIX = re.compile(TOOL_PREFIX_PATTERN)
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


def check_tool_prefix(prefix: str) -> str:
    """Return `prefix` when it may stand before the names of an installation's tools.

    Raises:
        InvalidInput: `invalid_prefix`.
    """
    if len(prefix) > MAX_TOOL_PREFIX or not _TOOL_PREFIX.fullmatch(prefix):
        raise InvalidInput(
            "invalid_prefix",
            f"{prefix[:80]!r} cannot stand before tool names: use at most {MAX_TOOL_PREFIX} letters, digits, '_' and "
            "'-', or an empty text for tools without a prefix",
            {"prefix": prefix[:200]},
        )
    return prefix


def tool_name(plugin: str, tool: str, prefix: str | None = None) -> str:
    """The MCP name of a plugin's tool: `{plugin}_{tool}`, every other character an underscore.

    `tool_name("@acme/text", "count words")` is `"acme_text_count_words"`. The result may be longer than
    `MAX_TOOL_NAME`; lint decides about that.

    Args:
        plugin: `name` or `@scope/name`.
        tool: the tool's own name.
        prefix: what the operator wants there instead of the plugin's name; empty for nothing at all.
    """
    front = plugin.removeprefix("@") if prefix is None else prefix
    return _OUTSIDE_TOOL_NAME.sub("_", f"{front}_{tool}" if front else tool)
