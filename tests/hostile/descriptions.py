"""Plugins that lie, flood or hang where they describe themselves: the table for the describe step of a publish."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.hostile.attacks import ANSWERS, MEBIBYTE
from tests.hostile.encoded import saying
from tests.support.guests import extism_wat, wat

CALL = '(func (export "call") (result i32) (i32.const 0))'


def answering(text: bytes) -> bytes:
    """A servlet whose `describe` answers with these bytes."""
    return saying("describe", text, CALL)


def describing(body: str) -> bytes:
    """A servlet whose `describe` does this."""
    return extism_wat(f'(memory 1) {CALL} (func (export "describe") (result i32) {body} (i32.const 0))')


def listing(*tools: object) -> bytes:
    """A servlet that lists these tools."""
    return answering(json.dumps({"tools": tools}).encode())


def tool(name: object = "go", **fields: object) -> dict[str, Any]:
    """One entry of a list."""
    return {"name": name, "description": "x", "inputSchema": {"type": "object"}, **fields}


@dataclass(frozen=True, slots=True)
class Description:
    """One hostile description."""

    name: str
    make: Callable[[], bytes]
    publish: frozenset[str]
    """Codes of a publish; `ANSWERS` where it is accepted."""
    offered: int = 0
    """Where it is accepted: how many tools are offered; the rest is in quarantine."""


def _row(name: str, make: Callable[[], bytes], publish: str, offered: int = 0) -> Description:
    return Description(name, make, frozenset(publish.split()), offered)


def _says(name: str, *tools: object, publish: str = ANSWERS, offered: int = 0) -> Description:
    return _row(name, functools.partial(listing, *tools), publish, offered)


SPIN = "(loop $again (br $again))"
GOOD = tool("good")

DESCRIPTIONS = (
    _row("never ends", lambda: describing(SPIN), "lint"),
    _row("never ends, asking its host", lambda: describing("(loop $a (drop (call $input_length )) (br $a))"), "lint"),
    _row("traps", lambda: describing("unreachable"), "lint"),
    _row("says nothing", lambda: describing(""), "lint"),
    _row("returns a code", lambda: wat(f'(module {CALL} (func (export "describe") (result i32) (i32.const 9)))'),
        "lint"),
    _row("grows without end", lambda: describing(
        f"(loop $a (br_if $a (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) {SPIN}"), "lint"),
    _row("answers 40 MB of zeros", lambda: describing(
        "(call $output_set (call $alloc (i64.const 40000000)) (i64.const 40000000))"), "lint"),
    _row("answers what is not there", lambda: describing("(call $output_set (i64.const 8) (i64.const 1099511627776))"),
         "lint"),
    _row("forges the length of its answer", lambda: describing(
        "(drop (call $alloc (i64.const 64))) (call $store_u64 (i64.const 64) (i64.const 3000000))"), "lint"),
    _row("asks for a web page", lambda: describing(
        "(drop (call $http_request (call $alloc (i64.const 8)) (i64.const 0)))"), "lint"),
    _row("logs without end", lambda: describing(
        "(loop $a (call $log_error (call $alloc (i64.const 100))) (br $a))"), "lint"),
    _row("is no JSON", lambda: answering(b"{tools:[]}"), "lint"),
    _row("is no UTF-8", lambda: answering(b'{"tools":[{"name":"\xff\xfe"}]}'), "lint"),
    _row("is a list", lambda: answering(b"[]"), "lint"),
    _row("is a number without end", lambda: answering(b'{"tools":' + b"9" * 200_000 + b"}"), "lint"),
    _row("is a number out of range", lambda: answering(b'{"tools":[],"x":1e999}'), f"lint no_tools {ANSWERS}"),
    _row("is NaN", lambda: answering(b'{"tools":[],"x":NaN}'), "lint no_tools"),
    _row("is 100,000 lists deep", lambda: answering(b'{"tools":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "lint"),
    _row("is 100,000 objects deep", lambda: answering(b'{"tools":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
        "lint"),
    _row("has half of a pair", lambda: answering(b'{"tools":[{"name":"go","description":"\\ud800"}]}'),
         f"lint {ANSWERS} invalid_text no_tools"),
    _row("has no tools", lambda: answering(b'{"tools":[]}'), "no_tools"),
    _row("says its tools twice over", lambda: answering(b'{"tools":[],"tools":[{"name":"go"}]}'),
        f"lint {ANSWERS} no_tools",
         offered=1),
    _says("lists 10,000 tools", *(tool(f"t{number}") for number in range(10_000)), publish="lint"),
    _says("lists 1,000 tools", *(tool(f"t{number}") for number in range(1_000)), offered=1_000),
    _says("lists one tool 500 times", *[tool()] * 500, offered=1),
    _says("lists what is no tool", 1, None, [], "x", {}, {"name": 7}, {"name": ""}, {"name": ["go"]}, GOOD, offered=1),
    _says("names a tool with a NUL", tool("a\0b"), GOOD, offered=1),
    _says("names a tool with a line break", tool("a\nb"), GOOD, offered=1),
    _says("names a tool with terminal escapes", tool("\x1b[2Jgo"), GOOD, offered=1),
    _says("names a tool from right to left", tool("go\u202eog"), GOOD, offered=1),
    _says("names a tool with an invisible letter", tool("go\u200b"), GOOD, offered=1),
    _says("names two tools that are one after mapping", tool("a b"), tool("a_b"), GOOD, offered=1),
    _says("names a tool as a path", tool("../../etc/passwd"), GOOD, offered=2),
    _says("names a tool in SQL", tool("x'; DROP TABLE calls;--"), GOOD, offered=2),
    _says("names a tool in HTML", tool("<script>alert(1)</script>"), GOOD, offered=2),
    _says("names a tool in other letters", tool("\u0440ay\u0440al"), GOOD, offered=2),
    _says("names a tool by 100,000 letters", tool("a" * 100_000), GOOD, offered=1),
    _says("describes a tool in a megabyte", tool(description="x" * MEBIBYTE), GOOD, offered=2),
    _says("describes a tool in invisible letters", tool(description="Adds.\U000e0041\U000e0042"), GOOD, offered=1),
    _says("describes a tool with controls", tool(description="Adds.\x08\x1b]0;x\x07"), GOOD, offered=1),
    _says("describes a tool from right to left", tool(description="Adds \u202e.sdda"), GOOD, offered=1),
    _says("titles a tool with controls", tool(title="A\x9bB"), GOOD, offered=1),
    _says("hides text in a schema", tool(inputSchema={"type": "object",
        "properties": {"a": {"description": "a\u2066b"}}}),
          GOOD, offered=1),
    _says("hides text in a default", tool(inputSchema={"type": "object", "properties": {"a": {"default": "a\0b"}}}),
        GOOD,
          offered=1),
    _says("refers to a remote schema", tool(inputSchema={"type": "object", "$ref": "http://127.0.0.1:9/x"}), GOOD,
          offered=1),
    _says("refers to a file", tool(inputSchema={"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}),
          GOOD, offered=1),
    _says("refers to itself", tool(inputSchema={"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}),
        GOOD,
          offered=1),
    _says("is no object", tool(inputSchema={"type": "array"}), tool("b", inputSchema=True), tool("c", inputSchema="x"),
          GOOD, offered=1),
    _says("promises what it is not", tool(annotations={"readOnlyHint": "yes"}), offered=1),
)  # fmt: skip
