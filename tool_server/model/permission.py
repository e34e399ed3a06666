"""What a manifest requests, what an operator grants, and the intersection that a call gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict

from tool_server.errors import InvalidInput
from tool_server.model.folder_permission import FolderPermission
from tool_server.model.network_permission import NetworkPermission

MAX_ITEMS = 100
"""Items of one kind that a manifest may request, or that may be granted."""

MAX_FOLDERS = 16
"""The same for the file system: every folder takes descriptors of the process that runs the guest."""

_ANY = "*"
_SETTING = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_TOOL = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_:/-]{0,63}\.[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_OWN_SETTINGS = "TOOL_SERVER_"


class _Item(Protocol):
    """One parsed permission of some kind: hashable, and its canonical spelling by `str`."""

    def intersect(self, other: Any) -> _Item | None: ...


@dataclass(frozen=True, slots=True)
class NamePermission:
    """A name, or `*` for all names."""

    name: str

    def __str__(self) -> str:
        return self.name

    def intersect(self, other: NamePermission) -> NamePermission | None:
        """The narrower of the two; None where they differ."""
        if other.name in (_ANY, self.name):
            return self
        return other if self.name == _ANY else None


def _parse_setting(text: str) -> NamePermission:
    if text == _ANY or (_SETTING.fullmatch(text) and not text.upper().startswith(_OWN_SETTINGS)):
        return NamePermission(text)
    raise _no_name(text, "setting", f"{_SETTING_GRAMMAR}, not beginning with {_OWN_SETTINGS}")


def _parse_secret(text: str) -> NamePermission:
    if text == _ANY or _SETTING.fullmatch(text):
        return NamePermission(text)
    raise _no_name(text, "secret", _SETTING_GRAMMAR)


def _parse_tool(text: str) -> NamePermission:
    if text == _ANY or _TOOL.fullmatch(text):
        return NamePermission(text)
    raise _no_name(text, "tool", "the tool's MCP name, such as 'text_count_words'")


def _parse_function(text: str) -> NamePermission:
    if text == _ANY or _FUNCTION.fullmatch(text):
        return NamePermission(text)
    raise _no_name(text, "host function", "NAMESPACE.NAME, such as 'shop.price'")


_SETTING_GRAMMAR = "a name such as 'API_KEY' of letters, digits, '_', '.' and '-'"


def _no_name(text: str, what: str, grammar: str) -> InvalidInput:
    return InvalidInput(
        "invalid_permission",
        f"{text[:120]!r} is no name of a {what}: write {grammar}; a grant may also say '*' for all that is requested",
        {"item": text[:300]},
    )


PARSERS: Mapping[str, Callable[[str], _Item]] = MappingProxyType(
    {
        "network": NetworkPermission.parse,
        "filesystem": FolderPermission.parse,
        "environment": _parse_setting,
        "secrets": _parse_secret,
        "tools": _parse_tool,
        "functions": _parse_function,
    }
)
"""How an item of each kind is read."""

_NAMES = ("environment", "secrets", "tools", "functions")


class Permissions(BaseModel):
    """A set of capabilities. The empty value grants nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: tuple[str, ...] = ()
    """`[METHOD[,METHOD…] ]HOST[:PORT]`, the host a name, an address, `*.example.com` or `*`."""
    filesystem: tuple[str, ...] = ()
    """`PATH:read` or `PATH:write`."""
    environment: tuple[str, ...] = ()
    """Names of settings the guest may read through Extism's config."""
    secrets: tuple[str, ...] = ()
    """Names of secrets that the server may use on the guest's behalf."""
    tools: tuple[str, ...] = ()
    """MCP names of other tools the guest may call."""
    functions: tuple[str, ...] = ()
    """`NAMESPACE.NAME` of host functions that the embedding program offers."""

    @classmethod
    def parse(cls, items: Iterable[str]) -> Self:
        """Check `KIND=VALUE` items, such as `network=api.example.com`, and bring them into canonical spelling.

        Raises:
            InvalidInput: `invalid_permission`, `too_many_permissions`.
        """
        return cls.read(items).normalised()

    @classmethod
    def read(cls, items: Iterable[str]) -> Self:
        """Sort `KIND=VALUE` items into their kinds; the inverse of `items`.

        Raises:
            InvalidInput: `invalid_permission`, there is no such kind.
        """
        found: dict[str, list[str]] = {}
        for item in items:
            kind, equals, value = item.partition("=")
            if not equals or kind not in PARSERS:
                raise InvalidInput(
                    "invalid_permission",
                    f"{item[:120]!r} is no permission: write KIND=VALUE with a kind of {', '.join(PARSERS)}, such as "
                    "'network=api.example.com' or 'filesystem=/data:read'",
                    {"item": item[:300]},
                )
            found.setdefault(kind, []).append(value)
        return cls(**{kind: tuple(values) for kind, values in found.items()})

    def normalised(self) -> Self:
        """The same in canonical spelling, each item once.

        Raises:
            InvalidInput: `invalid_permission`, naming the first item that is none; `too_many_permissions`.
        """
        self.check_count()
        return type(self)(
            **{
                kind: tuple(dict.fromkeys(str(parse(item)) for item in getattr(self, kind)))
                for kind, parse in PARSERS.items()
            }
        )

    def check_requested(self) -> None:
        """Do nothing where a manifest may request this: items that can be read, names that are names.

        Raises:
            InvalidInput: `invalid_permission`, with `kind` and `index` in its data; `too_many_permissions`.
        """
        self.check_count()
        for kind, parse in PARSERS.items():
            for index, item in enumerate(getattr(self, kind)):
                place = {"kind": kind, "index": index}
                try:
                    parse(item)
                except InvalidInput as error:
                    raise InvalidInput(error.code, error.message, {**error.data, **place}) from error
                if kind in _NAMES and item == _ANY:
                    raise InvalidInput(
                        "invalid_permission",
                        f"'*' stands for no name that could be shown to an operator: list the {kind} by name",
                        {"item": item, **place},
                    )

    def intersect(self, granted: Permissions) -> Self:
        """Effective permission: what is both requested (`self`) and granted, in the order requested.

        Of two results the one inside the other is left out. An item that cannot be read gives nothing.
        """
        if self.empty or granted.empty:
            return type(self)()
        return type(self)(**{kind: _spelled(_common(_parsed(self, kind), _parsed(granted, kind))) for kind in PARSERS})

    def without(self, granted: Permissions) -> Self:
        """The requested items that are not wholly granted."""
        return type(self)(
            **{
                kind: _spelled(
                    item
                    for item in _parsed(self, kind)
                    if not any(item.intersect(other) == item for other in _parsed(granted, kind))
                )
                for kind in PARSERS
            }
        )

    def joined(self, other: Permissions) -> Self:
        """The items of both, each once.

        Raises:
            InvalidInput: `too_many_permissions`.
        """
        both = type(self).read(dict.fromkeys((*self.items(), *other.items())))
        both.check_count()
        return both

    def excluding(self, items: Iterable[str]) -> Self:
        """Without exactly these `KIND=VALUE` items."""
        unwanted = frozenset(items)
        return type(self).read(item for item in self.items() if item not in unwanted)

    def check_count(self) -> None:
        """Do nothing where there are no more items than a manifest or a grant may have.

        Raises:
            InvalidInput: `too_many_permissions`.
        """
        for kind in PARSERS:
            count, most = len(getattr(self, kind)), MAX_FOLDERS if kind == "filesystem" else MAX_ITEMS
            if count > most:
                raise InvalidInput(
                    "too_many_permissions",
                    f"{count} items of the kind {kind}: at most {most} are accepted; use patterns or outer folders",
                    {"kind": kind, "limit": most},
                )

    def items(self) -> tuple[str, ...]:
        """Everything as `KIND=VALUE`."""
        return tuple(f"{kind}={item}" for kind in PARSERS for item in getattr(self, kind))

    def allows_request(self, method: str, host: str, port: int, scheme: str) -> bool:
        """Whether an HTTP request is allowed.

        Args:
            method: as in the request line, upper case.
            host: a name or an address, IPv6 with or without brackets, in any spelling.
            port: the one connected to.
            scheme: `http` or `https`.
        """
        return any(item.allows(method, scheme, host, port) for item in self.network_permissions)

    @property
    def network_permissions(self) -> tuple[NetworkPermission, ...]:
        """`network`, parsed; what cannot be read is left out."""
        return tuple(item for item in _parsed(self, "network") if isinstance(item, NetworkPermission))

    @property
    def folder_permissions(self) -> tuple[FolderPermission, ...]:
        """`filesystem`, parsed; what cannot be read is left out."""
        return tuple(item for item in _parsed(self, "filesystem") if isinstance(item, FolderPermission))

    @property
    def empty(self) -> bool:
        """Whether nothing at all is allowed."""
        return not any(getattr(self, kind) for kind in PARSERS)


def _parsed(permissions: Permissions, kind: str) -> list[_Item]:
    found: list[_Item] = []
    for text in getattr(permissions, kind):
        try:
            found.append(PARSERS[kind](text))
        except InvalidInput:
            # Stored before the grammar was checked: refused when it is published or granted again.
            continue
    return found


def _common(requested: Sequence[_Item], granted: Sequence[_Item]) -> list[_Item]:
    every = (item.intersect(other) for item in requested for other in granted)
    common = list(dict.fromkeys(item for item in every if item is not None))
    return [item for item in common if not any(item != other and item.intersect(other) == item for other in common)]


def _spelled(items: Iterable[_Item]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(item) for item in items))
