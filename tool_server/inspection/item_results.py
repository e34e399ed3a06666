"""MCP's results of `prompts/get`, `resources/read` and `completion/complete`, out of what guests write.

Members that MCP does not have, or that are null, are left out; what MCP requires is checked. A resource's contents
without a URI get none here: whoever asked knows it.
"""

from __future__ import annotations

from tool_server.inspection.content_blocks import guest_meta, prompt_content, refuse, resource_contents
from tool_server.model.json_value import JsonObject, JsonValue

MAX_COMPLETIONS = 100
"""Values of one completion, which is MCP's bound."""

MAX_MESSAGES = 1_000
"""Of a prompt, and contents of a resource."""


def prompt_result(result: JsonObject) -> JsonObject:
    """A `GetPromptResult`.

    Raises:
        CallFailed: `bad_output`, naming the place, what was expected and what was got.
    """
    messages = _entries(result, "messages")
    read: JsonObject = {"messages": [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]}
    description = result.get("description")
    if description is not None:
        if not isinstance(description, str):
            refuse("description", "a string", description)
        read["description"] = description
    return _with_meta(read, result)


def resource_result(result: JsonObject) -> JsonObject:
    """A `ReadResourceResult`; contents without a URI have an empty one.

    Raises:
        CallFailed: `bad_output`, naming the place, what was expected and what was got.
    """
    contents = _entries(result, "contents")
    read: JsonObject = {
        "contents": [resource_contents(each, f"contents[{index}]") for index, each in enumerate(contents)]
    }
    return _with_meta(read, result)


def completion_result(result: JsonObject) -> JsonObject:
    """A `CompleteResult`. Of more values than MCP allows the first are kept, and `hasMore` says so.

    Raises:
        CallFailed: `bad_output`, naming the place, what was expected and what was got.
    """
    completion = result.get("completion")
    if not isinstance(completion, dict):
        refuse("completion", 'an object, {"values": [...]}', completion)
    values = completion.get("values")
    if not isinstance(values, list):
        refuse("completion.values", "an array of strings", values)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            refuse(f"completion.values[{index}]", "a string", value)
    read: JsonObject = {"values": values[:MAX_COMPLETIONS]}
    total, more = completion.get("total"), completion.get("hasMore")
    if total is not None:
        if isinstance(total, bool) or not isinstance(total, int) or not 0 <= total < 2**53:
            refuse("completion.total", "an integer, not less than 0", total)
        read["total"] = total
    if more is not None and not isinstance(more, bool):
        refuse("completion.hasMore", "true or false", more)
    if more is not None or len(values) > MAX_COMPLETIONS:
        read["hasMore"] = bool(more) or len(values) > MAX_COMPLETIONS
    return _with_meta({"completion": read}, result)


def _message(message: JsonValue, place: str) -> JsonObject:
    if not isinstance(message, dict):
        refuse(place, "an object with 'role' and 'content'", message)
    role = message.get("role")
    if role not in ("user", "assistant"):
        refuse(f"{place}.role", "user or assistant", role)
    return {"role": role, "content": prompt_content(message.get("content"), f"{place}.content")}


def _entries(result: JsonObject, field: str) -> list[JsonValue]:
    entries = result.get(field)
    if not isinstance(entries, list):
        refuse(field, "an array", entries)
    if len(entries) > MAX_MESSAGES:
        refuse(field, f"an array of at most {MAX_MESSAGES} entries", entries)
    return entries


def _with_meta(read: JsonObject, result: JsonObject) -> JsonObject:
    meta = guest_meta(result.get("_meta"))
    return read if meta is None else {**read, "_meta": meta}
