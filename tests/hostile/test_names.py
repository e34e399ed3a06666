"""Names, versions and strings that are written for a shell, a database, a browser or a terminal."""

from __future__ import annotations

import json
from typing import Any

import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.attacks import ANSWERS
from tests.hostile.support import MALLORY, Arena, code_of
from tests.services.publishing import ADD, ANYTHING, stored
from tests.support.guests import guest
from tool_server.errors import InvalidInput, NotFound, ToolServerError
from tool_server.inspection.manifest_forms import parse_manifest, parse_manifest_bytes
from tool_server.model.caller import LOCAL
from tool_server.model.names import check_plugin_name, tool_name

# Real processes by the hundred.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

STRINGS = (
    *("", " ", ".", "..", "/", "../x", "@a/../b", "@../b", "@a/b/c", "@/b", "@a/", "a/b", "a\\b", "~root", "-rf",
        "--help"),
    *("a\0b", "a\nb", "a\r\nSet-Cookie: x=1", "\x1b[31mred", "a\x7f", "a\u202eb", "a\u200bb", "\ufeffa", "a\u2028b"),
    *("\u0430dmin", "\uff41dmin", "e\u0301", "\U000e0041", "\u263a", "A", "1a", "a_b", "a b", "a%00b", "a%2e%2e%2fb"),
    *("'; DROP TABLE versions;--", '" OR 1=1', "<script>alert(1)</script>", "${HOME}", "$(id)", "`id`", "{{7*7}}",
        "%s%n"),
    *("a" * 65, "a" * 100_000, "@" + "a" * 65 + "/b", "\ud800", "a;b", "a|b", "a&b", "a*", "a?b", "a#b", "http://x"),
)  # fmt: skip

HIDDEN = ("a\0b", "\x1b[31mred", "a\x7f", "a\u202eb", "a\u200bb", "\ufeffa", "a\u2028b", "\U000e0041", "\ud800")
PLAIN = (
    "",
    "../x",
    "-rf",
    "'; DROP TABLE versions;--",
    "<script>alert(1)</script>",
    "$(id)",
    "\u0430dmin",
    "a" * 100_000,
)

VERSIONS: tuple[Any, ...] = (
    *("", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.0.0 ", "\n1.0.0", "1.0.0\n", "1.0.0\0", "1.0.0-", "1.0.0-01",
        "latest"),
    *("1.0.0+", "1.0.0-a..b", "-1.0.0", "1.-1.0", "1.0.0; rm -rf /", "../1.0.0", "1.0.0/../../x", "\u0661.0.0"),
    *("9" * 100_000 + ".0.0", "1.0.0-" + "a." * 50_000 + "b", "*", "^1.0.0", ">=1", "1.x", None, 1, 1.0, [], {}),
)  # fmt: skip


def document(**fields: Any) -> dict[str, Any]:
    """A good manifest with some fields replaced."""
    return {"name": "good", "version": "1.0.0", "tools": {"add": ADD}, **fields}


async def publish_document(arena: Arena, manifest: object) -> None:
    """Publish the adding guest under this manifest."""
    parsed, findings = parse_manifest(manifest)  # pyright: ignore[reportArgumentType] - hostile on purpose
    await arena.services.publish.publish(parsed, guest("add"), LOCAL, findings)


@pytest.mark.parametrize("name", STRINGS, ids=ascii)
async def test_a_plugin_s_name_that_is_none_is_refused_and_nothing_is_stored(arena: Arena, name: str) -> None:
    before = await stored(arena.services)
    with pytest.raises(InvalidInput) as refused:
        await publish_document(arena, document(name=name))
    assert len(refused.value.message) < 1_000
    assert refused.value.message.isprintable()
    assert await stored(arena.services) == before


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: ascii(version)[:40])
async def test_a_version_that_is_none_is_refused_and_nothing_is_stored(arena: Arena, version: object) -> None:
    before = await stored(arena.services)
    with pytest.raises(InvalidInput) as refused:
        await publish_document(arena, document(version=version))
    assert len(refused.value.message) < 1_000
    assert refused.value.message.isprintable()
    assert await stored(arena.services) == before


@pytest.mark.parametrize("text", STRINGS, ids=ascii)
async def test_what_is_asked_for_by_a_hostile_name_is_not_found_and_harms_nothing(arena: Arena, text: str) -> None:
    services = arena.services
    for ask in (
        lambda: services.invoke.call(text, {}, MALLORY),
        lambda: services.install.install(text, "", LOCAL),
        lambda: services.install.install("honest", text.strip() or "~", LOCAL),
        lambda: services.install.uninstall(text, LOCAL),
        lambda: services.browse.release(text, "1.0.0", LOCAL),
        lambda: services.browse.release("honest", text.strip() or "~", LOCAL),
        lambda: services.artifacts.get(text),
    ):
        with pytest.raises(ToolServerError) as refused:
            await ask()
        assert isinstance(refused.value, NotFound | InvalidInput), refused.value.code
        assert len(refused.value.message) < 1_000
    await arena.honest_call()


@pytest.mark.parametrize("text", [*HIDDEN, *PLAIN], ids=lambda text: ascii(text)[:40])
@pytest.mark.parametrize("place", ["tool", "title", "description", "property", "enum", "author", "keyword", "wasm"])
async def test_a_hostile_string_in_a_manifest_is_refused_or_kept_as_it_is(arena: Arena, place: str, text: str) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"p": {"type": "string"}}}
    tools: dict[str, Any] = {"add": {**ANYTHING, "input": schema}}
    fields: dict[str, Any] = {}
    match place:
        case "tool":
            tools = {text: tools["add"]}
        case "title" | "description":
            tools["add"][place] = text
        case "property":
            schema["properties"] = {text: {"type": "string"}}
        case "enum":
            schema["properties"]["p"]["enum"] = [text]
        case "keyword":
            fields["keywords"] = [text]
        case _:
            fields[place] = text
    before = await stored(arena.services)
    name = f"strings-{place}-{(*HIDDEN, *PLAIN).index(text)}"
    code = await code_of(publish_document(arena, document(name=name, tools=tools, **fields)))
    if code != ANSWERS:
        assert await stored(arena.services) == before
        return
    assert text not in HIDDEN
    release = await arena.services.plugins.get_version(name, "1.0.0")
    assert text in json.dumps(release.model_dump(mode="json"), ensure_ascii=False).replace('\\"', '"')


MEBIBYTE = 2**20
"""What the REST API takes of a manifest; the commands take four times as much."""


def members(count: int, form: bytes = b'"k%d":1') -> bytes:
    """As many members of an object, or items of an array, in which a number may stand."""
    return b",".join(form % number if b"%d" in form else form for number in range(count))


def within(place: bytes) -> bytes:
    """A manifest of this one field."""
    return b'{"name":"x","version":"1.0.0",' + place + b"}"


DOCUMENTS: dict[str, bytes] = {
    "100,000 objects deep": b'{"name":"x","version":"1.0.0","tools":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "100,000 lists deep": b"[" * 100_000 + b"]" * 100_000,
    "never closed": b'{"a":' * 200_000,
    "a megabyte of description": b'{"name":"x","version":"1.0.0","description":"' + b"x" * MEBIBYTE + b'"}',
    "a key twice": b'{"name":"x","name":"y","version":"1.0.0"}',
    "half of a pair": b'{"name":"\\ud800","version":"1.0.0"}',
    "no UTF-8": b'{"name":"\xff","version":"1.0.0"}',
    "NaN": b'{"name":"x","version":"1.0.0","limits":{"memory":NaN}}',
    "a number of a million digits": b'{"name":"x","version":"1.0.0","limits":{"memory":' + b"9" * MEBIBYTE + b"}}",
    "a number with a huge exponent": b'{"name":"x","version":"1.0.0","limits":{"memory":1e999999999}}',
    "a list": b"[]",
    "null": b"null",
    "nothing": b"",
    "a NUL": b"\0",
    "UTF-16": json.dumps({"name": "x", "version": "1.0.0"}).encode("utf-16"),
    "80,000 unknown fields": b"{" + members(80_000) + b"}",
    **{
        f"80,000 unknown fields in {field}": within(b'"%s":{%s}' % (field.encode(), members(80_000)))
        for field in ("permissions", "limits", "build", "runtime", "author", "tools")
    },
    "80,000 unknown fields in a tool": within(b'"tools":{"t":{' + members(80_000) + b"}}"),
    "80,000 unknown fields in annotations": within(b'"tools":{"t":{"annotations":{' + members(80_000) + b"}}}"),
    "80,000 unknown fields in an example": within(b'"tools":{"t":{"examples":[{' + members(80_000) + b"}]}}"),
    "100 unknown fields in each of 800 tools": within(
        b'"tools":{' + b",".join(b'"t%d":{%s}' % (number, members(100)) for number in range(800)) + b"}"
    ),
    "7 wrong types in each of 1,000 tools": within(
        b'"tools":{'
        + members(
            1_000, b'"t%d":{"title":1,"description":1,"input":1,"output":1,"annotations":1,"examples":1,"returns":1}'
        )
        + b"}"
    ),
    "90 wrong examples in each of 1,000 tools": within(
        b'"tools":{'
        + b",".join(b'"t%d":{"examples":[%s]}' % (number, members(90, b"1")) for number in range(1_000))
        + b"}"
    ),
    "40,000 tools": within(b'"tools":{' + members(40_000, b'"t%d":{"input":{}}') + b"}"),
    "90,000 exports": within(b'"exports":[' + members(90_000, b'"t%d"') + b"]"),
    "60,000 dependencies": within(b'"dependencies":{' + members(60_000, b'"d%d":"^1"') + b"}"),
    "1,000 dependencies on a long range": within(
        b'"dependencies":{' + members(1_000, b'"d%d":"' + b"1||" * 80 + b'1"') + b"}"
    ),
    "50,000 hosts, twice": within(
        b'"allowedHosts":[%s],"permissions":{"network":[%s]}' % (members(50_000, b'"h%d"'), members(50_000, b'"g%d"'))
    ),
    "500,000 numbers for keywords": within(b'"keywords":[' + members(500_000, b"1") + b"]"),
    "30,000 parameters of Mastra": within(
        b'"tools":{"t":{}},"mastra":{"parameters":[' + members(30_000, b'{"name":"p%d"}') + b"]}"
    ),
    "340,000 lists in a schema": within(b'"tools":{"t":{"input":{"enum":[' + members(340_000, b"[]") + b"]}}}"),
    "80,000 properties in a schema": within(
        b'"tools":{"t":{"input":{"properties":{' + members(80_000, b'"p%d":{}') + b"}}}}"
    ),
    "80,000 objects in display data": within(b'"mastra":{"icon":{' + members(80_000, b'"p%d":{}') + b"}}"),
    "80,000 objects in an XTP schema": within(b'"xtp":{' + members(80_000, b'"p%d":{}') + b"}"),
    "a prototype": b'{"__proto__":{"name":"x"},"version":"1.0.0"}',
}


def laughs(levels: int) -> dict[str, Any]:
    """Definitions of which each refers ten times to the one before."""
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(1, levels):
        definitions[f"d{level}"] = {"allOf": [{"$ref": f"#/$defs/d{level - 1}"}] * 10}
    return {"type": "object", "properties": {"a": {"$ref": f"#/$defs/d{levels - 1}"}}, "$defs": definitions}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_hostile_manifest_is_refused_by_name_and_harms_nobody(arena: Arena, name: str) -> None:
    async def work() -> None:
        with pytest.raises(InvalidInput) as refused:
            # In a thread, as the REST API reads it.
            await anyio.to_thread.run_sync(parse_manifest_bytes, DOCUMENTS[name])
        assert len(refused.value.message) < 3_000

    # Reading is work for Python, in a thread: what it costs others is waiting for the interpreter's lock.
    await arena.withstands(work, memory=128 * len(DOCUMENTS[name]), floor=0.05)


@pytest.mark.parametrize("levels", [3, 12, 1_000])
async def test_a_schema_of_a_billion_laughs_is_refused_or_small(arena: Arena, levels: int) -> None:
    tools = {"add": {**ANYTHING, "input": laughs(levels)}}

    async def work() -> None:
        code = await code_of(publish_document(arena, document(name=f"laughs-{levels}", tools=tools)))
        assert code == (ANSWERS if levels == 3 else "lint")

    await arena.withstands(work, memory=1_024 * 2**20)


@given(name=st.text(max_size=80))
def test_a_name_is_refused_or_safe_in_paths_urls_and_tool_names(name: str) -> None:
    try:
        checked = check_plugin_name(name)
    except InvalidInput:
        return
    assert checked == name
    assert ".." not in name
    assert tool_name(name, "x").replace("_", "").replace("-", "").isalnum()
