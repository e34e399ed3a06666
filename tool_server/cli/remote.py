"""The commands' work over a server's REST API."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from tool_server.cli.backend import Identity, InstalledPlugin, Offered
from tool_server.cli.credentials import Credentials
from tool_server.errors import (
    CallFailed,
    Conflict,
    Denied,
    InvalidInput,
    NotFound,
    ToolServerError,
    Unavailable,
)
from tool_server.inspection.manifest_files import PluginSource
from tool_server.inspection.offering import ListedTool
from tool_server.model.call import ToolResult
from tool_server.model.caller import Scope, TokenRecord
from tool_server.model.json_value import JsonObject
from tool_server.model.permission import Permissions
from tool_server.model.release import Installation, PluginSummary, Release, VersionSummary
from tool_server.model.secret import SecretRecord
from tool_server.model.settings import InstallationSettings
from tool_server.model.tool import QuarantinedTool
from tool_server.model.view import EVERYTHING, View
from tool_server.services.grants import GrantChange, PluginGrants
from tool_server.services.install import Installed
from tool_server.services.publish import Published
from tool_server.services.tokens import NewToken

_KINDS: Mapping[str, type[ToolServerError]] = {
    "invalid-input": InvalidInput,
    "not-found": NotFound,
    "conflict": Conflict,
    "denied": Denied,
    "call-failed": CallFailed,
    "unavailable": Unavailable,
}
P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT = httpx.Timeout(150.0, connect=10.0)
"""A publish may compile for two minutes."""


@asynccontextmanager
async def open_remote(credentials: Credentials) -> AsyncGenerator[RemoteBackend]:
    """A backend for the server of a login."""
    headers = {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}
    async with httpx.AsyncClient(base_url=credentials.url, headers=headers, timeout=TIMEOUT) as client:
        yield RemoteBackend(client, credentials.url)


def _understood(method: Callable[P, CoroutineType[Any, Any, T]]) -> Callable[P, CoroutineType[Any, Any, T]]:
    """Turn an answer of another shape, from another kind or version of server, into an error that says so."""

    @functools.wraps(method)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except (KeyError, TypeError, ValidationError) as error:
            raise Unavailable(
                "not_a_server",
                "the server's answer has another shape than this tool-server's: check the address and both versions",
            ) from error

    return wrapper


class RemoteBackend:
    """The REST API's methods, with its problems turned back into our errors."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    @_understood
    async def whoami(self) -> Identity:
        found = await self._json("GET", "whoami")
        return Identity(self._url, found["name"], tuple(found["scopes"]))

    @_understood
    async def plugins(self, query: str) -> tuple[PluginSummary, ...]:
        return tuple(
            [
                PluginSummary.model_validate(item)
                async for page in self._pages("plugins", q=query)
                for item in page["items"]
            ]
        )

    @_understood
    async def versions(self, plugin: str) -> tuple[VersionSummary, ...]:
        found = await self._json("GET", f"plugins/{quote(plugin)}/versions")
        return tuple(VersionSummary.model_validate(item) for item in found["items"])

    @_understood
    async def release(self, plugin: str, requested: str) -> Release:
        return _release(await self._json("GET", f"plugins/{quote(plugin)}", params={"version": requested}))

    @_understood
    async def publish(self, source: PluginSource) -> Published:
        manifest = source.manifest.model_dump_json(by_alias=True, exclude_unset=True)
        found = await self._json(
            "POST",
            "plugins",
            files={
                "manifest": ("plugin.json", manifest.encode(), "application/json"),
                "wasm": ("plugin.wasm", source.wasm, "application/wasm"),
            },
        )
        return Published(_release(found["release"]), found["created"])

    @_understood
    async def install(self, plugin: str, requested: str, tool_prefix: str | None = None) -> Installed:
        body = {"version": requested, **({} if tool_prefix is None else {"tool_prefix": tool_prefix})}
        return _installed(await self._json("PUT", f"installations/{quote(plugin)}", json=body))

    @_understood
    async def install_as(
        self, plugin: str, version: str, granted: Permissions, settings: InstallationSettings
    ) -> Installed:
        body = {
            "version": version,
            "granted": granted.model_dump(mode="json"),
            "settings": settings.model_dump(mode="json"),
        }
        return _installed(await self._json("PUT", f"installations/{quote(plugin)}", json=body))

    @_understood
    async def update(self, plugin: str) -> Installed:
        return _installed(await self._json("POST", f"installations/{quote(plugin)}/update"))

    @_understood
    async def rollback(self, plugin: str) -> Installed:
        return _installed(await self._json("POST", f"installations/{quote(plugin)}/rollback"))

    @_understood
    async def uninstall(self, plugin: str) -> None:
        await self._request("DELETE", f"installations/{quote(plugin)}")

    @_understood
    async def installed(self) -> tuple[InstalledPlugin, ...]:
        return tuple(
            [
                InstalledPlugin(Installation.model_validate(item["installation"]), tuple(item["tools"]))
                async for page in self._pages("installations")
                for item in page["items"]
            ]
        )

    @_understood
    async def list_grants(self) -> tuple[PluginGrants, ...]:
        return tuple(_grants(item) for item in (await self._json("GET", "grants"))["items"])

    @_understood
    async def show_grants(self, plugin: str) -> PluginGrants:
        return _grants(await self._json("GET", f"installations/{quote(plugin)}/grants"))

    @_understood
    async def add_grants(self, plugin: str, permissions: Permissions) -> GrantChange:
        return await self._change_grants("POST", plugin, "", {"permissions": permissions.model_dump(mode="json")})

    @_understood
    async def remove_grants(self, plugin: str, permissions: Permissions) -> GrantChange:
        return await self._change_grants(
            "POST", plugin, "/remove", {"permissions": permissions.model_dump(mode="json")}
        )

    @_understood
    async def clear_grants(self, plugin: str) -> GrantChange:
        return await self._change_grants("DELETE", plugin, "", None)

    async def _change_grants(self, method: str, plugin: str, path: str, body: JsonObject | None) -> GrantChange:
        request = {} if body is None else {"json": body}
        found = await self._json(method, f"installations/{quote(plugin)}/grants{path}", **request)
        return GrantChange(_grants(found["grants"]), found["changed"])

    @_understood
    async def set_yanked(self, plugin: str, version: str, yanked: bool, reason: str | None) -> Release:
        path = f"plugins/{quote(plugin)}/versions/{quote(version)}/yank"
        if yanked:
            return _release(await self._json("PUT", path, json={"reason": reason}))
        return _release(await self._json("DELETE", path))

    @_understood
    async def offered(self) -> Offered:
        pages = [page async for page in self._pages("tools")]
        tools = tuple(
            ListedTool(
                name=item["name"],
                plugin=item["plugin"],
                version=item["version"],
                title=item["title"],
                description=item["description"],
                input_schema=item["inputSchema"],
                output_schema=item["outputSchema"],
                annotations=item["annotations"],
            )
            for page in pages
            for item in page["items"]
        )
        held = tuple(
            (item["plugin"], QuarantinedTool(name=item["name"], rule=item["rule"], reason=item["reason"]))
            for page in pages
            for item in page["quarantined"]
        )
        return Offered(tools, held)

    @_understood
    async def call(self, tool: str, arguments: JsonObject) -> ToolResult:
        found = await self._json("POST", f"tools/{quote(tool)}/call", json=arguments)
        return ToolResult(
            content=tuple(found["content"]),
            structured=found.get("structuredContent"),
            is_error=found["isError"],
            meta=found.get("_meta"),
        )

    @_understood
    async def create_token(
        self, name: str, scopes: tuple[Scope, ...], lifetime: timedelta | None, view: View
    ) -> NewToken:
        seconds = None if lifetime is None else int(lifetime.total_seconds())
        body: dict[str, Any] = {"name": name, "scopes": [str(scope) for scope in scopes], "lifetime_seconds": seconds}
        if view != EVERYTHING:
            # An older server must not make a token that sees more than was asked for: it refuses the unknown field.
            body["view"] = view.model_dump(mode="json")
        found = await self._json("POST", "tokens", json=body)
        return NewToken(_token(found["token"]), found["secret"])

    @_understood
    async def list_tokens(self) -> tuple[TokenRecord, ...]:
        return tuple(_token(item) for item in (await self._json("GET", "tokens"))["items"])

    @_understood
    async def revoke_token(self, name_or_id: str) -> TokenRecord:
        return _token(await self._json("DELETE", f"tokens/{quote(name_or_id)}"))

    @_understood
    async def set_secret(self, name: str, value: str, hosts: tuple[str, ...], plain_http: bool) -> SecretRecord:
        body = {"value": value, "hosts": hosts, "plain_http": plain_http}
        return SecretRecord.model_validate(await self._json("PUT", f"secrets/{quote(name, safe='')}", json=body))

    @_understood
    async def list_secrets(self) -> tuple[SecretRecord, ...]:
        return tuple(SecretRecord.model_validate(item) for item in (await self._json("GET", "secrets"))["items"])

    @_understood
    async def remove_secret(self, name: str) -> None:
        await self._request("DELETE", f"secrets/{quote(name, safe='')}")

    async def _pages(self, path: str, **params: str) -> AsyncGenerator[dict[str, Any]]:
        """Every page of a listing."""
        after: str | None = ""
        while after is not None:
            page = await self._json("GET", path, params={**params, "after": after})
            yield page
            after = page["next"]

    async def _json(self, method: str, path: str, **request: Any) -> Any:
        response = await self._request(method, path, **request)
        try:
            return response.json()
        except ValueError as error:
            raise self._not_a_server() from error

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, f"/api/v1/{path}", **request)
        except httpx.TimeoutException as error:
            raise Unavailable("server_timeout", f"{self._url} did not answer in time: try again") from error
        except httpx.HTTPError as error:
            raise Unavailable(
                "server_unreachable",
                f"{self._url} cannot be reached ({error}): is 'tool-server up' running there? "
                "'extism-registry logout' goes back to the local data folder",
            ) from error
        if response.is_success:
            return response
        raise self._problem(response)

    def _problem(self, response: httpx.Response) -> ToolServerError:
        try:
            body = response.json()
            kind = _KINDS.get(body.get("kind"), Unavailable)
            return kind(body["code"], body["detail"], body.get("data"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._not_a_server(f" (HTTP {response.status_code})")

    def _not_a_server(self, detail: str = "") -> Unavailable:
        return Unavailable("not_a_server", f"{self._url} does not answer as a tool-server{detail}: check the address")


def _release(found: Mapping[str, Any]) -> Release:
    return Release.model_validate({key: value for key, value in found.items() if key not in ("plugin", "version")})


def _installed(found: Mapping[str, Any]) -> Installed:
    return Installed(Installation.model_validate(found["installation"]), found["changed"])


def _grants(found: Mapping[str, Any]) -> PluginGrants:
    sets = {name: Permissions.model_validate(found[name]) for name in ("requested", "granted", "effective", "missing")}
    return PluginGrants(plugin=found["plugin"], version=found["version"], notes=tuple(found["notes"]), **sets)


def _token(found: Mapping[str, Any]) -> TokenRecord:
    # The server never sends the hash.
    return TokenRecord.model_validate({**found, "secret_hash": ""})
