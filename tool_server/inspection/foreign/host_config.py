"""The configuration file of hyper-mcp, in JSON, YAML or TOML.

Sources: hyper-mcp 0.8 `src/config.rs` and RUNTIME_CONFIG.md; its releases before 0.2 had `plugins` as a list and `path`
for `url`. Its fields that are not known here are kept by name, for the report.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast

from tool_server.errors import InvalidInput
from tool_server.inspection.foreign.environment import Expansion
from tool_server.inspection.foreign.yaml_document import parse_yaml
from tool_server.inspection.json_paths import check_plain, json_path, shown
from tool_server.inspection.tool_filter import ToolFilter
from tool_server.model.json_value import JsonObject, JsonValue, json_type, parse_json

MAX_CONFIG_BYTES = 2**18
MAX_PLUGINS = 500

_PLUGIN_FIELDS = ("name", "url", "path", "description", "runtime_config")
_FILTERS = ("skip_tools", "skip_prompts", "skip_resources", "skip_resource_templates")
_RUNTIME_FIELDS = (*_FILTERS, "allowed_hosts", "allowed_paths", "allowed_secrets", "env_vars", "memory_limit")

_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]{0,3})\s*", re.ASCII)
_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{ending}": base**power
    for power, prefix in enumerate("kmgt", 1)
    for base, endings in ((1000, ("", "b")), (1024, ("i", "ib")))
    for ending in endings
}


@dataclass(frozen=True, slots=True)
class HostPlugin:
    """One entry of `plugins`."""

    name: str
    url: str
    description: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By field, such as `skip_tools`: patterns, anchored as that host anchors them."""
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    """Service and user."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    from_environment: frozenset[str] = frozenset()
    """Variables that are the environment's of the same name; `variables` does not hold them."""
    memory_bytes: int | None = None
    unknown: tuple[str, ...] = ()
    """Fields that are not read, as paths."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """A whole file."""

    plugins: tuple[HostPlugin, ...]
    others: tuple[str, ...]
    """Further fields of the file, by name."""


def read_host_config(data: bytes, suffix: str, environment: Mapping[str, str]) -> HostConfig:
    """Read a configuration file.

    Args:
        data: the file's bytes.
        suffix: how its name ends: `.json`, `.yaml`, `.yml` or `.toml`.
        environment: what `${VARIABLE}` stands for.

    Raises:
        InvalidInput: `invalid_import`, naming path, expected and got; `invalid_json`, `invalid_yaml`, `invalid_toml`.
    """
    document = _parsed(data, suffix)
    check_plain(document, code="invalid_import", what="the file")
    if not isinstance(document, dict):
        _refuse((), "an object with 'plugins'", document)
    return _Reader(environment).config(document)


def _parsed(data: bytes, suffix: str) -> JsonValue:
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidInput("invalid_import", f"the file is larger than {MAX_CONFIG_BYTES} bytes, the most that is read")
    if suffix == ".json":
        return parse_json(data, what="the file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("invalid_import", f"the file is not UTF-8: byte {error.start}") from error
    if suffix in (".yaml", ".yml"):
        return parse_yaml(text, what="the file")
    if suffix != ".toml":
        raise InvalidInput(
            "invalid_import", f"{suffix or 'no'!r} is no known ending: .json, .yaml, .yml and .toml are read"
        )
    try:
        return cast(JsonValue, tomllib.loads(text))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            "invalid_toml", f"the file is not TOML: {str(error)[:200] or 'it is nested too deeply'}"
        ) from error


def parse_memory(text: str | int) -> int | None:
    """Bytes of `"512Mi"`, `"1.5 GB"`, `"1048576"`, as Rust's bytesize reads them; None where it is no size."""
    match = _SIZE.fullmatch(str(text))
    unit = None if match is None else _UNITS.get(match[2].lower())
    if match is None or unit is None:
        return None
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def anchored(pattern: str) -> str:
    """The pattern as that host looks for it: of the whole name, unless it is anchored at one end already."""
    if pattern.startswith(("^", "\\A")) or pattern.endswith(("$", "\\z")):
        return pattern
    return f"^{pattern}$"


_JSON_TYPES = ("object", "array", "string", "boolean", "integer", "number", "null")

Path = tuple[str | int, ...]


class _Reader:
    """Reads one document, checking the type of every field that it knows."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._expansion = Expansion(environment)

    def config(self, document: JsonObject) -> HostConfig:
        if "plugins" not in document:
            _refuse_stranger(document)
        entries = self._entries(document["plugins"])
        if len(entries) > MAX_PLUGINS:
            _refuse(("plugins",), f"at most {MAX_PLUGINS} plugins", document["plugins"])
        plugins = tuple(self._plugin(path, name, entry) for path, name, entry in entries)
        self._expansion.check()
        return HostConfig(plugins, tuple(key for key in document if key != "plugins"))

    def _entries(self, plugins: JsonValue) -> list[tuple[Path, str, JsonObject]]:
        found: list[tuple[Path, str, JsonObject]] = []
        if isinstance(plugins, dict):
            for name, entry in plugins.items():
                found.append((("plugins", name), name, _object(("plugins", name), entry)))
            return found
        if not isinstance(plugins, list):
            _refuse(("plugins",), "an object of plugins by name, or an array", plugins)
        names: set[str] = set()
        for index, item in enumerate(plugins):
            path: Path = ("plugins", index)
            entry = _object(path, item)
            name = _text((*path, "name"), entry.get("name"))
            if name in names:
                _refuse((*path, "name"), "a name that no other plugin has", name)
            names.add(name)
            found.append((path, name, entry))
        return found

    def _plugin(self, path: Path, name: str, entry: JsonObject) -> HostPlugin:
        if not 1 <= len(name) <= 128:
            _refuse(path, "a name of 1 to 128 characters", name)
        key = "path" if "path" in entry and "url" not in entry else "url"
        url = self._expanded((*path, key), entry.get(key))
        runtime, inside = entry.get("runtime_config"), (*path, "runtime_config")
        options = {} if runtime is None else _object(inside, runtime)
        variables, from_environment = self._variables((*inside, "env_vars"), options.get("env_vars"))
        description = entry.get("description")
        return HostPlugin(
            name=name,
            url=url,
            description="" if description is None else self._expanded((*path, "description"), description),
            filters={
                field: self._patterns((*inside, field), options[field]) for field in _FILTERS if options.get(field)
            },
            hosts=self._texts((*inside, "allowed_hosts"), options.get("allowed_hosts")),
            paths=self._texts((*inside, "allowed_paths"), options.get("allowed_paths")),
            secrets=self._secrets((*inside, "allowed_secrets"), options.get("allowed_secrets")),
            variables=variables,
            from_environment=from_environment,
            memory_bytes=self._memory((*inside, "memory_limit"), options.get("memory_limit")),
            unknown=(
                *(unknown for unknown in entry if unknown not in _PLUGIN_FIELDS),
                *(f"runtime_config.{unknown}" for unknown in options if unknown not in _RUNTIME_FIELDS),
            ),
        )

    def _expanded(self, path: Path, value: JsonValue) -> str:
        return self._expansion.of(_text(path, value), json_path(path))

    def _texts(self, path: Path, value: JsonValue) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            _refuse(path, "an array of strings", value)
        return tuple(dict.fromkeys(self._expanded((*path, index), item) for index, item in enumerate(value)))

    def _patterns(self, path: Path, value: JsonValue) -> tuple[str, ...]:
        patterns = tuple(anchored(pattern) for pattern in self._texts(path, value))
        for index, pattern in enumerate(patterns):
            try:
                ToolFilter([pattern])
            except InvalidInput:
                _refuse((*path, index), "a regular expression without lookaround and back references", pattern)
        return patterns

    def _secrets(self, path: Path, value: JsonValue) -> tuple[tuple[str, str], ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            _refuse(path, 'an array of {"service", "user"}', value)
        found: list[tuple[str, str]] = []
        for index, item in enumerate(value):
            entry = _object((*path, index), item)
            service, user = (self._expanded((*path, index, part), entry.get(part)) for part in ("service", "user"))
            found.append((service, user))
        return tuple(dict.fromkeys(found))

    def _variables(self, path: Path, value: JsonValue) -> tuple[dict[str, str], frozenset[str]]:
        if value is None:
            return {}, frozenset()
        entries = {name: _text((*path, name), item) for name, item in _object(path, value).items()}
        ambient = frozenset(name for name, text in entries.items() if text == f"${{{name}}}")
        stored = {
            name: self._expansion.of(text, json_path((*path, name)))
            for name, text in entries.items()
            if name not in ambient
        }
        return stored, ambient

    def _memory(self, path: Path, value: JsonValue) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            _refuse(path, "a size such as '512Mi'", value)
        size = parse_memory(self._expanded(path, value) if isinstance(value, str) else value)
        if size is None:
            _refuse(path, "a size such as '512Mi' or '1GB'", value)
        return size


def _object(path: Path, value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        _refuse(path, "an object", value)
    return value


def _text(path: Path, value: JsonValue) -> str:
    if not isinstance(value, str):
        hint = " (put it into quotation marks)" if isinstance(value, bool | int | float) else ""
        _refuse(path, f"a string{hint}", value)
    return value


def _refuse(path: Sequence[str | int], expected: str, got: JsonValue) -> NoReturn:
    place = json_path(path)
    # TOML has moments, too, which are no JSON.
    described = shown(got) if json_type(got) in _JSON_TYPES else json_type(got)
    raise InvalidInput(
        "invalid_import",
        f"{place}: expected {expected}, got {described}",
        {"path": place, "expected": expected, "got": described},
    )


def _refuse_stranger(document: JsonObject) -> NoReturn:
    if "mcpServers" in document or "servers" in document:
        raise InvalidInput(
            "invalid_import",
            "this is an MCP client's list of servers, not the configuration of a host of plugins: import the file that "
            "hyper-mcp is started with (--config-file)",
        )
    if "installs" in document or "servlets" in document:
        raise InvalidInput(
            "invalid_import",
            "this looks like an answer of mcp.run's API. Its profiles live there, not in a file: download "
            "each servlet's module, then run 'extism-registry publish' and 'install' on it",
        )
    _refuse(("plugins",), "an object of plugins by name", None)
