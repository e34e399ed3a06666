"""One invocation: what goes to the sandbox, what comes back, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from tool_server.errors import Unavailable
from tool_server.model.client import NO_CLIENT, ClientChannel, ClientRequest
from tool_server.model.folder_permission import Folder
from tool_server.model.json_value import JsonObject
from tool_server.model.limits import Limits
from tool_server.model.nesting import CallTree, ParentCall
from tool_server.model.permission import Permissions
from tool_server.model.redaction import Redactor
from tool_server.model.release import Program
from tool_server.model.transcript import Transcript

MAX_REQUESTS = 1_001
"""Requests that one call's record holds: the most that may be allowed, and the one that was too many."""

MAX_SECRET_READS = 100
"""Secrets that one call may ask for."""


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """One HTTP request that a guest asked for, made or refused; each redirect is one more. No query, no bodies."""

    method: str
    scheme: str
    host: str
    """Empty, as the other parts of the URL are, where it could not be read."""
    port: int
    path: str
    """Without the query, at most 256 characters."""
    outcome: str
    """`ok`, `cancelled`, or the code of the error."""
    address: str | None = None
    """The IP address that was connected to."""
    status: int | None = None
    bytes_out: int = 0
    """Bytes of the body that was sent."""
    bytes_in: int = 0
    """Bytes of the body that was received, before decompression."""
    duration_us: int = 0


@dataclass(frozen=True, slots=True)
class SecretRead:
    """A secret that a guest asked to hold itself. Never its value."""

    name: str
    outcome: str
    """`ok`, or why the guest got nothing: `not_permitted`, `unknown_secret`, `bound_to_hosts`, `kept_instance`."""


class CallJournal:
    """What the host functions of a running call leave for its record, and the secrets that its result must not show."""

    tree: CallTree | None = None
    """The calls of other tools that followed from this one of a client's, where there are any."""
    transcript: Transcript | None = None
    """What the guest has asked of its host, where its client may be asked something."""
    unanswerable: Unavailable | None = None
    """Why the guest's client could not be asked, where it asked in vain."""

    def __init__(self) -> None:
        self._requests: list[OutboundRequest] = []
        self._secret_reads: list[SecretRead] = []
        self._lines = 0
        self._announcements = 0
        self.redactor = Redactor()

    @property
    def requests(self) -> tuple[OutboundRequest, ...]:
        """The requests in the order in which they ended."""
        return tuple(self._requests)

    def add(self, request: OutboundRequest) -> None:
        """Keep a request; beyond `MAX_REQUESTS` it is dropped."""
        if len(self._requests) < MAX_REQUESTS:
            self._requests.append(request)

    @property
    def secret_reads(self) -> tuple[SecretRead, ...]:
        """The secrets that the guest asked for, in this order."""
        return tuple(self._secret_reads)

    def add_secret_read(self, read: SecretRead) -> None:
        """Keep one; beyond `MAX_SECRET_READS` it is dropped."""
        if len(self._secret_reads) < MAX_SECRET_READS:
            self._secret_reads.append(read)

    def take_announcement(self) -> int:
        """Count one more of what the guest announces to clients; which one it is, from 1."""
        self._announcements += 1
        return self._announcements

    def take_line(self) -> int:
        """Count one more line of the guest's log that came as a host call; which one it is, from 1."""
        self._lines += 1
        return self._lines


@dataclass(frozen=True, slots=True)
class Call:
    """Everything the sandbox needs; nothing below `services.invoke` looks anything up.

    `config` holds the values of Extism's `config_get`, already cut down to the effective permission, and `folders`
    the host folders that it opens, already cut down to the operator's roots.
    """

    id: str
    tool: str
    plugin: str
    caller: str
    program: Program
    permissions: Permissions
    limits: Limits
    export: str
    input: bytes
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    reuse: bool = False
    """Whether the operator lets this tool keep its instance from call to call of one caller."""
    folders: tuple[Folder, ...] = ()
    journal: CallJournal = field(default_factory=CallJournal, compare=False, repr=False)
    parent: ParentCall | None = None
    """The call that asked for this one; None where a client did."""
    client: ClientChannel = field(default=NO_CLIENT, compare=False, repr=False)
    """The client whose call this is, or follows from."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One export to run while a module is being inspected, such as `describe`."""

    export: str
    input: bytes = b""


class Timings(NamedTuple):
    """Where a call's time went, microseconds."""

    queue_us: int = 0
    """Waiting for a free worker."""
    instantiate_us: int = 0
    """Loading (at the first call) and making the instance."""
    run_us: int = 0
    """In the guest and its host calls."""


class GuestOutput(NamedTuple):
    """The bytes an export left on the Extism output."""

    data: bytes
    timings: Timings


class Pending(NamedTuple):
    """A call that goes on when its client calls once more, with answers."""

    requests: Mapping[str, ClientRequest]
    """The questions that are not answered yet."""
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What an MCP client gets, in MCP's own JSON shapes.

    `content` items are content blocks as on the wire; `structured` is present for tools with an output schema.
    """

    content: tuple[JsonObject, ...]
    structured: JsonObject | None = None
    is_error: bool = False
    meta: JsonObject | None = None
    pending: Pending | None = None
    """Where there is no result yet; the other fields are empty then."""


class Outcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    TOOL_ERROR = "tool_error"
    """The tool itself answered with `isError`."""
    INVALID_ARGUMENTS = "invalid_arguments"
    DENIED = "denied"
    FAILED = "failed"
    """A `CallFailed`; the record's `error` holds its code."""
    UNAVAILABLE = "unavailable"
    CANCELLED = "cancelled"
    INPUT_REQUIRED = "input_required"
    """The client was asked something, and is to call once more with its answers."""
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One row of the call log. Hashes and sizes, never the values themselves."""

    id: str
    started_at: datetime
    caller: str
    tool: str
    plugin: str
    version: str
    digest: str
    arguments_hash: str
    arguments_bytes: int
    result_hash: str | None
    result_bytes: int | None
    outcome: Outcome
    error: str | None
    """The error's code, where there is one."""
    timings: Timings
    total_us: int
    requests: tuple[OutboundRequest, ...] = ()
    """What the guest asked of the network."""
    parent: str | None = None
    """The id of the call whose plugin asked for this one; None where a client did."""
    secret_reads: tuple[SecretRead, ...] = ()
    """Secrets that the guest asked to hold itself."""
