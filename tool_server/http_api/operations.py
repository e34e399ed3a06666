"""Every operation of the REST API, as data: what OpenAPI says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from tool_server.http_api.shapes import (
    CallList,
    CallQuery,
    CallResult,
    GrantBody,
    GrantChanged,
    GrantList,
    GrantView,
    Health,
    InstallationChange,
    InstallationList,
    InstallationQuery,
    InstallBody,
    NoQuery,
    PluginPage,
    PluginQuery,
    Publication,
    Query,
    Ready,
    ReleaseQuery,
    ReleaseView,
    SecretBody,
    SecretList,
    TokenBody,
    TokenList,
    TokenMade,
    TokenView,
    ToolList,
    ToolQuery,
    VersionList,
    Whoami,
    YankBody,
)
from tool_server.model.caller import Scope
from tool_server.model.secret import SecretRecord


@dataclass(frozen=True, slots=True)
class Success:
    """One way an operation succeeds: its meaning, and what the answer holds."""

    description: str
    answer: type[BaseModel] | str | None = None
    """A model sent as JSON, another media type, or nothing."""
    headers: tuple[str, ...] = ()
    """Names in OpenAPI's `components/headers`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    name: str
    summary: str
    tag: str
    scope: Scope | None
    """What the caller must have; None for routes that are open."""
    success: Mapping[int, Success]
    problems: tuple[int, ...] = ()
    """Statuses of failures beyond those that every operation has."""
    query: type[Query] = NoQuery
    body: type[BaseModel] | str | None = None
    """A model sent as JSON, or `"upload"` or `"arguments"`."""
    body_required: bool = False
    detail: str = ""
    parameters: tuple[str, ...] = field(default=())
    """Names in OpenAPI's `components/parameters`, the path's excepted."""


_BODY = (408, 413, 415)
_KEPT = ("ETag", "CacheControl")
_UNCHANGED = Success("what If-None-Match names is still right", headers=_KEPT)

_PLUGIN = "/api/v1/plugins/{plugin}"
_YANK = f"{_PLUGIN}/versions/{{version}}/yank"
_INSTALLATION = "/api/v1/installations/{plugin}"
_SECRETS_OF = "/api/v1/secrets"

_ABOUT = (
    Operation(
        "GET", "/healthz", "alive", "Whether the process lives", "server", None, {200: Success("it does", Health)}
    ),
    Operation(
        *("GET", "/readyz", "ready", "Whether the server can serve", "server", None),
        {200: Success("it can", Ready)},
        problems=(503,),
    ),
    Operation(
        *("GET", "/api/openapi.json", "openapi", "This document", "server", Scope.READ),
        {200: Success("OpenAPI 3.1", "application/json")},
    ),
    Operation(
        *("GET", "/api/v1/whoami", "whoami", "Who the server takes the client for", "server", Scope.READ),
        {200: Success("the caller", Whoami)},
    ),
)

_PLUGINS = (
    Operation(
        *("GET", "/api/v1/plugins", "list_plugins", "Search the registry", "plugins", Scope.READ),
        {200: Success("one page, by name", PluginPage)},
        query=PluginQuery,
    ),
    Operation(
        *("POST", "/api/v1/plugins", "publish", "Publish a version", "plugins", Scope.PUBLISH),
        {
            201: Success("stored", Publication, ("Location",)),
            200: Success("the very same bytes were there", Publication, ("Location",)),
        },
        problems=(*_BODY, 409, 422, 429, 504),
        body="upload",
        body_required=True,
        detail="The first version makes the caller the plugin's owner. A version is never replaced.",
    ),
    Operation(
        *("GET", _PLUGIN, "show_plugin", "Show a version", "plugins", Scope.READ),
        {200: Success("the version, the newest that fits", ReleaseView)},
        problems=(404,),
        query=ReleaseQuery,
    ),
    Operation(
        *("GET", f"{_PLUGIN}/versions", "list_versions", "List a plugin's versions", "plugins", Scope.READ),
        {200: Success("all versions, newest first", VersionList)},
        problems=(404,),
    ),
    Operation(
        *("PUT", _YANK, "yank", "Hide a version from new resolution", "plugins", Scope.PUBLISH),
        {200: Success("the version, yanked", ReleaseView)},
        problems=(404, *_BODY),
        body=YankBody,
        detail="Installations stay as they are. Only the plugin's owner or an admin may.",
    ),
    Operation(
        *("DELETE", _YANK, "unyank", "Show a version again", "plugins", Scope.PUBLISH),
        {200: Success("the version", ReleaseView)},
        problems=(404,),
    ),
)

_INSTALLATIONS = (
    Operation(
        *("GET", "/api/v1/installations", "list_installations", "List installations", "installations", Scope.READ),
        {200: Success("one page, by plugin name", InstallationList)},
        query=InstallationQuery,
    ),
    Operation(
        *("PUT", _INSTALLATION, "install", "Install or re-pin a plugin", "installations", Scope.ADMIN),
        {201: Success("installed", InstallationChange), 200: Success("was installed already", InstallationChange)},
        problems=(404, *_BODY),
        body=InstallBody,
    ),
    Operation(
        *("DELETE", _INSTALLATION, "uninstall", "Uninstall a plugin", "installations", Scope.ADMIN),
        {204: Success("its tools are gone")},
        problems=(404,),
    ),
    Operation(
        *("POST", f"{_INSTALLATION}/update", "update", "Move to the newest version", "installations", Scope.ADMIN),
        {200: Success("the pin", InstallationChange)},
        problems=(404,),
        detail="Within the range that was asked for when it was installed.",
    ),
    Operation(
        *("POST", f"{_INSTALLATION}/rollback", "rollback", "Move back", "installations", Scope.ADMIN),
        {200: Success("the pin", InstallationChange)},
        problems=(404, 409),
        detail="To the version pinned before; a second rollback undoes the first.",
    ),
)

_GRANTED = {200: Success("the grants", GrantChanged)}

_GRANTS = (
    Operation(
        *("GET", "/api/v1/grants", "list_grants", "List grants", "grants", Scope.ADMIN),
        {200: Success("of all installations, by plugin name", GrantList)},
    ),
    Operation(
        *("GET", f"{_INSTALLATION}/grants", "show_grants", "Show a plugin's grants", "grants", Scope.ADMIN),
        {200: Success("what it requests, is granted, and so gets", GrantView)},
        problems=(404,),
    ),
    Operation(
        *("POST", f"{_INSTALLATION}/grants", "add_grants", "Grant", "grants", Scope.ADMIN),
        _GRANTED,
        problems=(404, *_BODY),
        body=GrantBody,
        body_required=True,
        detail="Added to what is granted. What the plugin does not request is kept and has no effect.",
    ),
    Operation(
        *("DELETE", f"{_INSTALLATION}/grants", "clear_grants", "Take back all grants", "grants", Scope.ADMIN),
        _GRANTED,
        problems=(404,),
    ),
    Operation(
        *("POST", f"{_INSTALLATION}/grants/remove", "remove_grants", "Take back grants", "grants", Scope.ADMIN),
        _GRANTED,
        problems=(404, *_BODY),
        body=GrantBody,
        body_required=True,
        detail="Each as it was granted; nothing changes where one of them was not.",
    ),
)

_TOOLS = (
    Operation(
        *("GET", "/api/v1/tools", "list_tools", "List the offered tools", "tools", Scope.READ),
        {200: Success("one page, by name; the first also holds what is in quarantine", ToolList)},
        query=ToolQuery,
    ),
    Operation(
        *("POST", "/api/v1/tools/{tool}/call", "call_tool", "Call a tool", "tools", Scope.CALL),
        {200: Success("the tool's answer, `isError` where the tool itself says it failed", CallResult)},
        problems=(404, *_BODY, 422, 429, 504),
        body="arguments",
        body_required=True,
        detail="Hanging up ends the call.",
    ),
)

_OPERATOR = (
    Operation(
        *("GET", "/api/v1/tokens", "list_tokens", "List tokens", "operator", Scope.ADMIN),
        {200: Success("all, newest first", TokenList)},
    ),
    Operation(
        *("POST", "/api/v1/tokens", "create_token", "Make a token", "operator", Scope.ADMIN),
        {201: Success("the token, and its secret this once", TokenMade)},
        problems=(*_BODY, 409),
        body=TokenBody,
        body_required=True,
    ),
    Operation(
        *("DELETE", "/api/v1/tokens/{token}", "revoke_token", "Revoke a token", "operator", Scope.ADMIN),
        {200: Success("the token, revoked", TokenView)},
        problems=(404,),
    ),
    Operation(
        *("GET", "/api/v1/calls", "list_calls", "Read the call log", "operator", Scope.ADMIN),
        {200: Success("the newest calls first", CallList)},
        query=CallQuery,
    ),
)

_SECRETS = (
    Operation(
        *("GET", _SECRETS_OF, "list_secrets", "List secrets", "operator", Scope.ADMIN),
        {200: Success("all by name, without their values", SecretList)},
    ),
    Operation(
        *("PUT", f"{_SECRETS_OF}/{{secret}}", "set_secret", "Set a secret", "operator", Scope.ADMIN),
        {200: Success("the secret, without its value", SecretRecord)},
        problems=_BODY,
        body=SecretBody,
        body_required=True,
        detail="Replaces the value and the hosts. A value can never be read back.",
    ),
    Operation(
        *("DELETE", f"{_SECRETS_OF}/{{secret}}", "remove_secret", "Remove a secret", "operator", Scope.ADMIN),
        {204: Success("it is forgotten")},
        problems=(404,),
    ),
)

_DOWNLOADS = (
    Operation(
        *("GET", "/api/v1/index/{plugin}", "read_index", "Read a plugin's index", "downloads", Scope.READ),
        {200: Success("one JSON object a line, oldest version first", "application/x-ndjson", _KEPT), 304: _UNCHANGED},
        problems=(404,),
        parameters=("IfNoneMatch",),
        detail="Each line is an `IndexLine`.",
    ),
    Operation(
        *("GET", "/api/v1/artifacts/{digest}", "read_artifact", "Download a module", "downloads", Scope.READ),
        {200: Success("the bytes of that digest", "application/wasm", _KEPT), 304: _UNCHANGED},
        problems=(404,),
        parameters=("IfNoneMatch",),
    ),
)

OPERATIONS = (*_ABOUT, *_PLUGINS, *_INSTALLATIONS, *_GRANTS, *_TOOLS, *_OPERATOR, *_SECRETS, *_DOWNLOADS)
