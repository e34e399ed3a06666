"""The digest of a manifest: the same for the same manifest, whatever a later version of this server also knows."""

from __future__ import annotations

from typing import Any, cast

from tool_server.model.json_value import canonical_json, sha256_hex
from tool_server.model.manifest import Manifest


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 of the manifest's RFC 8785 form, 64 hexadecimal characters.

    What came into the format after the first release counts only where it says something: a plugin that was published
    before is the very same one after an update of the server.
    """
    document: dict[str, Any] = manifest.model_dump(mode="json", by_alias=True)
    tools = cast("dict[str, dict[str, Any]]", document["tools"] or {})
    _drop(document["permissions"], "functions", [])
    for tool in tools.values():
        for name in ("task", "icons", "_meta"):
            _drop(tool, name, None)
    return sha256_hex(canonical_json(document))


def _drop(document: dict[str, Any], name: str, nothing: object) -> None:
    if name in document and document[name] == nothing:
        del document[name]
