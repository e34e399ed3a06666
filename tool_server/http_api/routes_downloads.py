"""What clients and proxies keep: the sparse index and the artifacts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tool_server.errors import InvalidInput
from tool_server.http_api.authentication import caller_of
from tool_server.http_api.registry_services import RegistryServices
from tool_server.http_api.requests import read_query
from tool_server.http_api.resource import resource
from tool_server.http_api.responses import json_lines, not_modified
from tool_server.http_api.shapes import IndexLine, NoQuery
from tool_server.model.caller import ANONYMOUS, Caller
from tool_server.model.json_value import canonical_json, sha256_hex
from tool_server.model.manifest import Manifest
from tool_server.model.release import VersionSummary
from tool_server.services.browse import BrowseService

NDJSON = "application/x-ndjson"
INDEX_MAX_AGE = 600
"""Seconds an index is fresh, as at crates.io."""
ARTIFACT_MAX_AGE = 31_536_000
KEPT_MANIFESTS = 4_096
"""Manifests remembered for index lines; they never change."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class DownloadRoutes:
    """Routes under `/api/v1/index` and `/api/v1/artifacts`."""

    def __init__(self, services: RegistryServices) -> None:
        self._browse = services.browse
        self._index = SparseIndex(services.browse)

    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            resource("/api/v1/index/{name:plugin}", GET=self.index),
            resource("/api/v1/artifacts/{digest}", GET=self.artifact),
        ]

    async def index(self, request: Request) -> Response:
        """One JSON line a version, oldest first."""
        read_query(request, NoQuery)
        caller = caller_of(request)
        versions = await self._browse.versions(request.path_params["name"], caller)
        etag = index_etag(versions)
        headers = _kept(etag, f"max-age={INDEX_MAX_AGE}", caller)
        unchanged = not_modified(request, etag, headers)
        if unchanged is not None:
            return unchanged
        return Response(await self._index.lines(versions, caller), headers=headers, media_type=NDJSON)

    async def artifact(self, request: Request) -> Response:
        """The wasm bytes of a digest, the same for ever."""
        read_query(request, NoQuery)
        digest, caller = request.path_params["digest"], caller_of(request)
        if not _DIGEST.fullmatch(digest):
            raise InvalidInput(
                "invalid_digest", f"{digest[:80]!r} is not a digest: send 64 lower-case hexadecimal digits of SHA-256"
            )
        wasm = await self._browse.artifact(digest, caller)
        headers = _kept(f'"{digest}"', f"max-age={ARTIFACT_MAX_AGE}, immutable", caller)
        unchanged = not_modified(request, f'"{digest}"', headers)
        return unchanged or Response(wasm, headers=headers, media_type="application/wasm")


def _kept(etag: str, freshness: str, caller: Caller) -> dict[str, str]:
    # What an anonymous request got, anyone may get again from a shared cache; what a token opened, its owner alone.
    audience = "public" if caller == ANONYMOUS else "private"
    return {"ETag": etag, "Cache-Control": f"{audience}, {freshness}", "Vary": "Authorization"}


def index_etag(versions: Sequence[VersionSummary]) -> str:
    """A strong validator of the index: manifests never change, so the summaries decide every byte of it."""
    return f'"{sha256_hex(canonical_json([version.model_dump(mode="json") for version in versions]))}"'


class SparseIndex:
    """Index files in the manner of crates.io's sparse index, one for each plugin."""

    def __init__(self, browse: BrowseService) -> None:
        self._browse = browse
        self._manifests: dict[VersionSummary, Manifest] = {}

    async def lines(self, versions: Sequence[VersionSummary], caller: Caller) -> bytes:
        """The lines of these versions, given newest first, written oldest first."""
        rows = [await self._line(version, caller) for version in reversed(versions)]
        return json_lines([row.model_dump(mode="json") for row in rows])

    async def _line(self, version: VersionSummary, caller: Caller) -> IndexLine:
        manifest = await self._manifest(version, caller)
        return IndexLine(
            name=version.plugin,
            vers=version.version,
            digest=version.digest,
            size=version.size,
            yanked=version.yanked,
            published_at=version.published_at,
            dependencies=manifest.dependencies,
            permissions=manifest.permissions,
        )

    async def _manifest(self, version: VersionSummary, caller: Caller) -> Manifest:
        known = self._manifests.get(version)
        if known is not None:
            return known
        manifest = (await self._browse.release(version.plugin, version.version, caller)).manifest
        if len(self._manifests) >= KEPT_MANIFESTS:
            self._manifests.clear()
        self._manifests[version] = manifest
        return manifest
