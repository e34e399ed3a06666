"""The seams of the house: what services ask of storage, sandbox and clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from tool_server.errors import ToolServerError
from tool_server.model.call import Call, CallRecord, GuestOutput, Probe, ToolResult
from tool_server.model.caller import TokenRecord
from tool_server.model.catalog import CatalogEntry, InstalledTool, OfferChanges, OfferedTool
from tool_server.model.item import InstalledItem
from tool_server.model.item_kind import OfferedItem
from tool_server.model.json_value import JsonObject
from tool_server.model.limits import Limits
from tool_server.model.release import (
    Installation,
    PluginSummary,
    Program,
    Release,
    VersionSummary,
)
from tool_server.model.search import SearchTerms, ToolDocument, ToolFilter
from tool_server.model.secret import Secret, SecretRecord
from tool_server.model.task import Task, TaskBounds, TaskFailure
from tool_server.model.tool import Finding, ToolDefinition


class Clock(Protocol):
    """Time, so that expiry can be tested without waiting."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class PluginStore(Protocol):
    """Plugins, their versions and this server's installations.

    Every method raises `Unavailable` (`database_locked`, `disk_full`, `database_error`) when the database cannot
    answer. Writes are one transaction each: after an error nothing has changed.
    """

    async def add_version(self, release: Release) -> bool:
        """Store a new version and, with the first one, the plugin, owned by `release.publisher`.

        Returns False when the same version with equal manifest and wasm digests is already there.

        Raises:
            Conflict: `version_exists`, the version is there with other bytes.
            Denied: `not_owner`, the plugin belongs to another publisher.
        """
        ...

    async def find_published(
        self, plugin: str, version: str, *, publisher: str, digest: str, manifest_digest: Callable[[], str]
    ) -> Release | None:
        """The version, where it is stored with these digests of wasm and manifest; None where it could be added.

        The manifest's is asked for only where the version is there: of a large one it takes a while.

        Raises:
            Conflict: `version_exists`, the version is there with other bytes.
            Denied: `not_owner`, the plugin belongs to another publisher.
        """
        ...

    async def get_version(self, plugin: str, version: str) -> Release:
        """One version.

        Raises:
            NotFound: `unknown_plugin` or `unknown_version`.
        """
        ...

    async def list_versions(self, plugin: str) -> tuple[VersionSummary, ...]:
        """All versions, newest first by semver, the yanked ones included.

        Raises:
            NotFound: `unknown_plugin`.
        """
        ...

    async def list_plugins(self, query: str = "", limit: int = 100, after: str = "") -> tuple[PluginSummary, ...]:
        """At most `limit` plugins by name, those after the name `after`; `query` is looked for in name,
        description and keywords, without regard to case."""
        ...

    async def set_yanked(self, plugin: str, version: str, yanked: bool, reason: str | None = None) -> None:
        """Hide a version from new resolution, or show it again.

        Raises:
            NotFound: `unknown_plugin` or `unknown_version`.
        """
        ...

    async def change_installation(
        self, plugin: str, change: Callable[[Installation | None], Installation]
    ) -> tuple[Installation | None, Installation]:
        """Install or re-pin a plugin: `change` makes the new installation from the present one (None: there is none).

        Nobody else changes it meanwhile; what `change` raises comes out, and nothing has changed. A result that
        differs advances the revision. `change` runs in a worker thread and must be quick and pure.

        Returns:
            The installation before and after.

        Raises:
            NotFound: `unknown_version`.
        """
        ...

    async def remove_installation(self, plugin: str) -> None:
        """Uninstall; advances the revision.

        Raises:
            NotFound: `not_installed`.
        """
        ...

    async def get_installation(self, plugin: str) -> Installation | None:
        """The plugin's pin, or None."""
        ...

    async def list_installed(self, limit: int | None = None, after: str = "") -> tuple[Installation, ...]:
        """At most `limit` installations by plugin name (None: all), those after the name `after`."""
        ...

    async def offers_since(self, revision: int) -> OfferChanges:
        """What the plugins offer whose installation changed after `revision`; nothing else is read.

        With -1, and with a revision that the store never had, everything there is.
        """
        ...

    async def read_tools(self, wanted: Sequence[OfferedTool]) -> tuple[InstalledTool | None, ...]:
        """What calls to these tools need, each None where its plugin's installation has changed since."""
        ...

    async def read_items(self, wanted: Sequence[OfferedItem]) -> tuple[InstalledItem | None, ...]:
        """What asking for these prompts, resources and templates needs, each None as for `read_tools`."""
        ...

    async def revision(self) -> int:
        """A number that grows with every change of an installation, also one made by another process."""
        ...

    async def referenced_digests(self) -> frozenset[str]:
        """The wasm digests that some version points to."""
        ...

    async def check(self) -> tuple[str, ...]:
        """Problems found in the database itself (integrity, schema version), as sentences; empty when clean."""
        ...


class ArtifactStore(Protocol):
    """Immutable bytes, named by their SHA-256 (64 hexadecimal characters)."""

    async def put(self, data: bytes) -> str:
        """Store and return the digest; a digest that is already there is left as it is.

        Raises:
            Unavailable: `disk_full` or `storage_error`.
        """
        ...

    async def get(self, digest: str) -> bytes:
        """The bytes, hashed again on the way.

        Raises:
            NotFound: `unknown_artifact`.
            Unavailable: `corrupt_artifact` when the bytes do not have that digest any more, or `storage_error`.
        """
        ...

    async def exists(self, digest: str) -> bool:
        """Whether bytes of that digest are stored."""
        ...

    async def delete(self, digest: str) -> None:
        """Remove; a missing digest is no error."""
        ...

    def digests(self) -> AsyncIterator[str]:
        """All stored digests, in no order."""
        ...


class TokenStore(Protocol):
    """Bearer tokens, hashed."""

    async def add(self, token: TokenRecord) -> None:
        """Store.

        Raises:
            Conflict: `token_exists`, a live token has this name.
        """
        ...

    async def get(self, token_id: str) -> TokenRecord | None:
        """One token by its public part, or None."""
        ...

    async def list_tokens(self) -> tuple[TokenRecord, ...]:
        """All tokens, newest first."""
        ...

    async def revoke(self, name_or_id: str, at: datetime) -> TokenRecord:
        """Mark as revoked.

        Raises:
            NotFound: `unknown_token`.
        """
        ...


class SecretStore(Protocol):
    """Secrets, encrypted at rest; a value leaves only through `get`.

    Every method that touches a value raises `Unavailable` (`secrets_key`) when the key is missing or another one.
    """

    async def put(self, record: SecretRecord, value: str) -> SecretRecord:
        """Store or replace; returns the record as it is afterwards, one that is replaced keeps its `created_at`."""
        ...

    async def get(self, name: str) -> Secret | None:
        """One secret with its value, or None."""
        ...

    async def list_secrets(self) -> tuple[SecretRecord, ...]:
        """All records by name."""
        ...

    async def remove(self, name: str) -> None:
        """Forget.

        Raises:
            NotFound: `unknown_secret`.
        """
        ...


class RequestStates(Protocol):
    """What clients keep of calls that wait for their answers: nobody else can read, change or use it twice."""

    async def seal(self, state: bytes, bound_to: bytes) -> str:
        """Text for the client.

        Args:
            state: any bytes.
            bound_to: must be given again to `open`.

        Raises:
            Unavailable: `secrets_key`, there is no key.
        """
        ...

    async def open(self, sealed: str, bound_to: bytes) -> bytes:
        """The state again.

        Raises:
            InvalidInput: `invalid_request_state`, it is not what `seal` made for this purpose.
        """
        ...

    async def spend(self, state_id: str, expires_at: datetime, now: datetime) -> bool:
        """Note that a state is used, until it expires; False where it was noted before.

        Raises:
            Unavailable: as for `PluginStore`.
        """
        ...


class ToolIndex(Protocol):
    """Full text of the offered tools. Every method blocks and is run in a thread, one at a time.

    Raises `Unavailable` from every method: `search_index`, with the reason.
    """

    def change(self, gone: Sequence[str], documents: Sequence[ToolDocument]) -> None:
        """Forget the tools of these names, then take in these documents, or nothing of it all.

        A name that is not there is no error; a document replaces one of the same name.
        """
        ...

    def search(self, terms: SearchTerms, within: ToolFilter, limit: int) -> tuple[str, ...]:
        """At most `limit` MCP names, the best first; a tool that the query names exactly comes before all others.

        Without words, the tools by name.
        """
        ...

    def close(self) -> None:
        """End; what was indexed is gone."""
        ...


class TaskStore(Protocol):
    """Tasks: calls that outlive the requests that began them. Each is run by one process.

    Every method raises `Unavailable` as those of `PluginStore` do.
    """

    async def add(self, task: Task, owner: str, owned_until: datetime, bounds: TaskBounds) -> None:
        """Store a new task of the process `owner`, which is known to live until that moment.

        Raises:
            Unavailable: `busy`, there are as many tasks, or as many bytes of results, as there may be.
        """
        ...

    async def get(self, task_id: str, caller: str) -> Task | None:
        """A task of this caller, or None."""
        ...

    async def change(self, task_id: str, change: Callable[[Task], Task], bounds: TaskBounds) -> Task | None:
        """Put what `change` makes of a task in its place, and return it; None where there is no such task.

        Nobody else changes it meanwhile; what `change` raises comes out, and nothing has changed. It runs in a worker
        thread and must be quick and pure.

        Raises:
            Unavailable: `busy`, its result does not fit beside those that are kept.
        """
        ...

    async def extend(self, owner: str, owned_until: datetime) -> frozenset[str]:
        """Note that a process lives on; the ids of its tasks that are not over."""
        ...

    async def fail(self, failure: TaskFailure, now: datetime, owner: str | None = None) -> int:
        """Fail tasks that are not over, and say how many: of `owner`, or of every process that is not known to live."""
        ...

    async def remove_expired(self, now: datetime) -> int:
        """Forget the tasks whose time has come, whatever their status; how many."""
        ...

    async def count(self) -> int:
        """How many tasks are kept."""
        ...


class CallLog(Protocol):
    """The record of calls, append only."""

    async def append(self, records: Sequence[CallRecord]) -> None:
        """Write a batch in one transaction.

        Raises:
            Unavailable: as for `PluginStore`.
        """
        ...

    async def append_missing(self, records: Sequence[CallRecord]) -> None:
        """Write those whose ids are not there yet, in one transaction.

        Raises:
            Unavailable: as for `PluginStore`.
        """
        ...

    async def recent(self, limit: int = 100, *, tool: str | None = None) -> tuple[CallRecord, ...]:
        """The newest records first."""
        ...

    async def count(self) -> int:
        """How many records there are."""
        ...


class CallLeftover(Protocol):
    """Records that a process wrote to its journal before it died; nobody else may take them meanwhile."""

    @property
    def records(self) -> Sequence[CallRecord]:
        """In the order they were made. Some of them may be in the call log already."""
        ...

    def discard(self) -> None:
        """Forget them: they are in the call log."""
        ...

    def release(self) -> None:
        """Leave them to whoever starts next; does nothing after `discard`."""
        ...


class CallJournal(Protocol):
    """Records on their way into the call log, kept where the death of this process cannot lose them.

    No method waits. The journal has two sides: one that fills, and one that rests while its records are written to the
    call log.
    """

    def append(self, record: CallRecord) -> None:
        """Keep one record on the side that fills.

        Raises:
            Unavailable: `journal_failed`; nothing was written.
        """
        ...

    def turn(self) -> None:
        """Let the other side fill; it must be empty."""
        ...

    def forget(self) -> None:
        """Empty the side that rests: the call log has its records."""
        ...

    def close(self) -> None:
        """End; what was not forgotten becomes a leftover."""
        ...

    def leftovers(self) -> Sequence[CallLeftover]:
        """What dead processes left in the same place. Reads files: run it in a thread."""
        ...


class Validation(Protocol):
    """Where schemas are compiled and values checked: in the event loop what is done in no time, elsewhere the rest.

    No schema and no value, whatever it is, keeps the event loop. Beside the errors below every method raises
    `Unavailable`: `busy`, too many are waiting; `worker_start_failed`; `worker_lost`; `shutting_down`.
    """

    async def encode_arguments(
        self, entry: CatalogEntry, arguments: JsonObject, *, call: str, caller: str, wants_progress: bool = False
    ) -> bytes:
        """The Extism input of a tool's arguments, checked and with the schema's defaults filled in.

        Args:
            entry: the tool.
            arguments: JSON values; they are not changed.
            call: the call's id, which some plugins are told.
            caller: in whose turn the check waits.
            wants_progress: whether the client is to be told of the call's progress, which some plugins are told.

        Raises:
            InvalidInput: `invalid_arguments`, with `{"errors": [{"path", "expected", "got", "keyword"}]}`;
                `validation_limit`, checking them takes more time or memory than a call may.
        """
        ...

    async def decode_output(self, entry: CatalogEntry, data: bytes, *, caller: str) -> ToolResult:
        """What clients get from an Extism output, checked against the tool's output schema.

        Raises:
            CallFailed: `bad_output`.
        """
        ...

    async def lint(self, plugin: str, tools: Sequence[ToolDefinition]) -> tuple[Finding, ...]:
        """The findings about each of the tools, in their order (`inspection.lint.lint_tool`).

        Raises:
            InvalidInput: `validation_limit`, it takes more time or memory than a publish may.
        """
        ...


class Sandbox(Protocol):
    """Where guests run. The server process itself never compiles, instantiates or validates one."""

    async def inspect(
        self, program: Program, wasm: bytes, probes: Sequence[Probe] = (), limits: Limits | None = None
    ) -> tuple[bytes | ToolServerError, ...]:
        """Compile in a disposable worker, filling the compile cache, then run the probes one after another.

        Returns one entry for each probe: its output, or the typed error it ended in.

        Raises:
            InvalidInput: `invalid_wasm`, the engine refuses the module; `compile_limit`, compiling it took more
                time or memory than a publish may.
            Unavailable: `worker_start_failed`; `busy`, others are being inspected for too long; `shutting_down`.
        """
        ...

    async def run(self, call: Call) -> GuestOutput:
        """Run one call in a fresh instance. Cancelling the awaiting task stops the guest.

        Raises:
            CallFailed: see its codes.
            InvalidInput: `input_too_large`.
            Unavailable: `busy`, the queue is full; `worker_start_failed`; `shutting_down`; `folder_unavailable`, one
                of the call's folders is not there.
        """
        ...
