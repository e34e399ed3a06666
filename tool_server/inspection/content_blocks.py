"""MCP content blocks out of what guests write, in MCP's own shapes.

Sources: MCP 2025-11-25, "Tool Result"; mcp.run's servlet schema, where one flat `Content` type serves text, images and
resources; hyper-mcp's `ContentBlock`, whose default is `{}`.
"""

from __future__ import annotations

import binascii
from typing import NoReturn

from tool_server.errors import CallFailed
from tool_server.inspection.json_paths import shown
from tool_server.model.json_value import JsonObject, JsonValue

_LINK_TEXTS = ("title", "description", "mimeType")


OWN_META = "tool-server/"
"""How keys in `_meta` begin that only this server writes: a guest's "denied" must not pass for the server's."""


def normalise_blocks(blocks: list[JsonValue]) -> tuple[JsonObject, ...]:
    """Every block in MCP's shape; members that MCP does not have, or that are null, are left out.

    Text loses `mimeType` (mcp.run). A resource may be flat (mcp.run: `text`, `data` or `blob` beside `type`) or nested;
    one without a URI gets `urn:tool-output:N`, N being its place. An empty block (hyper-mcp) is skipped. Malformed
    `annotations`, which are hints, are left out.

    Raises:
        CallFailed: `bad_output`, naming the block, what was expected and what was got.
    """
    return tuple(_block(block, f"content[{index}]", index) for index, block in enumerate(blocks) if block != {})


def prompt_content(block: JsonValue, place: str) -> JsonObject:
    """The content of a prompt's message: one block, in MCP's shape.

    Raises:
        CallFailed: `bad_output`.
    """
    return _block(block, place, 0)


def resource_contents(contents: JsonValue, place: str) -> JsonObject:
    """One of the contents of a resource, in MCP's shape; its URI is empty where the guest gives none.

    Raises:
        CallFailed: `bad_output`.
    """
    if not isinstance(contents, dict):
        refuse(place, "an object with 'uri' and 'text' or 'blob'", contents)
    if contents.get("text") is None and contents.get("blob") is None:
        refuse(place, "'text', or 'blob' in base64", contents)
    flat: JsonObject = {key: contents[key] for key in ("uri", "mimeType", "text", "blob") if key in contents}
    read = {**_resource(flat, place, 0), "uri": contents.get("uri") or ""}
    meta = guest_meta(contents.get("_meta"))
    return read if meta is None else {**read, "_meta": meta}


def refuse(place: str, expected: str, got: JsonValue) -> NoReturn:
    """Stop at one place of a guest's output.

    Raises:
        CallFailed: `bad_output`, always.
    """
    raise CallFailed(
        "bad_output",
        f"the plugin's output does not fit its convention: {place}: expected {expected}, got {shown(got)}",
        {"path": place, "expected": expected, "got": shown(got)},
    )


def _block(block: JsonValue, place: str, index: int) -> JsonObject:
    if not isinstance(block, dict):
        refuse(place, "a content block, an object with 'type'", block)
    match block.get("type"):
        case "text":
            result: JsonObject = {"type": "text", "text": _string(block, "text", place)}
        case "image" | "audio" as kind:
            data = _base64(block, "data", place)
            result = {"type": kind, "data": data, "mimeType": _string(block, "mimeType", place)}
        case "resource":
            result = {"type": "resource", "resource": _resource(block, place, index)}
        case "resource_link":
            result = _link(block, place)
        case other:
            refuse(f"{place}.type", "text, image, audio, resource or resource_link", other)
    return {**result, **_common(block)}


def _common(block: JsonObject) -> JsonObject:
    common: JsonObject = {}
    annotations = _annotations(block.get("annotations"))
    if annotations:
        common["annotations"] = annotations
    meta = guest_meta(block.get("_meta"))
    if meta is not None:
        common["_meta"] = meta
    return common


def guest_meta(value: JsonValue) -> JsonObject | None:
    """A guest's `_meta` without the keys by which this server speaks itself, None where nothing is left."""
    if not isinstance(value, dict):
        return None
    return {key: item for key, item in value.items() if not key.startswith(OWN_META)} or None


def _annotations(value: JsonValue) -> JsonObject:
    hints: JsonObject = {}
    if not isinstance(value, dict):
        return hints
    audience, priority, modified = value.get("audience"), value.get("priority"), value.get("lastModified")
    if isinstance(audience, list) and audience and all(role in ("user", "assistant") for role in audience):
        hints["audience"] = audience
    if isinstance(priority, int | float) and not isinstance(priority, bool) and 0 <= priority <= 1:
        hints["priority"] = priority
    if isinstance(modified, str):
        hints["lastModified"] = modified
    return hints


def _resource(block: JsonObject, place: str, index: int) -> JsonObject:
    nested = block.get("resource")
    if nested is not None and not isinstance(nested, dict):
        refuse(f"{place}.resource", "an object", nested)
    source = block if nested is None else nested
    inside = place if nested is None else f"{place}.resource"
    uri = source.get("uri")
    if uri is not None and not isinstance(uri, str):
        refuse(f"{inside}.uri", "a string", uri)
    resource: JsonObject = {"uri": uri or f"urn:tool-output:{index}"}
    if source.get("mimeType") is not None:
        resource["mimeType"] = _string(source, "mimeType", inside)
    if source.get("text") is not None:
        resource["text"] = _string(source, "text", inside)
    else:
        blob = "blob" if source.get("blob") is not None or nested is not None else "data"
        resource["blob"] = _base64(source, blob, inside)
    meta = source.get("_meta") if nested is not None else None
    return {**resource, "_meta": meta} if isinstance(meta, dict) else resource


def _link(block: JsonObject, place: str) -> JsonObject:
    link: JsonObject = {
        "type": "resource_link",
        "uri": _string(block, "uri", place),
        "name": _string(block, "name", place),
    }
    for field in _LINK_TEXTS:
        if block.get(field) is not None:
            link[field] = _string(block, field, place)
    size, icons = block.get("size"), block.get("icons")
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        link["size"] = size
    if isinstance(icons, list):
        kept = [icon for icon in icons if isinstance(icon, dict) and isinstance(icon.get("src"), str)]
        if kept and len(kept) == len(icons):
            link["icons"] = icons
    return link


def _string(block: JsonObject, field: str, place: str) -> str:
    value = block.get(field)
    if not isinstance(value, str):
        refuse(f"{place}.{field}", "a string", value)
    return value


def _base64(block: JsonObject, field: str, place: str) -> str:
    value = _string(block, field, place)
    try:
        binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        refuse(f"{place}.{field}", "base64 with padding and without blanks (RFC 4648)", value)
    return value
