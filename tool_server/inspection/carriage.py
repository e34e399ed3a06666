"""Carrying a call over to an export and its answer back: every `InputForm` and every `OutputForm`.

Validation against the tool's schemas is not done here; what the form itself needs is checked in both directions.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import NoReturn

from tool_server.errors import CallFailed, InvalidInput
from tool_server.inspection.content_blocks import guest_meta, normalise_blocks, refuse
from tool_server.inspection.item_results import completion_result, prompt_result, resource_result
from tool_server.inspection.json_paths import shown
from tool_server.model.call import ToolResult
from tool_server.model.json_value import JsonObject, JsonValue, dump_json, parse_json
from tool_server.model.tool import Binding, InputForm, OutputForm, ToolDefinition

CALL_IN_PROGRESS = "progress"
"""By which plugins of hyper-mcp name their call when they tell of its progress: the client's own is filled in later."""

_ITEM_RESULTS: Mapping[OutputForm, tuple[str, Callable[[JsonObject], JsonObject]]] = {
    OutputForm.PROMPT: ('{"messages": [...]}', prompt_result),
    OutputForm.RESOURCE: ('{"contents": [...]}', resource_result),
    OutputForm.COMPLETION: ('{"completion": {"values": [...]}}', completion_result),
}


def encode_input(
    binding: Binding, tool: str, arguments: JsonObject, *, call_id: str, wants_progress: bool = False
) -> bytes:
    """The bytes of the Extism input.

    Under TEXT and BYTES an absent (or null) argument `input` is no bytes at all. mcp.run's optional `method` is left
    out, as hyper-mcp does.

    Args:
        binding: how the tool is carried.
        tool: the tool's name as its plugin knows it.
        arguments: validated, defaults filled in.
        call_id: becomes the request id that hyper-mcp v2 shows to its plugin.
        wants_progress: whether plugins of hyper-mcp are given a token to tell of their progress.

    Raises:
        InvalidInput: `invalid_arguments`; `data` holds `path`, `expected` and `got`.
    """
    meta: JsonObject = {"progressToken": CALL_IN_PROGRESS} if wants_progress else {}
    match binding.input:
        case InputForm.ARGUMENTS:
            return _json_bytes(arguments)
        case InputForm.VALUE:
            if "input" not in arguments:
                _refuse_argument("a value", None)
            return _json_bytes(arguments["input"])
        case InputForm.TEXT:
            return _utf8(_text_argument(arguments))
        case InputForm.BYTES:
            return _decoded(_text_argument(arguments))
        case InputForm.SERVLET:
            return _json_bytes({"params": {"name": tool, "arguments": arguments, **({"_meta": meta} if meta else {})}})
        case InputForm.HYPER_V2:
            request: JsonObject = {"name": tool, "arguments": arguments}
            return _json_bytes({"request": request, "context": {"id": call_id, "_meta": meta}})
        case InputForm.HYPER_V2_REQUEST:
            return _json_bytes({"request": arguments, "context": {"id": call_id, "_meta": meta}})


def decode_output(definition: ToolDefinition, data: bytes) -> ToolResult:
    """What an MCP client gets from the bytes of the Extism output.

    A structured result also stands in a text block: as JSON, in full, since a model may read nothing else; a text
    carried as `{"result": text}` stands there as it is.

    Raises:
        CallFailed: `bad_output`; `data` holds `path`, `expected` and `got`.
    """
    match definition.binding.output:
        case OutputForm.JSON:
            value = _json_value(data, "a JSON object")
            if not isinstance(value, dict):
                refuse("$", "a JSON object", value)
            return _structured(value)
        case OutputForm.VALUE:
            return _structured({"result": _json_value(data, "a JSON value")})
        case OutputForm.TEXT:
            return ToolResult((_text_block(_text(data)),))
        case OutputForm.TEXT_VALUE:
            text = _text(data)
            return ToolResult((_text_block(text),), {"result": text})
        case OutputForm.BYTES:
            return _structured({"result": base64.b64encode(data).decode("ascii")})
        case OutputForm.CONTENT:
            return _content(definition, data)
        case OutputForm.PROMPT | OutputForm.RESOURCE | OutputForm.COMPLETION as form:
            return _item_result(data, *_ITEM_RESULTS[form])


def _content(definition: ToolDefinition, data: bytes) -> ToolResult:
    result = _json_value(data, 'a tool result, {"content": [...]}')
    if not isinstance(result, dict):
        refuse("$", 'a tool result, {"content": [...]}', result)
    _compact(result)
    structured = result.get("structuredContent")
    if structured is not None and not isinstance(structured, dict):
        refuse("structuredContent", "an object", structured)
    is_error = result.get("isError")
    if is_error is not None and not isinstance(is_error, bool):
        refuse("isError", "true or false", is_error)
    blocks = result.get("content")
    if blocks is None and structured is not None:
        blocks = list[JsonValue]()
    if not isinstance(blocks, list):
        refuse("content", "an array of content blocks", blocks)
    content = normalise_blocks(blocks)
    if structured is not None and not any(block["type"] == "text" for block in content):
        content = (*content, _text_block(_compact(structured)))
    if definition.output_schema is None and any(block["type"] == "image" for block in content):
        # Mastra shows the model either the structured content or the image.
        structured = None
    return ToolResult(content, structured, is_error or False, guest_meta(result.get("_meta")))


def _item_result(data: bytes, expected: str, read: Callable[[JsonObject], JsonObject]) -> ToolResult:
    """MCP's result of another method than `tools/call`, as the structured part of one."""
    result = _json_value(data, expected)
    if not isinstance(result, dict):
        refuse("$", expected, result)
    _compact(result)
    return ToolResult((), read(result))


def _structured(value: JsonObject) -> ToolResult:
    return ToolResult((_text_block(_compact(value)),), value)


def _text_block(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _compact(value: JsonValue) -> str:
    # Python's parser lets two things through that no client could read: "\\ud800" alone, and 1e999 as infinity.
    try:
        return dump_json(value).decode("utf-8")
    except UnicodeEncodeError:
        refuse("$", "characters of Unicode", "half of a surrogate pair")
    except ValueError:
        refuse("$", "numbers that a double can hold", "a number out of range")


def _json_value(data: bytes, expected: str) -> JsonValue:
    if not data.strip():
        refuse("$", expected, "no output")
    try:
        return parse_json(data, what="the plugin's output")
    except InvalidInput as error:
        raise CallFailed(
            "bad_output",
            f"{error.message}; expected {expected}",
            {"path": "$", "expected": expected, "got": shown(_beginning(data)), **error.data},
        ) from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallFailed(
            "bad_output",
            f"the plugin's output is no UTF-8 text: byte {error.start} of {len(data)}",
            {"path": "$", "expected": "UTF-8 text", "got": shown(_beginning(data)), "offset": error.start},
        ) from error


def _beginning(data: bytes) -> str:
    return data[:80].decode("utf-8", "replace")


def _json_bytes(value: JsonValue) -> bytes:
    try:
        return dump_json(value)
    except UnicodeEncodeError:
        _refuse_argument("characters of Unicode", "half of a surrogate pair", "$")
    except ValueError:
        _refuse_argument("numbers that a double can hold", "a number out of range", "$")


def _text_argument(arguments: JsonObject) -> str:
    value = arguments.get("input")
    if value is not None and not isinstance(value, str):
        _refuse_argument("a string", value)
    return value or ""


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        _refuse_argument("characters of Unicode", "half of a surrogate pair")


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True) if text else b""
    except (binascii.Error, UnicodeEncodeError):
        _refuse_argument("base64 with padding and without blanks (RFC 4648)", text)


def _refuse_argument(expected: str, got: JsonValue, path: str = "$.input") -> NoReturn:
    raise InvalidInput(
        "invalid_arguments",
        f"{path}: expected {expected}, got {shown(got)}",
        {"path": path, "expected": expected, "got": shown(got)},
    )
