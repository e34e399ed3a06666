"""Publishing with the real sandbox and the real stores."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.inspection.wasm.encoding import custom
from tests.services.publishing import (
    ADD,
    ALICE,
    BOB,
    CALLER,
    INTEGERS,
    READER,
    SUM,
    SettableClock,
    offer,
    other_bytes,
    publish,
    stored,
)
from tests.support.guests import compile_c, extism_wat, guest
from tool_server.bootstrap.services import Services, build, publish_limits
from tool_server.config import Config
from tool_server.errors import Conflict, Denied, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.release import Abi
from tool_server.model.tool import TypeSource
from tool_server.services.publish import PublishService
from tool_server.storage.database import open_database
from tool_server.storage.plugins import SqlPluginStore

SECTION = custom("extism-tools", json.dumps({"tools": {"add": ADD}}).encode())
XTP = {
    "version": "v1-draft",
    "exports": {
        "add": {
            "input": {"contentType": "application/json", "$ref": "#/components/schemas/Pair"},
            "output": {"contentType": "application/json", "$ref": "#/components/schemas/Sum"},
        }
    },
    "components": {
        "schemas": {
            "Pair": {"properties": INTEGERS["properties"], "required": ["a", "b"]},
            "Sum": {"properties": SUM["properties"], "required": ["sum"]},
        }
    },
}
OTHER_ADD = other_bytes(guest("add"), b"conflict")
BOTH: dict[str, Any] = {"a": 40, "b": 2}


@pytest.mark.parametrize(
    ("wasm", "fields", "source", "abi", "tool", "arguments", "text", "structured"),
    [
        (guest("add"), {"tools": {"add": ADD}}, "manifest", "extism", "add", BOTH, '{"sum":42}', {"sum": 42}),
        (guest("add") + SECTION, {}, "section", "extism", "add", BOTH, '{"sum":42}', {"sum": 42}),
        (guest("add"), {"xtp": XTP}, "xtp", "extism", "add", BOTH, '{"sum":42}', {"sum": 42}),
        (guest("servlet"), {}, "described", "mcp.run", "shout", {"text": "hey"}, "HEY", None),
        (guest("hyper_v2"), {}, "described", "hyper-mcp-v2", "sum", BOTH, "42", {"sum": 42}),
        (guest("echo"), {}, "export", "extism", "echo", {"input": "as it is"}, "as it is", None),
    ],
    ids=["manifest", "section", "xtp", "servlet", "hyper-v2", "export"],
)
async def test_a_tool_gets_its_types_from_every_source_and_can_be_called(
    services: Services,
    name: str,
    wasm: bytes,
    fields: dict[str, Any],
    source: str,
    abi: str,
    tool: str,
    arguments: dict[str, Any],
    text: str,
    structured: object,
) -> None:
    release = (await offer(services, name, wasm=wasm, **fields)).release
    (definition,) = [found for found in release.tools if found.name == tool]
    assert (definition.source, release.abi) == (TypeSource(source), Abi(abi))
    result = await services.invoke.call(f"{name}_{tool}", arguments, CALLER)
    assert (result.content[0]["text"], result.structured, result.is_error) == (text, structured, False)


async def test_what_was_published_is_what_is_stored(services: Services, name: str) -> None:
    published = await publish(services, name, description="Adds", keywords=["sum"], caller=ALICE)
    assert published.created
    assert await services.plugins.get_version(name, "1.0.0") == published.release
    assert published.release.publisher == "alice"
    assert await services.artifacts.get(published.release.program.digest) == guest("add")


async def test_lint_names_every_tool_it_refuses_and_nothing_is_stored(services: Services, name: str) -> None:
    before = await stored(services)
    remote = {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}
    tools = {
        "one": {"description": "x", "input": {"type": "string"}},
        "two": {"description": "x", "input": remote},
        "three": ADD,
    }
    exports = " ".join(f'(func (export "{tool}") (result i32) (i32.const 0))' for tool in tools)
    with pytest.raises(InvalidInput) as refused:
        await publish(services, name, wasm=extism_wat(exports), tools=tools)
    assert refused.value.code == "lint"
    findings = refused.value.data["findings"]
    assert {finding["tool"] for finding in findings} == {"one", "two"}
    assert all(finding["severity"] == "refuse" and finding["rule"] and finding["message"] for finding in findings)
    assert all(f"tool '{tool}'" in refused.value.message for tool in ("one", "two"))
    assert await stored(services) == before


DESCRIPTION = (
    r"{\"tools\":[{\"name\":\"good\",\"description\":\"Fine\",\"inputSchema\":{\"type\":\"object\"}},"
    r"{\"name\":\"bad\",\"description\":\"Broken\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
    r"{\"a\":{\"$ref\":\"https://example.com/a.json\"}}}}]}"
)
MIXED_SERVLET = f"""EXPORT(describe) {{ return answer("{DESCRIPTION}"); }}
    EXPORT(call) {{ return answer("{{\\"content\\":[{{\\"type\\":\\"text\\",\\"text\\":\\"yes\\"}}]}}"); }}"""
TOO_LONG = "a" * 60
LONG_EXPORT = f"""(func $f (result i32) (call $output_set (call $alloc (i64.const 0)) (i64.const 0)) (i32.const 0))
    (export "good" (func $f)) (export "{TOO_LONG}" (func $f))"""


@pytest.mark.parametrize(
    ("wasm", "bad", "arguments"),
    [(compile_c(MIXED_SERVLET), "bad", {}), (extism_wat(LONG_EXPORT), TOO_LONG, {"input": ""})],
    ids=["described", "plain-export"],
)
async def test_a_bad_tool_that_the_author_did_not_declare_is_held_back_and_hides_no_other(
    services: Services, name: str, wasm: bytes, bad: str, arguments: dict[str, Any]
) -> None:
    release = (await offer(services, name, wasm=wasm)).release
    assert [tool.name for tool in release.tools] == ["good"]
    assert [held.name for held in release.quarantined] == [bad]
    assert release.quarantined[0].reason
    assert not (await services.invoke.call(f"{name}_good", arguments, LOCAL)).is_error
    assert (name, release.quarantined[0]) in services.catalog.current.quarantined


async def test_a_declared_bad_tool_stops_the_publish_also_beside_good_ones(services: Services, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await publish(
            services,
            name,
            wasm=extism_wat(LONG_EXPORT),
            tools={TOO_LONG: {"description": "x", "input": {"type": "object"}}},
        )
    assert refused.value.code == "lint"


@pytest.mark.parametrize("caller", [ALICE, LOCAL], ids=["owner", "another"])
async def test_equal_bytes_change_nothing_and_only_for_their_owner(
    services: Services, name: str, caller: Caller
) -> None:
    first = await publish(services, name, caller=ALICE)
    before = await stored(services)
    if caller == ALICE:
        again = await publish(services, name, caller=ALICE)
        assert (again.created, again.release) == (False, first.release)
    else:
        with pytest.raises(Denied) as refused:
            await publish(services, name, caller=caller)
        assert refused.value.code == "not_owner"
    assert await stored(services) == before


@pytest.mark.parametrize(
    ("version", "fields", "caller", "error", "code"),
    [
        (
            "1.0.0",
            {"wasm": other_bytes(guest("add"), b"conflict"), "tools": {"add": ADD}},
            ALICE,
            Conflict,
            "version_exists",
        ),
        ("1.0.0", {"description": "other words"}, ALICE, Conflict, "version_exists"),
        ("1.1.0", {}, BOB, Denied, "not_owner"),
        ("1.1.0", {}, READER, Denied, "missing_scope"),
        ("1.1.0", {"wasm": extism_wat('(memory (export "memory") 1)')}, ALICE, InvalidInput, "no_tools"),
        ("1.1.0", {"wasm": guest("servlet_broken")}, ALICE, InvalidInput, "lint"),
        ("1.1.0", {"wasm": b"\0asm"}, ALICE, InvalidInput, "invalid_wasm"),
        ("1.1.0", {"limits": {"memory": "much"}}, ALICE, InvalidInput, "invalid_manifest"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_publish_that_is_refused_leaves_everything_as_it_was(
    services: Services,
    name: str,
    version: str,
    fields: dict[str, Any],
    caller: Caller,
    error: type[ToolServerError],
    code: str,
) -> None:
    await publish(services, name, caller=ALICE)
    before = await stored(services)
    with pytest.raises(error) as refused:
        await publish(services, name, version, caller=caller, **fields)
    assert refused.value.code == code
    assert refused.value.message
    assert await stored(services) == before


async def test_a_module_beyond_the_limit_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    config = Config.model_validate({"data_dir": tmp_path / "data", "limits": {"wasm": "1KiB"}})
    async with build(config) as services:
        with pytest.raises(InvalidInput) as refused:
            await publish(services, "big", wasm=b"\0asm\1\0\0\0" + b"\xff" * 2_000)
        assert refused.value.code == "wasm_too_large"
        assert "1024" in refused.value.message
        assert await stored(services) == ((), (), set())


async def test_the_bytes_are_stored_before_the_version(services: Services, name: str) -> None:
    manifest, _ = parse_manifest({"name": name, "version": "1.0.0", "tools": {"add": ADD}})
    wasm = other_bytes(guest("add"), name.encode())
    config = services.config
    async with open_database(config.effective_database_url, busy_timeout_ms=50) as database:
        impatient = PublishService(
            *(SqlPluginStore(database), services.artifacts, services.pool, services.validation),
            *(SettableClock(), publish_limits(config)),
        )
        with closing(sqlite3.connect(config.data_dir / "tool-server.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable) as refused:
                await impatient.publish(manifest, wasm, ALICE)
        assert refused.value.code == "database_locked"
        digest = [digest async for digest in services.artifacts.digests() if not await referenced(services, digest)]
        assert [await services.artifacts.get(found) for found in digest] == [wasm]
        with pytest.raises(NotFound):
            await services.plugins.list_versions(name)
        assert (await impatient.publish(manifest, wasm, ALICE)).created


async def referenced(services: Services, digest: str) -> bool:
    return digest in await services.plugins.referenced_digests()


async def test_a_version_without_its_bytes_is_never_stored(tmp_path: Path) -> None:
    async with build(Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)) as services:
        await publish(services, "first")
        folder = tmp_path / "data" / "artifacts"
        folder.rename(tmp_path / "moved")
        folder.write_text("no folder any more")
        with pytest.raises(Unavailable) as refused:
            await publish(services, "second", wasm=other_bytes(guest("add")), tools={"add": ADD})
        assert refused.value.code == "storage_error"
        assert [found.name for found in await services.plugins.list_plugins()] == ["first"]


async def test_equal_bytes_bring_back_an_artifact_that_was_lost(services: Services, name: str) -> None:
    wasm = other_bytes(guest("add"), name.encode())
    digest = (await publish(services, name, wasm=wasm, tools={"add": ADD})).release.program.digest
    await services.artifacts.delete(digest)
    again = await publish(services, name, wasm=wasm, tools={"add": ADD})
    assert not again.created
    assert await services.artifacts.get(digest) == wasm


async def test_the_same_bytes_again_are_found_without_writing(services: Services, name: str) -> None:
    first = await publish(services, name)
    with closing(sqlite3.connect(services.config.data_dir / "tool-server.db", isolation_level=None)) as other:
        # Whoever wanted to write now would wait, and fail in the end.
        other.execute("BEGIN IMMEDIATE")
        again = await publish(services, name)
        with pytest.raises(Conflict):
            await publish(services, name, description="Another manifest")
        with pytest.raises(Denied):
            await publish(services, name, "2.0.0", caller=BOB)
        other.execute("ROLLBACK")
    assert (again.release, again.created) == (first.release, False)
