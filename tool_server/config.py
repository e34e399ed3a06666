"""One frozen configuration, from `tool-server.toml` and `TOOL_SERVER_*` (the environment wins)."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tool_server.errors import InvalidInput
from tool_server.model.limits import Limits, parse_duration_ms, parse_size

PREFIX = "TOOL_SERVER_"
FILE_NAME = "tool-server.toml"
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


def _in_a_setting(parse: Callable[[Any], int]) -> Callable[[object], int]:
    def validate(value: object) -> int:
        try:
            return parse(value)
        except InvalidInput as error:
            # pydantic adds the setting's name to a ValueError alone.
            raise ValueError(error.message) from error

    return validate


Size = Annotated[int, BeforeValidator(_in_a_setting(parse_size))]
Milliseconds = Annotated[int, BeforeValidator(_in_a_setting(parse_duration_ms))]
CpuTime = Annotated[Milliseconds, Field(ge=100, le=10**9)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class LimitSettings(BaseModel):
    """`limits.*`: the ceilings that no manifest exceeds, and the defaults where it says nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: Size = 256 * 2**20
    """Linear memory of one call, bytes or with a unit."""
    timeout: Milliseconds = 60_000
    """Longest time a manifest may ask for, milliseconds or with a unit."""
    default_memory: Size = 64 * 2**20
    default_timeout: Milliseconds = 10_000
    input: Size = 4 * 2**20
    output: Size = 4 * 2**20
    fuel: int | None = None
    """Wasm instructions of one call; None leaves the guest to its time limit."""
    wasm: Size = 64 * 2**20
    """Largest module that can be published."""
    compile_timeout: Milliseconds = 120_000
    compile_memory: Size = 2 * 2**30
    queue: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Calls that may wait for a worker before further ones are refused as busy."""
    queue_timeout: Milliseconds = 60_000
    reserve: Annotated[int, Field(ge=0, le=16)] = 2
    """Calls beyond `workers`, for callers (and but for one, plugins) of whom nothing runs while long calls of others
    hold every worker."""
    caller_calls: Count | None = None
    """Calls of one caller at once. None: as many as there are workers; callers share by what they have used."""
    caller_queue: Count | None = None
    """Calls of one caller that may wait. None: the whole queue; when it is full, the longest line gives way."""
    caller_cpu: CpuTime | None = None
    """CPU time of one caller within a minute, milliseconds or with a unit; None: no bound."""
    plugin_calls: Count | None = None
    """Calls of one plugin at once."""
    plugin_queue: Count | None = None
    """Calls of one plugin that may wait."""
    plugin_cpu: CpuTime | None = None
    """CPU time of one plugin within a minute, milliseconds or with a unit; None: no bound."""

    def ceiling(self) -> Limits:
        """The most that any call gets."""
        return Limits(
            memory_bytes=self.memory,
            timeout_ms=self.timeout,
            fuel=self.fuel,
            input_bytes=self.input,
            output_bytes=self.output,
        )

    def defaults(self) -> Limits:
        """What a call gets where its manifest says nothing."""
        return Limits(
            memory_bytes=self.default_memory,
            timeout_ms=self.default_timeout,
            fuel=self.fuel,
            input_bytes=self.input,
            output_bytes=self.output,
        ).capped_by(self.ceiling())


class AuthSettings(BaseModel):
    """`auth.*`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anonymous_loopback: bool = True
    """Whether a request over loopback without a token may call tools."""


def _http_url(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s]*)?", value):
        raise ValueError(f"{value[:80]!r} is no HTTP URL: write one such as 'http://127.0.0.1:4318/v1/traces'")
    return value


class TracingSettings(BaseModel):
    """`tracing.*`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Annotated[str, AfterValidator(_http_url)] = ""
    """Where OpenTelemetry spans of calls go, an OTLP/HTTP URL; empty: nowhere. Needs the extra `tool-server[otel]`;
    with it the standard variables `OTEL_*` are respected too."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _log_level(name: str) -> str:
    if name.lower() not in LOG_LEVELS:
        raise ValueError(f"{name[:40]!r} is none of {', '.join(LOG_LEVELS)}")
    return name.lower()


def _data_folder(path: Path) -> Path:
    absolute = path.expanduser().absolute()
    if set("?#%") & set(str(absolute)):
        # The database's address is a URL, in which these end the path.
        raise ValueError("the path of the data folder may not hold '?', '#' or '%': choose another folder")
    return absolute


class Config(BaseModel):
    """Every setting in force."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Annotated[Path, AfterValidator(_data_folder)] = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("tool-server", appauthor=False))
    )
    database_url: str = ""
    """Empty: SQLite in `data_dir`."""
    artifacts_url: str = ""
    """Empty: a folder in `data_dir`."""
    workers: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=lambda: max(1, os.cpu_count() or 1))
    spare_workers: Annotated[int, Field(ge=0, le=16)] = 1
    """Started processes that wait to replace a killed worker."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """Further Host header values that are accepted, such as `tools.example.com`."""
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    log_level: Annotated[str, AfterValidator(_log_level)] = "info"
    metrics: bool = False
    """Whether `/metrics` gives figures for Prometheus."""
    limits: LimitSettings = LimitSettings()
    auth: AuthSettings = AuthSettings()
    tracing: TracingSettings = TracingSettings()

    @property
    def effective_database_url(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'tool-server.db'}"

    @property
    def effective_artifacts_url(self) -> str:
        """URL of the artifact store."""
        return self.artifacts_url or (self.data_dir / "artifacts").as_uri()

    @property
    def compile_cache(self) -> Path:
        """Folder of compiled code. Whoever writes there runs code in workers."""
        return self.data_dir / "compiled"


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration and, for each dotted setting, where its value came from."""

    config: Config
    origins: Mapping[str, str]

    @classmethod
    def load(cls, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Self:
        """Read the file, then the environment, then `overrides` (command line options, dotted names).

        The file is `TOOL_SERVER_CONFIG`, else `tool-server.toml` in the working folder, else in the data folder.

        Raises:
            InvalidInput: `invalid_config`, naming the setting and where it was set.
        """
        given: dict[str, Any] = {}
        origins: dict[str, str] = {}
        path = _config_file(environment, overrides or {})
        if path is not None:
            _take(given, origins, flatten(_read_toml(path)), str(path))
        from_environment = {
            name.removeprefix(PREFIX).lower().replace("__", "."): value
            for name, value in environment.items()
            if name.startswith(PREFIX) and name not in _NOT_SETTINGS
        }
        if "data" in from_environment:
            from_environment["data_dir"] = from_environment.pop("data")
        for name, value in from_environment.items():
            spelling = f"{PREFIX}{name.upper().replace('.', '__')}"
            _take(given, origins, {name: value}, spelling)
        _take(given, origins, dict(overrides or {}), "command line")
        return cls(_validated(given, origins), origins)


_NOT_SETTINGS = frozenset(f"{PREFIX}{name}" for name in ("CONFIG", "DEBUG", "TOKEN", "URL"))


def _config_file(environment: Mapping[str, str], overrides: Mapping[str, Any]) -> Path | None:
    named = environment.get(f"{PREFIX}CONFIG")
    if named:
        return Path(named)
    folder = overrides.get("data_dir") or environment.get(f"{PREFIX}DATA") or environment.get(f"{PREFIX}DATA_DIR")
    candidates = [
        Path(FILE_NAME),
        Path(folder or platformdirs.user_data_dir("tool-server", appauthor=False), FILE_NAME),
    ]
    return next((path for path in candidates if path.is_file()), None)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput("invalid_config", f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("invalid_config", f"{path} is not TOML: {error}") from error


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with dotted names: `{"limits": {"queue": 7}}` is `{"limits.queue": 7}`."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))  # pyright: ignore[reportUnknownArgumentType]
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _take(given: dict[str, Any], origins: dict[str, str], values: Mapping[str, Any], origin: str) -> None:
    for name, value in values.items():
        if value is not None:
            given[name] = value
            origins[name] = origin


def _validated(flat: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    nested: dict[str, Any] = {}
    for dotted, value in sorted(flat.items()):
        *parents, last = dotted.split(".")
        table: Any = nested
        try:
            for parent in parents:
                table = table.setdefault(parent, {})
            table[last] = value
        except (AttributeError, TypeError) as error:
            # What is said to be a table has a value of its own.
            raise InvalidInput(
                "invalid_config", f"{dotted} (from {origins[dotted]}): there is no such setting"
            ) from error
    try:
        return Config.model_validate(nested)
    except ValidationError as error:
        first = error.errors()[0]
        dotted = ".".join(str(part) for part in first["loc"])
        origin = origins.get(dotted, "the configuration")
        message = (
            "there is no such setting"
            if first["type"] == "extra_forbidden"
            else first["msg"].removeprefix("Value error, ")
        )
        raise InvalidInput(
            "invalid_config", f"{dotted} (from {origin}): {message}", {"setting": dotted, "origin": origin}
        ) from error
