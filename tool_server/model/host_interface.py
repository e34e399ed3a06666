"""The host interface: what every guest may import from `extism:host/user`, and what else may stand there.

Functions take one JSON value and return one, each as the i64 offset of a block of Extism's memory; without one they
take, or return, nothing. `schemas/host-interface.schema.json` says what the values are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tool_server.errors import InvalidInput
from tool_server.model.permission import Permissions
from tool_server.model.release import HostImport

KERNEL_MODULE = "extism:host/env"
"""Extism's own functions, linked into every plugin."""

USER_MODULE = "extism:host/user"
"""Where host functions live that a host offers on top."""

WASI_MODULE = "wasi_snapshot_preview1"


class Shape(NamedTuple):
    """What a function of the host interface takes and returns."""

    takes: bool
    gives: bool

    @property
    def params(self) -> tuple[str, ...]:
        """The wasm types of its parameters."""
        return ("i64",) if self.takes else ()


INTERFACE: Mapping[str, Shape] = MappingProxyType(
    {
        "log": Shape(takes=True, gives=False),
        "http_get": Shape(takes=True, gives=True),
        "get_current_time": Shape(takes=False, gives=True),
        "call_tool": Shape(takes=True, gives=True),
        "ask_client": Shape(takes=True, gives=True),
        "notify_client": Shape(takes=True, gives=False),
        "get_client": Shape(takes=False, gives=True),
        "last_error": Shape(takes=False, gives=True),
    }
)
"""The functions by name."""

FOREIGN = frozenset(
    {
        *("config_get", "create_elicitation", "create_message", "get_access_token", "get_keyring_secret"),
        *("list_roots", "notify_logging_message", "notify_progress", "notify_prompt_list_changed"),
        *("notify_resource_list_changed", "notify_resource_updated", "notify_tool_list_changed"),
        "notify_url_elicitation_completed",
    }
)
"""What plugins for mcp.run and hyper-mcp import from the same module."""


def function_item(module: str, name: str) -> str:
    """How an import is written among `permissions.functions`."""
    return f"{module}.{name}"


def check_imports(imports: Sequence[HostImport], requested: Permissions) -> None:
    """Do nothing where every import of `extism:host/user` is one that somebody may offer.

    That is the host interface, in the shape that it has; what foreign conventions import; and what the manifest
    requests as a function of the program that embeds the server. Other modules are left alone: toolchains import
    from them what they never call.

    Raises:
        InvalidInput: `unknown_host_function`.
    """
    for item in imports:
        if item.module != USER_MODULE or item.name in FOREIGN:
            continue
        shape = INTERFACE.get(item.name)
        if shape is None:
            if function_item(USER_MODULE, item.name) not in requested.functions:
                raise _unknown(item.name)
        elif item.params != shape.params or item.results not in ((), ("i64",)):
            raise InvalidInput(
                "unknown_host_function",
                f"the module imports {item.name} from {USER_MODULE} with the parameters ({', '.join(item.params)}) and "
                f"the results ({', '.join(item.results)}): it takes {'one offset' if shape.takes else 'nothing'} and "
                f"returns {'one offset' if shape.gives else 'nothing'}, offsets being i64",
                {"module": USER_MODULE, "name": item.name},
            )


def _unknown(name: str) -> InvalidInput:
    return InvalidInput(
        "unknown_host_function",
        f"the module imports {name[:80]!r} from {USER_MODULE}, which nobody offers; there are: {', '.join(INTERFACE)}. "
        "A function of a program that embeds the server is requested under permissions.functions, such as "
        f"'{function_item(USER_MODULE, 'NAME')}'",
        {"module": USER_MODULE, "name": name[:200]},
    )
