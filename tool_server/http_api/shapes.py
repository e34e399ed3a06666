"""The JSON shapes that exist on the wire alone: bodies, queries and answers. OpenAPI is made from them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, computed_field

from tool_server.model.call import CallRecord
from tool_server.model.caller import Scope
from tool_server.model.json_value import JsonObject
from tool_server.model.names import MAX_TOOL_PREFIX, TOOL_PREFIX_PATTERN
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, PluginSummary, Release, VersionSummary
from tool_server.model.secret import (
    MAX_HOST,
    MAX_SECRET_BYTES,
    MAX_SECRET_HOSTS,
    SECRET_HOST_PATTERN,
    SecretRecord,
)
from tool_server.model.settings import InstallationSettings
from tool_server.model.tool import QuarantinedTool
from tool_server.model.view import EVERYTHING, View

MAX_LIFETIME_SECONDS = 3_650 * 86_400
MAX_PAGE = 500
MAX_CALLS = 1_000
MAX_TOOLS = 1_000


def _decimal(value: object) -> object:
    # Pydantic alone would also read "1_0", " 1 " and "1.0".
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"\d{1,6}", value, re.ASCII):
        raise ValueError("write a whole number in decimal digits")
    return int(value)


_DECIMAL = BeforeValidator(_decimal)

PlainText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
"""Text that every database can look for."""


class Body(BaseModel):
    """What clients send: nothing is converted, nothing unknown is passed over."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class YankBody(Body):
    """Why a version is yanked; shown to whoever asks for it."""

    reason: Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00]*$")] | None = None


class InstallBody(Body):
    """Which version to pin."""

    version: str = Field(default="", description="a version or an npm range; empty: the newest release")
    granted: Permissions | None = Field(default=None, description="replaces what is granted; null: it stays")
    settings: InstallationSettings | None = Field(
        default=None, description="replaces the values of settings and the tools that are left out; null: they stay"
    )
    tool_prefix: Annotated[str, Field(max_length=MAX_TOOL_PREFIX, pattern=f"^{TOOL_PREFIX_PATTERN}$")] | None = Field(
        default=None,
        description="stands before the tools' own names instead of the plugin's name; empty: nothing does; "
        "null: as it was",
    )


class GrantBody(Body):
    """What to grant, or to take back."""

    permissions: Permissions


class TokenBody(Body):
    """A token to make."""

    name: str = Field(json_schema_extra={"pattern": "^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,63}$"})
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    lifetime_seconds: Annotated[int, Field(ge=1, le=MAX_LIFETIME_SECONDS)] | None = None
    view: View = Field(default=EVERYTHING, description="which tools it sees; by default all")


_Host = Annotated[str, Field(json_schema_extra={"pattern": f"^{SECRET_HOST_PATTERN}$", "maxLength": MAX_HOST})]


class SecretBody(Body):
    """A secret's value, and where it may be sent."""

    value: Annotated[str, Field(min_length=1, max_length=MAX_SECRET_BYTES)]
    hosts: Annotated[tuple[_Host, ...], Field(max_length=MAX_SECRET_HOSTS)] = Field(
        default=(), description="`HOST`, `*.HOST` or `HOST:PORT`; none: hosts that a permission names exactly"
    )
    plain_http: bool = Field(default=False, description="whether it may also be sent without TLS")


class Query(BaseModel):
    """Query parameters, all optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoQuery(Query):
    """For routes without any."""


class PluginQuery(Query):
    """A search, or one page of everything."""

    q: PlainText = Field(default="", description="looked for in name, description and keywords")
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE), _DECIMAL] = 100
    after: PlainText = Field(default="", description="the `next` of the page before")


class InstallationQuery(Query):
    """One page of the installations."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE), _DECIMAL] = MAX_PAGE
    after: PlainText = Field(default="", description="the `next` of the page before")


class ToolQuery(Query):
    """One page of the offered tools."""

    limit: Annotated[int, Field(ge=1, le=MAX_TOOLS), _DECIMAL] = MAX_TOOLS
    after: PlainText = Field(default="", description="the `next` of the page before")


class ReleaseQuery(Query):
    """Which version to show."""

    version: str = Field(default="", description="a version or an npm range; empty: the newest release")


class CallQuery(Query):
    """Which part of the call log to show."""

    limit: Annotated[int, Field(ge=1, le=MAX_CALLS), _DECIMAL] = 100
    tool: PlainText = Field(default="", description="only calls of this tool, by its MCP name; empty: of all")


class Answer(BaseModel):
    """What the server sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerInfo(Answer):
    """This server."""

    version: str


class Whoami(Answer):
    """Who the server takes the client for."""

    name: str
    scopes: tuple[Scope, ...]
    anonymous: bool
    server: ServerInfo


class PluginPage(Answer):
    """Plugins by name; `next` goes into `after`, null at the end."""

    items: tuple[PluginSummary, ...]
    next: str | None


class VersionList(Answer):
    """All versions of a plugin, newest first."""

    items: tuple[VersionSummary, ...]


class InstallationView(Answer):
    """An installation and what it offers. `tools` are MCP names."""

    installation: Installation
    tools: tuple[str, ...]
    quarantined: tuple[QuarantinedTool, ...]


class InstallationList(Answer):
    """Installations by plugin name; `next` goes into `after`, null at the end."""

    items: tuple[InstallationView, ...]
    next: str | None


class InstallationChange(Answer):
    """An installation after a command; `changed` is false when the pin was there already."""

    installation: Installation
    changed: bool


class GrantView(Answer):
    """What an installation asks for and has; see `PluginGrants`."""

    plugin: str
    version: str
    requested: Permissions
    granted: Permissions
    effective: Permissions
    missing: Permissions
    notes: tuple[str, ...]


class GrantList(Answer):
    """The grants of all installations, by plugin name."""

    items: tuple[GrantView, ...]


class GrantChanged(Answer):
    """An installation's grants after a command; `changed` is false when they were so already."""

    grants: GrantView
    changed: bool


class ToolView(Answer):
    """An offered tool, with MCP's names for its types."""

    name: str
    plugin: str
    version: str
    title: str | None
    description: str
    inputSchema: JsonObject
    outputSchema: JsonObject | None
    annotations: JsonObject


class QuarantinedView(Answer):
    """A tool that is not offered, and why."""

    plugin: str
    name: str
    rule: str
    reason: str


class ToolList(Answer):
    """Offered tools by name, with the first page those that are not offered; `next` goes into `after`, null at the
    end."""

    items: tuple[ToolView, ...]
    quarantined: tuple[QuarantinedView, ...]
    next: str | None


class TokenView(Answer):
    """A token without its secret or the secret's hash."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    view: View


class TokenMade(Answer):
    """A new token. The secret is shown this once."""

    token: TokenView
    secret: str


class TokenList(Answer):
    """All tokens, newest first."""

    items: tuple[TokenView, ...]


class SecretList(Answer):
    """All secrets by name, without their values."""

    items: tuple[SecretRecord, ...]


class CallList(Answer):
    """The newest calls first."""

    items: tuple[CallRecord, ...]


class CallResult(Answer):
    """What a tool answered, in MCP's shapes; `structuredContent` is there for tools with an output schema."""

    content: tuple[JsonObject, ...]
    isError: bool
    structuredContent: JsonObject | None = None
    meta: JsonObject | None = Field(default=None, alias="_meta")


class ReleaseView(Release):
    """One version of a plugin, its name and version beside the manifest that holds them too."""

    @classmethod
    def of(cls, release: Release) -> Self:
        """The view of a release, which is valid already."""
        return cls.model_construct(release.model_fields_set, **dict(release))

    @computed_field
    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return self.manifest.name

    @computed_field
    @property
    def version(self) -> str:
        """The semantic version."""
        return self.manifest.version


class Publication(Answer):
    """A stored version; `created` is false where the very same bytes were there."""

    release: ReleaseView
    created: bool


class Health(Answer):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Ready(Answer):
    """The server can serve."""

    status: Literal["ready"] = "ready"


class Problem(Answer):
    """A failure, in the manner of RFC 9457. `code` is a stable word, `detail` says what to do next."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    kind: Literal["invalid-input", "not-found", "conflict", "denied", "call-failed", "unavailable", "internal"]
    data: JsonObject


class IndexLine(Answer):
    """One version in the sparse index."""

    name: str
    vers: str
    digest: str
    size: int
    yanked: bool
    published_at: datetime
    dependencies: dict[str, str]
    permissions: Permissions
