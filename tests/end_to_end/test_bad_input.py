"""Bad input on every surface: a typed code, a text that helps, and nothing changed."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.end_to_end.surfaces import Answer, Surfaces, stored
from tests.inspection.wasm.encoding import custom
from tests.mcp_api.wire import ERAS, HANDSHAKE, MODERN
from tests.services.publishing import ADD, ANYTHING, SettableClock, offer
from tests.storage.processes import receive, running
from tests.support.guest_sources import C_SOURCES
from tests.support.guests import compile_c, extism_wat, guest
from tests.support.plugins import NOTE, write_plugin
from tests.support.server import running_server, tool_server
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.model.caller import LOCAL, Scope
from tool_server.services.tokens import TokenService
from tool_server.storage.database import open_database
from tool_server.storage.tokens import SqlTokenStore

pytestmark = pytest.mark.timeout(300)

WASM_LIMIT = 64 * 2**10
SETTINGS = {"TOOL_SERVER_LIMITS__WASM": "64KiB", "TOOL_SERVER_LIMITS__INPUT": "4MiB", "TOOL_SERVER_WORKERS": "1"}

BAD_OUTPUTS = {
    "not_json": r'EXPORT(not_json) { return answer("{this is not JSON"); }',
    "wrong_type": r'EXPORT(wrong_type) { return answer("{\"sum\":\"three\"}"); }',
    "missing": r'EXPORT(missing) { return answer("{}"); }',
    "no_object": r'EXPORT(no_object) { return answer("[1,2]"); }',
    "nothing": r'EXPORT(nothing) { return answer(""); }',
    "no_number": r'EXPORT(no_number) { return answer("{\"sum\":NaN}"); }',
    "no_text": r'EXPORT(no_text) { return answer("\xff\xfe"); }',
}
PROBED_SOURCES = (C_SOURCES["echo"], C_SOURCES["add"], *BAD_OUTPUTS.values())
EXACT = {
    "type": "object",
    "properties": {"n": {"type": "integer", "maximum": 2**53}},
    "additionalProperties": False,
}
PROBED: dict[str, Any] = {
    "add": ADD,
    "echo": {"description": "A note.", "input": NOTE, "output": NOTE},
    **{name: {**ADD, "input": {"type": "object"}} for name in BAD_OUTPUTS},
}


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Generator[Surfaces]:
    config = Config(data_dir=tmp_path_factory.mktemp("bad-input") / "data")
    exact = {"echo": {"description": "A number.", "input": EXACT}}

    async def prepare() -> str:
        async with build(config) as services:
            await offer(services, "probed", wasm=compile_c("\n".join(PROBED_SOURCES)), tools=PROBED)
            await offer(services, "exact", wasm=guest("echo"), tools=exact)
            return (await services.tokens.create("tester", [Scope.ADMIN], LOCAL)).secret

    token = anyio.run(prepare)
    with running_server(config.data_dir, args=["--no-bundled"], env=SETTINGS) as server:
        opened = Surfaces(server, token, SETTINGS)
        yield opened
        opened.client.close()


ADDER = guest("add")
GOOD: dict[str, Any] = {"name": "bad", "version": "1.0.0", "tools": {"add": ADD}}


def tools_with(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "tools": {"add": {**ADD, **changes}}}


REMOTE = {"type": "object", "properties": {"a": {"$ref": "https://a.example/s.json"}}}
COLLIDING = extism_wat(
    '(func $f (result i32) (i32.const 0)) (export "a b" (func $f)) (export "a_b" (func $f)) (export "a.b" (func $f))'
)
BAD_PUBLISHES: dict[str, tuple[dict[str, Any], bytes, str, str]] = {
    "empty": (GOOD, b"", "empty_wasm", ""),
    "truncated": (GOOD, ADDER[:-7], "invalid_wasm", ""),
    "cut in the header": (GOOD, ADDER[:6], "invalid_wasm", ""),
    "corrupt": (GOOD, ADDER[:60] + bytes(byte ^ 0xFF for byte in ADDER[60:90]) + ADDER[90:], "invalid_wasm", ""),
    "component": (GOOD, b"\0asm\x0d\0\1\0", "component_wasm", "component"),
    "machine code": (GOOD, b"\x7fELF" + b"\0" * 200, "not_wasm", ""),
    "text format": (GOOD, b"(module)", "not_wasm", ""),
    "no tools": ({"name": "bad", "version": "1.0.0"}, extism_wat('(memory (export "m") 1)'), "no_tools", "export"),
    "name is a number": ({**GOOD, "name": 5}, ADDER, "invalid_manifest", "$.name"),
    "name in capitals": ({**GOOD, "name": "Bad"}, ADDER, "invalid_manifest", "lower-case"),
    "name of a path": ({**GOOD, "name": "../bad"}, ADDER, "invalid_manifest", "plugin name"),
    "name too long": ({**GOOD, "name": "b" * 65}, ADDER, "invalid_manifest", "64"),
    "no name": ({"version": "1.0.0"}, ADDER, "invalid_manifest", "name"),
    "version of two": ({**GOOD, "version": "1.0"}, ADDER, "invalid_manifest", "1.2.0"),
    "version with v": ({**GOOD, "version": "v1.0.0"}, ADDER, "invalid_manifest", "1.2.0"),
    "version is a number": ({**GOOD, "version": 1}, ADDER, "invalid_manifest", "$.version"),
    "tools is a list": ({**GOOD, "tools": [ADD]}, ADDER, "invalid_manifest", "$.tools"),
    "unknown field": ({**GOOD, "colour": "blue"}, ADDER, "invalid_manifest", "$.colour"),
    "unknown field of a tool": (tools_with(inputs={}), ADDER, "invalid_manifest", "inputs"),
    "permission is text": ({**GOOD, "permissions": "all"}, ADDER, "invalid_manifest", "$.permissions"),
    "limit is no size": ({**GOOD, "limits": {"memory": "much"}}, ADDER, "invalid_manifest", "64MiB"),
    "wasm outside": ({**GOOD, "wasm": "../../etc/passwd"}, ADDER, "unsafe_path", "inside the plugin's folder"),
    "wasm at the root": ({**GOOD, "wasm": "/etc/passwd"}, ADDER, "unsafe_path", "inside the plugin's folder"),
    "dangling reference": (tools_with(input={"type": "object", "$ref": "#/$defs/no"}), ADDER, "lint", "add"),
    "remote reference": (tools_with(input=REMOTE), ADDER, "invalid_reference|lint", "add"),
    "root is no object": (tools_with(input={"type": "string"}), ADDER, "lint", "object"),
    "no regular expression": (
        tools_with(input={"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
        ADDER,
        "lint",
        "pattern",
    ),
    "hidden characters": (tools_with(description="Adds\u200b numbers\u202e."), ADDER, "lint", "add"),
    "colliding tools": ({**GOOD, "tools": {"a b": ANYTHING, "a_b": ANYTHING}}, COLLIDING, "lint", "bad_a_b"),
    "tool without export": ({**GOOD, "tools": {"gone": ANYTHING}}, ADDER, "lint", "gone"),
}


@pytest.mark.parametrize("case", BAD_PUBLISHES)
def test_a_bad_plugin_is_refused_by_command_and_rest_alike(surfaces: Surfaces, tmp_path: Path, case: str) -> None:
    manifest, wasm, code, said = BAD_PUBLISHES[case]
    (tmp_path / "plugin.json").write_text(json.dumps(manifest))
    (tmp_path / "plugin.wasm").write_bytes(wasm)
    before = stored(surfaces.data_dir)
    by_command = surfaces.publish_by_command(tmp_path)
    by_rest = surfaces.publish_by_rest(manifest, wasm)
    # The command reads the folder itself, and sees references to files that never reach the server.
    for_command, _, for_rest = code.partition("|")
    assert (by_command.status, by_command.code) == (3, for_command)
    assert (by_rest.status, by_rest.code) == (400, for_rest or for_command)
    for answer in (by_command, by_rest):
        assert said in answer.text
        assert len(answer.text) > 30
    assert stored(surfaces.data_dir) == before


@pytest.mark.parametrize("reference", ["../secret.json", "/etc/hostname", "./link.json", "..\\secret.json"])
def test_a_reference_out_of_the_folder_reads_nothing(surfaces: Surfaces, tmp_path: Path, reference: str) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"type": "object", "description": "the secret"}')
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "link.json").symlink_to(secret)
    manifest = tools_with(input={"$ref": reference})
    (folder / "plugin.json").write_text(json.dumps(manifest))
    (folder / "plugin.wasm").write_bytes(ADDER)
    before = stored(surfaces.data_dir)
    by_command = surfaces.publish_by_command(folder)
    by_rest = surfaces.publish_by_rest(manifest, ADDER)
    assert by_command.status == 3
    assert by_command.code in {"unsafe_path", "invalid_reference"}
    assert (by_rest.status, by_rest.code) == (400, "invalid_manifest")
    assert "secret" not in (by_command.text + by_rest.text).replace(reference, "").replace(repr(reference), "")
    assert stored(surfaces.data_dir) == before


def test_a_module_beyond_the_configured_limit_is_refused(surfaces: Surfaces, tmp_path: Path) -> None:
    wasm = ADDER + custom("padding", b"x" * WASM_LIMIT)
    write_plugin(tmp_path / "bad", "bad", wasm, {"add": ADD})
    before = stored(surfaces.data_dir)
    by_command = surfaces.publish_by_command(tmp_path / "bad")
    by_rest = surfaces.publish_by_rest(GOOD, wasm)
    assert (by_command.status, by_command.code) == (3, "file_too_large")
    assert (by_rest.status, by_rest.code) == (413, "body_too_large")
    assert all(str(WASM_LIMIT) in answer.text for answer in (by_command, by_rest))
    assert stored(surfaces.data_dir) == before


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"", "line 1"),
        (b"{", "line 1"),
        (b'{"name": "bad",\n "version": nope}', "line 2"),
        (b'{"name": "\xff"}', "UTF-8"),
        (b'{"name": "bad", "name": "bad"}', "twice"),
        (b'{"limits": {"fuel": NaN}}', "NaN"),
        (b"[" * 40_000, "nested"),
    ],
    ids=range(7),
)
def test_a_manifest_that_is_no_json_is_told_where(
    surfaces: Surfaces, tmp_path: Path, manifest: bytes, said: str
) -> None:
    (tmp_path / "plugin.json").write_bytes(manifest)
    (tmp_path / "plugin.wasm").write_bytes(ADDER)
    parts = {"manifest": ("plugin.json", manifest, "application/json"), "wasm": ("w", ADDER, "application/wasm")}
    before = stored(surfaces.data_dir)
    by_command = surfaces.publish_by_command(tmp_path)
    by_rest = surfaces.client.post("/api/v1/plugins", files=parts)
    assert (by_command.status, by_command.code) == (3, "invalid_json")
    assert (by_rest.status_code, by_rest.json()["code"]) == (400, "invalid_json")
    assert said in by_command.text
    assert said in by_rest.json()["detail"]
    assert stored(surfaces.data_dir) == before


@pytest.mark.parametrize("name", ["absent", "Bad Name", "../probed", "probed@1..0"])
def test_installing_what_is_not_there_changes_nothing(surfaces: Surfaces, name: str) -> None:
    before = stored(surfaces.data_dir)
    by_command = surfaces.run("extism-registry", "install", name)
    plugin, _, requested = name.partition("@")
    by_rest = surfaces.client.put(f"/api/v1/installations/{plugin}", json={"version": requested})
    assert (by_command.status, by_rest.status_code // 100) in {(3, 4), (4, 4)}
    assert by_command.code in {"unknown_plugin", "invalid_name", "invalid_range"}
    assert by_rest.json()["code"] in {by_command.code, "unknown_path", "method_not_allowed"}
    assert stored(surfaces.data_dir) == before


# Arguments: (tool, JSON as written, code of command and REST, code of MCP in both eras)
DEEP = b'{"a": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b', "b": 1}'
DEEPER = b'{"a": ' + b"[" * 2_500_000 + b"]" * 2_500_000 + b', "b": 1}'
ARGUMENTS, JSON = ("invalid_arguments", "invalid_arguments"), ("invalid_json", "invalid_json")
BAD_ARGUMENTS: dict[str, tuple[str, bytes, tuple[str, str], tuple[object, object]]] = {
    "wrong type": ("probed_add", b'{"a": "1", "b": 2}', ARGUMENTS, ARGUMENTS),
    "missing": ("probed_add", b"{}", ARGUMENTS, ARGUMENTS),
    "unknown": ("probed_add", b'{"a": 1, "b": 2, "c": 3}', ARGUMENTS, ARGUMENTS),
    "format": ("probed_echo", b'{"text": "x", "count": 0}', ARGUMENTS, ARGUMENTS),
    "no object": ("probed_add", b"[1, 2]", ("invalid_arguments", "invalid_body"), (-32602, -32602)),
    "NaN": ("probed_add", b'{"a": NaN, "b": 2}', JSON, ARGUMENTS),
    "2^63": ("exact_echo", b'{"n": 9223372036854775808}', ARGUMENTS, ARGUMENTS),
    "invalid UTF-8": ("probed_echo", b'{"text": "\xff\xfe"}', JSON, (-32700, -32700)),
    "2 MB of nesting": ("probed_add", DEEP, JSON, (-32700, -32700)),
    "5 MB of nesting": ("probed_add", DEEPER, ("invalid_json", "body_too_large"), (413, 413)),
    "broken off": ("probed_add", b'{"a": 1', JSON, (-32700, -32700)),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_refused_on_every_surface_and_the_next_call_works(surfaces: Surfaces, case: str) -> None:
    tool, arguments, (command, rest), mcp = BAD_ARGUMENTS[case]
    before = stored(surfaces.data_dir)
    by_command = surfaces.call_by_command(tool, arguments)
    by_rest = surfaces.call_by_rest(tool, arguments)
    assert (by_command.status, by_command.code) == (3, command)
    assert (by_rest.status, by_rest.code) == (413 if rest == "body_too_large" else 400, rest)
    answers = [surfaces.call_by_mcp(era, tool, arguments) for era in (MODERN, HANDSHAKE)]
    assert tuple(answer.code for answer in answers) == mcp
    assert all(answer.text for answer in (by_command, by_rest, *answers))
    assert works(surfaces)
    assert stored(surfaces.data_dir) == before


def works(surfaces: Surfaces) -> bool:
    """Whether a good call is answered well on every surface of the server."""
    answers = [surfaces.call_by_mcp(era, "probed_add", b'{"a": 1, "b": 2}') for era in ERAS]
    answers.append(surfaces.call_by_rest("probed_add", b'{"a": 1, "b": 2}'))
    return all(answer.code is None and '"sum"' in answer.text.replace("\\", "") for answer in answers)


def test_what_was_wrong_with_arguments_is_said_in_the_same_words_everywhere(surfaces: Surfaces) -> None:
    arguments = b'{"a": "one", "b": 2}'
    answers = [surfaces.call_by_command("probed_add", arguments), surfaces.call_by_rest("probed_add", arguments)]
    answers += [surfaces.call_by_mcp(era, "probed_add", arguments) for era in ERAS]
    for answer in answers:
        assert '$.a: expected an integer, got "one" (string)' in answer.text


@pytest.mark.parametrize("tool", BAD_OUTPUTS)
def test_a_bad_output_is_the_plugins_fault_on_every_surface(surfaces: Surfaces, tool: str) -> None:
    name = f"probed_{tool}"
    by_command = surfaces.call_by_command(name, b"{}")
    by_rest = surfaces.call_by_rest(name, b"{}")
    assert (by_command.status, by_command.code) == (7, "bad_output")
    assert (by_rest.status, by_rest.code) == (422, "bad_output")
    for era in ERAS:
        answer = surfaces.call_by_mcp(era, name, b"{}")
        assert (answer.status, answer.code) == (200, "bad_output")
        assert "plugin" in answer.text
        assert by_rest.text in answer.text


@pytest.mark.parametrize("tool", ["probed_gone", "gone", "PROBED_ADD", "probed"])
def test_an_unknown_tool_is_not_found_on_every_surface(surfaces: Surfaces, tool: str) -> None:
    by_command = surfaces.call_by_command(tool, b"{}")
    by_rest = surfaces.call_by_rest(tool, b"{}")
    assert (by_command.status, by_command.code) == (4, "unknown_tool")
    assert (by_rest.status, by_rest.code) == (404, "unknown_tool")
    for era in ERAS:
        answer = surfaces.call_by_mcp(era, tool, b"{}")
        assert answer.code == -32602
        assert tool in answer.text


@pytest.fixture(scope="module")
def refused_tokens(surfaces: Surfaces) -> Mapping[str, str]:
    """Tokens that must not work, by what is wrong with them."""

    async def make() -> dict[str, str]:
        async with open_database(f"sqlite:///{surfaces.data_dir / 'tool-server.db'}") as database:
            store = SqlTokenStore(database)
            past = TokenService(store, SettableClock())
            expired = await past.create("expired", [Scope.ADMIN], LOCAL, timedelta(hours=1))
            revoked = await past.create("revoked", [Scope.ADMIN], LOCAL)
            await past.revoke("revoked", LOCAL)
        async with open_database(f"sqlite:///{surfaces.data_dir.parent / 'elsewhere.db'}") as database:
            foreign = await TokenService(SqlTokenStore(database), SettableClock()).create("a", [Scope.ADMIN], LOCAL)
        return {"expired": expired.secret, "revoked": revoked.secret, "foreign": foreign.secret, "odd": "let-me-in"}

    return anyio.run(make)


@pytest.mark.parametrize("wrong", ["expired", "revoked", "foreign", "odd"])
def test_a_token_that_is_no_longer_or_never_was_good_opens_no_surface(
    surfaces: Surfaces, refused_tokens: Mapping[str, str], tmp_path: Path, wrong: str
) -> None:
    token = refused_tokens[wrong]
    write_plugin(tmp_path / "bad", "bad", ADDER, {"add": ADD})
    before = stored(surfaces.data_dir)
    header = {"Authorization": f"Bearer {token}"}
    by_rest = surfaces.call_by_rest("probed_add", b'{"a": 1, "b": 2}', **header)
    assert (by_rest.status, by_rest.code) == (401, "unauthenticated")
    assert "tool-server token create" in by_rest.text
    for era in ERAS:
        assert surfaces.call_by_mcp(era, "probed_add", b'{"a": 1, "b": 2}', **header).status == 401
    login = {"TOOL_SERVER_URL": surfaces.server.url, "TOOL_SERVER_TOKEN": token}
    by_command = surfaces.run("extism-registry", "publish", str(tmp_path / "bad"), login=login)
    assert (by_command.status, by_command.code) == (6, "unauthenticated")
    assert stored(surfaces.data_dir) == before


def test_a_full_disk_refuses_what_must_be_written_and_heals(surfaces: Surfaces, tmp_path: Path) -> None:
    manifest = {**GOOD, "name": "large"}
    wasm = ADDER + custom("padding", b"x" * 50_000)
    write_plugin(tmp_path / "large", "large", wasm, {"add": ADD})
    before = stored(surfaces.data_dir)
    unlimited = resource.prlimit(surfaces.server.pid, resource.RLIMIT_FSIZE)
    own = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(surfaces.server.pid, resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
    try:
        by_rest = surfaces.publish_by_rest(manifest, wasm)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, own[1]))
        try:
            by_command = surfaces.publish_by_command(tmp_path / "large")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, own)
        small = surfaces.publish_by_rest({**GOOD, "name": "small"}, ADDER)
        assert works(surfaces)
    finally:
        resource.prlimit(surfaces.server.pid, resource.RLIMIT_FSIZE, unlimited)
    assert (by_rest.status, by_rest.code) == (503, "disk_full")
    assert (by_command.status, by_command.code) == (8, "disk_full")
    assert (small.status, small.code) == (503, "disk_full")
    assert all("free some" in answer.text for answer in (by_rest, by_command, small))
    assert versions(stored(surfaces.data_dir)) == versions(before)
    assert surfaces.publish_by_rest(manifest, wasm).status == 201
    assert json.loads(tool_server("db", "check", "--json", data_dir=surfaces.data_dir).stdout)["problems"] == []


def versions(state: tuple[list[tuple[Any, ...]], list[str]]) -> list[tuple[Any, ...]]:
    return state[0]


def test_a_locked_database_refuses_what_must_be_written_while_calls_go_on(surfaces: Surfaces, tmp_path: Path) -> None:
    write_plugin(tmp_path / "later", "later", ADDER, {"add": ADD})
    before = stored(surfaces.data_dir)
    with running("locker", str(surfaces.data_dir / "tool-server.db")) as locker, ThreadPoolExecutor() as threads:
        assert receive(locker) == "locked"
        by_rest = threads.submit(surfaces.publish_by_rest, {**GOOD, "name": "later"}, ADDER)
        by_command = surfaces.publish_by_command(tmp_path / "later")
        assert works(surfaces)
        answers: tuple[Answer, Answer] = (by_command, by_rest.result())
    assert [(answer.status, answer.code) for answer in answers] == [(8, "database_locked"), (503, "database_locked")]
    assert all("try again" in answer.text for answer in answers)
    assert versions(stored(surfaces.data_dir)) == versions(before)
    assert surfaces.publish_by_command(tmp_path / "later").status == 0


def test_a_refused_call_leaves_a_record_without_its_values(surfaces: Surfaces) -> None:
    surfaces.call_by_rest("exact_echo", b'{"n": "private"}')
    deadline = time.monotonic() + 20
    items: list[dict[str, Any]] = []
    while not items and time.monotonic() < deadline:
        found = surfaces.client.get("/api/v1/calls", params={"tool": "exact_echo"}).json()["items"]
        items = [item for item in found if item["arguments_bytes"] == len('{"n":"private"}')]
    assert [(item["outcome"], item["error"], item["caller"]) for item in items] == [
        ("invalid_arguments", "invalid_arguments", "tester")
    ]
    assert "private" not in json.dumps(items)
