"""One frozen configuration, from `tool-server.toml` and `TOOL_SERVER_*` (the environment wins)."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from tool_server.errors import InvalidInput
from tool_server.model.folder_permission import FolderPermission, guest_path
from tool_server.model.limits import MAX_FUEL, Limits, parse_duration_ms, parse_size
from tool_server.model.protection import Protection
from tool_server.model.task import TaskBounds

PREFIX = "TOOL_SERVER_"
TABLES = frozenset({"filesystem.roots"})
"""Settings whose value is itself a table, with keys that the operator chooses."""
FILE_NAME = "tool-server.toml"
MAX_ROOTS = 16
"""Every folder takes one of a worker's descriptors."""
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


class TaskSettings(BaseModel):
    """`limits.tasks.*`: calls that outlive their requests (MCP's tasks)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kept: Count = 10_000
    """Tasks that are kept, running or over; further ones are refused as busy."""
    caller_kept: Count = 100
    """Tasks of one caller."""
    result: Size = 8 * 2**20
    """Largest result that is kept, bytes of its JSON or with a unit."""
    bytes: Size = 2**30
    """Bytes of all results."""
    caller_bytes: Size = 64 * 2**20
    """Bytes of all results of one caller."""
    run: Annotated[Milliseconds, Field(ge=100)] = 30 * 60_000
    """Longest time from a task's begin to its end, waits for its client's answers included."""
    input: Annotated[Milliseconds, Field(ge=100)] = 15 * 60_000
    """How long a task waits for its client's answers."""
    keep: Annotated[Milliseconds, Field(ge=100)] = 60 * 60_000
    """How long a task is kept from its begin; it is then forgotten, and its result with it."""
    poll: Annotated[Milliseconds, Field(ge=10, le=600_000)] = 1_000
    """How often clients are told to look."""

    @model_validator(mode="after")
    def _outlives_its_run(self) -> Self:
        if self.keep < self.run:
            raise ValueError("'keep' may not be shorter than 'run': a running task would be forgotten")
        return self

    def bounds(self) -> TaskBounds:
        """As the service takes them."""
        return TaskBounds(
            tasks=self.kept,
            caller_tasks=self.caller_kept,
            result_bytes=self.result,
            bytes=self.bytes,
            caller_bytes=self.caller_bytes,
            run_seconds=self.run / 1_000,
            input_seconds=self.input / 1_000,
            keep_seconds=self.keep / 1_000,
        )


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
    fuel: Annotated[int, Field(ge=1, le=MAX_FUEL)] | None = None
    """Wasm instructions of one call; None leaves the guest to its time limit."""
    wasm: Size = 64 * 2**20
    """Largest module that can be published."""
    compile_timeout: Milliseconds = 120_000
    compile_memory: Size = 2 * 2**30
    validation_timeout: Annotated[Milliseconds, Field(ge=100)] = 5_000
    """Longest time that checking one call's arguments or one output against its schema may take."""
    queue: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Calls that may wait for a worker before further ones are refused as busy."""
    queue_timeout: Milliseconds = 60_000
    reserve: Annotated[int, Field(ge=0, le=16)] = 2
    """Calls beyond `workers`, for callers (and but for one, plugins) of whom nothing runs while long calls of others
    hold every worker."""
    nested_calls: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Calls of other tools that may follow from one call, whoever of them makes them. They run within its time."""
    client_answer: Annotated[Milliseconds, Field(ge=1_000, le=24 * 3_600_000)] = 600_000
    """How long a client may take to answer what a plugin asks it, such as a form for its user."""
    client_questions: Count = 1_000
    """Calls that may wait at once for clients of the handshake era; those of 2026-07-28 keep them themselves."""
    sessions: Count = 1_000
    """Sessions of HTTP clients of the handshake era. Beyond that they are served without one, and cannot be asked."""
    session_idle: Annotated[Milliseconds, Field(ge=1_000)] = 1_800_000
    """How long such a session lasts without a request."""
    stream: Annotated[Milliseconds, Field(ge=100)] = 300_000
    """How long the response to a call in such a session is held open, from 2025-11-25 on: a longer call goes on, and
    its client comes back for the result."""
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
    tasks: TaskSettings = TaskSettings()

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


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    return {guest.strip(): shared.strip() for guest, _, shared in pairs}


def _roots(roots: Mapping[str, str]) -> Mapping[str, str]:
    if len(roots) > MAX_ROOTS:
        raise ValueError(f"at most {MAX_ROOTS} roots can be shared: share a folder that holds several of them")
    for guest, shared in roots.items():
        try:
            guest_path(guest)
            FolderPermission.parse(shared)
        except ValueError as error:
            raise ValueError(f"{guest[:80]!r}: {error}; write an absolute path, such as '/data'") from error
        except InvalidInput as error:
            raise ValueError(f"{guest[:80]!r}: {error.message}") from error
    return roots


class AuthSettings(BaseModel):
    """`auth.*`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anonymous_loopback: bool = True
    """Whether a request over loopback without a token may call tools."""


class FilesystemSettings(BaseModel):
    """`filesystem.*`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roots: Annotated[Mapping[str, str], BeforeValidator(_pairs), AfterValidator(_roots)] = {}
    """Folders that plugins may be granted: the path that guests see, and `HOST_FOLDER:read` or `HOST_FOLDER:write`,
    the most that anyone may do there. In the environment: `/data=/srv/shared/data:read,/out=/srv/out:write`."""


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


class SandboxSettings(BaseModel):
    """`sandbox.*`: what keeps the processes that run plugins harmless."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    require: Annotated[tuple[Protection, ...], BeforeValidator(_split)] = ()
    """Protections without which the server does not start, such as `["landlock", "seccomp", "network", "user"]`."""
    protections: Annotated[tuple[Protection, ...], BeforeValidator(_split)] = tuple(Protection)
    """Protections that are tried. To leave one out is for finding out what breaks under it."""
    reuse: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """Tools that may keep their instance from call to call of one caller, by MCP name; all others get fresh ones."""
    cache: Size = 4 * 2**30
    """Compiled code that is kept on disk, bytes or with a unit; what was not used for longest goes first."""


def _networks(blocks: tuple[str, ...]) -> tuple[str, ...]:
    for block in blocks:
        try:
            ip_network(block)
        except ValueError as error:
            raise ValueError(f"{block[:60]!r} is no network: write '10.1.0.0/16'") from error
    return blocks


class EgressSettings(BaseModel):
    """`egress.*`: HTTP requests of guests, which the server makes for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: Milliseconds = 30_000
    """Longest time of a request with its redirects; the call's own limit may end it earlier."""
    redirects: Annotated[int, Field(ge=0, le=20)] = 5
    """Redirects that are followed; 0 hands the first one to the guest."""
    request_bytes: Size = 4 * 2**20
    """Largest body that is sent."""
    response_bytes: Size = 16 * 2**20
    """Largest body that is received, before and after decompression."""
    header_bytes: Size = 64 * 2**10
    """Most bytes in an answer's headers."""
    requests_per_call: Annotated[int, Field(ge=0, le=1_000)] = 100
    """Requests of one call, redirects included."""
    plugin_connections: Annotated[int, Field(ge=1, le=1_000)] = 8
    """Requests of one plugin at once; further ones wait."""
    connections: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests at once in all; further ones are refused as busy."""
    allow_addresses: Annotated[tuple[str, ...], AfterValidator(_networks), BeforeValidator(_split)] = ()
    """Networks that may be reached although they are not public, such as `10.1.0.0/16`."""
    ca_file: Path | None = None
    """Certificates (PEM) of authorities that are trusted beside the usual ones."""


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
    sandbox: SandboxSettings = SandboxSettings()
    filesystem: FilesystemSettings = FilesystemSettings()
    egress: EgressSettings = EgressSettings()
    secrets_key: SecretStr = SecretStr("")
    """Key that secrets are encrypted with, 64 hexadecimal digits; empty: a file in `data_dir`, made when needed."""
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
    def private_paths(self) -> tuple[Path, ...]:
        """Where the server keeps what nobody else may touch, as far as it is on this machine."""
        paths = [self.data_dir]
        dialect, _, database = self.effective_database_url.partition(":///")
        if dialect.partition("+")[0] == "sqlite" and database:
            paths.append(Path(database.partition("?")[0]))
        if self.effective_artifacts_url.startswith("file://"):
            paths.append(Path(unquote(urlsplit(self.effective_artifacts_url).path)))
        return tuple(path.absolute() for path in paths)

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
        if isinstance(value, dict) and f"{prefix}{key}" not in TABLES:
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
