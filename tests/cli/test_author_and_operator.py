"""What authors and operators do all day, on the local data folder and on a server: the same answers on both."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.workplace import Workplace, saying
from tests.support.guests import compile_c, guest
from tests.support.item_guests import ITEMS, item_guest
from tests.support.plugins import TRIAL_SOURCE, TRIAL_TOOLS


@pytest.fixture
def trial(place: Workplace) -> str:
    """An installed plugin whose tools work, fail and crash."""
    name = place.fresh_name()
    wasm = compile_c(f"{TRIAL_SOURCE}\nEXPORT(trap) {{ __builtin_trap(); }}")
    place.extism_registry("publish", place.plugin(name, "1.0.0", wasm, tools=TRIAL_TOOLS))
    place.extism_registry("install", name)
    return name


def test_a_version_is_published_once_and_never_with_other_bytes(place: Workplace) -> None:
    name = place.fresh_name()
    folder = place.plugin(name, "1.0.0")
    first = place.extism_registry("publish", folder)
    again = place.extism_registry("publish", folder / "plugin.json", "--json")
    assert f"published {name} 1.0.0 (" in first.stdout
    assert f"{name}_say  (types from manifest)" in first.stdout
    assert f"extism-registry install {name}" in first.stdout
    assert "no-output-schema" in first.stderr
    assert again.json["created"] is False
    assert "already published, same bytes" in place.extism_registry("publish", folder).stdout
    other = place.extism_registry("publish", place.plugin(name, "1.0.0", guest("echo"), tools={}), exits=5)
    assert f"{name} 1.0.0" in other.stderr
    assert "version" in other.stderr
    assert [item["version"] for item in place.extism_registry("versions", name, "--json").json["items"]] == ["1.0.0"]


def test_an_installation_follows_its_range_and_rolls_back_and_forth(place: Workplace) -> None:
    name = place.published("1.0.0", "1.0.1", "2.0.2")
    installed = place.extism_registry("install", f"{name}@^1", "--json").json
    assert (installed["changed"], installed["installation"]["version"]) == (True, "1.0.1")
    assert place.extism_registry("install", f"{name}@^1").stdout == f"{name} stays at 1.0.1\n"
    assert place.says(name) == "1"
    place.published("1.1.3", name=name)
    assert place.says(name) == "1"
    assert place.extism_registry("update", name).stdout == f"{name} is now at 1.1.3 (before: 1.0.1)\n"
    assert place.says(name) == "3"
    assert place.extism_registry("update", name, "--json").json["items"][0]["changed"] is False
    for version in ("1.0.1", "1.1.3"):
        assert f"{name} is now at {version}" in place.extism_registry("rollback", name).stdout
        assert place.says(name) == version[-1]
    place.published("1.2.4", name=name)
    assert f"{name} is now at 1.2.4" in place.extism_registry("update").stdout
    row = next(line.split() for line in place.extism_registry("list").stdout.splitlines() if f"{name} " in line)
    assert row == [name, "1.2.4", "^1", f"{name}_say"]


def test_a_yanked_version_is_taken_by_its_number_alone_until_it_is_unyanked(place: Workplace) -> None:
    name = place.published("1.0.0", "1.0.1")
    place.extism_registry("install", name)
    yanked = place.extism_registry("yank", f"{name}@1.0.1", "--reason", "wrong rounding", "--json").json
    assert yanked == {"plugin": name, "version": "1.0.1", "yanked": True}
    assert place.says(name) == "1"
    assert place.extism_registry("versions", name).stdout.splitlines()[1].endswith("yanked: wrong rounding")
    for requested, version in ((f"{name}@^1", "1.0.0"), (name, "1.0.0"), (f"{name}@1.0.1", "1.0.1")):
        pin = place.extism_registry("install", requested, "--json").json["installation"]
        assert (requested, pin["version"]) == (requested, version)
    assert "YANKED" in place.extism_registry("info", f"{name}@1.0.1").stdout
    assert place.extism_registry("unyank", f"{name}@1.0.1").stdout == f"unyanked {name} 1.0.1\n"
    assert place.extism_registry("install", f"{name}@^1", "--json").json["installation"]["version"] == "1.0.1"
    assert "yanked" not in place.extism_registry("versions", name).stdout


def test_uninstalling_takes_the_tools_away_and_keeps_the_versions(place: Workplace) -> None:
    name = place.published("1.0.0")
    place.extism_registry("install", name)
    assert f"{name}_say" in place.tool_server("tools").stdout
    assert place.extism_registry("uninstall", name).stdout == f"uninstalled {name}\n"
    assert f"{name}_say" not in place.tool_server("tools").stdout
    assert "list the tools again" in place.tool_server("call", f"{name}_say", exits=4).stderr
    place.extism_registry("uninstall", name, exits=4)
    published = place.extism_registry("list", "--published", "--json").json["items"]
    assert {"name": name, "latest": "1.0.0", "versions": 1}.items() <= next(
        item for item in published if item["name"] == name
    ).items()
    assert name not in [item["plugin"] for item in place.extism_registry("list", "--json").json["items"]]


def test_an_installation_may_give_its_tools_another_prefix_or_none_and_keeps_it(place: Workplace) -> None:
    name = place.published("1.0.0", "1.0.1")
    bare = f"say_{name.replace('-', '_')}"
    tools = {bare: {"description": "Says a digit.", "input": {"type": "object"}}}
    folder = place.plugin(name, "1.0.2", tools=tools, wasm=saying("2", bare))
    place.extism_registry("publish", folder)
    place.extism_registry("install", f"{name}@1.0.0", "--prefix", f"my-{name}")
    assert place.says(f"my-{name}") == "0"
    place.extism_registry("install", f"{name}@1.0.1")
    assert place.says(f"my-{name}") == "1"
    place.extism_registry("install", f"{name}@1.0.2", "--prefix", "")
    assert place.tool_server("call", bare).stdout.strip() == "2"
    place.extism_registry("install", f"{name}@1.0.1", "--prefix", name)
    assert place.says(name) == "1"


def test_a_scoped_plugin_goes_the_same_way(place: Workplace) -> None:
    name = f"@acme/{place.fresh_name()}"
    tool = name.removeprefix("@").replace("/", "_")
    place.published("1.0.0", "1.0.1", name=name)
    place.extism_registry("install", f"{name}@~1.0")
    assert place.says(tool) == "1"
    place.extism_registry("yank", f"{name}@1.0.1")
    assert "is now at 1.0.0" in place.extism_registry("update", name).stdout
    assert place.extism_registry("info", f"{name}@1.0.0").stdout.startswith(f"{name} 1.0.0\n")
    place.extism_registry("uninstall", name)


def test_info_shows_what_a_version_is_and_asks_for(place: Workplace) -> None:
    name = place.fresh_name()
    folder = place.plugin(
        name, "1.0.7", license="MIT", homepage="https://example.com", permissions={"network": ["api.example.com"]}
    )
    place.extism_registry("publish", folder)
    digest = hashlib.sha256((folder / "plugin.wasm").read_bytes()).hexdigest()
    shown = place.extism_registry("info", f"{name}@^1").stdout
    for expected in (f"{name} 1.0.7", f"sha256:{digest}", "MIT", "network: api.example.com", f"{name}_say", "Says a"):
        assert expected in shown
    assert place.extism_registry("info", name, "--json").json["program"]["digest"] == digest


def test_tools_lists_names_and_schemas(place: Workplace, trial: str) -> None:
    items: list[dict[str, Any]] = place.tool_server("tools", "--json").json["items"]
    add = next(item for item in items if item["name"] == f"{trial}_add")
    assert (add["plugin"], add["version"], add["description"]) == (trial, "1.0.0", "Adds two integers")
    assert add["inputSchema"]["required"] == ["a", "b"]
    assert add["outputSchema"]["required"] == ["sum"]
    assert f"{trial}_add" in place.tool_server("tools").stdout


def test_call_takes_arguments_as_json_or_from_stdin(place: Workplace, trial: str) -> None:
    add, words, image = f"{trial}_add", f"{trial}_words", f"{trial}_image"
    assert place.tool_server("call", add, '{"a": 2, "b": 40}').json == {"sum": 42}
    assert place.tool_server("call", add, "-", stdin='{"a": 2, "b": 40}\n').json == {"sum": 42}
    assert place.tool_server("call", words, '{"text": "one zwölf"}').stdout == "2 words\n"
    assert place.tool_server("call", add, '{"a": 2, "b": 40}', "--json").json == {
        "content": [{"type": "text", "text": '{"sum":42}'}],
        "structuredContent": {"sum": 42},
        "isError": False,
    }
    assert place.tool_server("call", image).stdout.startswith("[image image/png, ")
    assert place.tool_server("call", image, "--json").json["content"][0]["mimeType"] == "image/png"


@pytest.mark.parametrize(
    ("tool", "arguments", "exits", "told"),
    [
        ("add", '{"a": "two", "b": 3}', 3, "$.a"),
        ("add", '{"a": 1}', 3, "b"),
        ("add", '{"a": 1, "a": 2, "b": 3}', 3, "twice"),
        ("add", '{"a": NaN, "b": 3}', 3, "NaN"),
        ("add", "{", 3, "ARGUMENTS"),
        ("add", "[1, 2]", 3, "array"),
        ("error", "{}", 7, "the thing is broken: bring a new one"),
        ("trap", "{}", 7, "trap"),
        ("not_json", "{}", 7, "JSON"),
        ("gone", "{}", 4, "list the tools again"),
    ],
)
def test_a_failing_call_says_why_and_leaves_with_the_code_of_its_kind(
    place: Workplace, trial: str, tool: str, arguments: str, exits: int, told: str
) -> None:
    assert told in place.tool_server("call", f"{trial}_{tool}", arguments, exits=exits).stderr
    told_as_json = place.tool_server("call", f"{trial}_{tool}", arguments, "--json", exits=exits).json
    assert told in told_as_json["error"]["message"]


def test_a_tool_that_answers_with_an_error_fails_with_its_own_words_as_one_document(place: Workplace) -> None:
    name = place.fresh_name()
    place.extism_registry("publish", place.plugin(name, "1.0.0", guest("servlet"), tools={}))
    place.extism_registry("install", name)
    refused = place.tool_server("call", f"{name}_refuse", exits=7)
    assert refused.stdout == "refused on purpose\n"
    answer = place.tool_server("call", f"{name}_refuse", "--json", exits=7).json
    assert (answer["isError"], answer["content"][0]["text"]) == (True, "refused on purpose")


def test_a_token_that_sees_a_part_is_made_and_shown_with_what_it_sees(place: Workplace) -> None:
    name = f"part-{place.fresh_name()}"
    only = ("--only", "plugin:text", "--only", "tool:hash_digest")
    made = place.tool_server("token", "create", name, "--view", "search", *only, "--json").json
    assert made["token"]["view"] == {"mode": "search", "plugins": ["text"], "tools": ["hash_digest"]}
    assert "search: plugin:text, tool:hash_digest" in place.tool_server("token", "list").stdout
    listed = place.tool_server("token", "list", "--json").json["items"]
    assert made["token"] in listed


def test_tokens_are_made_listed_and_revoked(place: Workplace) -> None:
    name = f"client-{place.fresh_name()}"
    made = place.tool_server("token", "create", name)
    assert made.stdout.startswith("ts_")
    assert "not shown again" in made.stderr
    second = place.tool_server(
        *("token", "create", f"{name}-2", "--scope", "publish", "--scope", "read", "--expires", "90d", "--json")
    ).json
    assert second["token"]["scopes"] == ["publish", "read"]
    assert "secret_hash" not in second["token"]
    assert "revoke" in place.tool_server("token", "create", name, exits=5).stderr
    listed = place.tool_server("token", "list").stdout
    row = next(line for line in listed.splitlines() if f"{name}-2 " in line)
    assert "publish, read" in row
    assert "valid until" in row
    assert made.stdout.strip() not in listed
    assert f"revoked {name} (" in place.tool_server("token", "revoke", name).stdout
    revoked = place.tool_server("token", "revoke", second["token"]["id"], "--json").json
    assert revoked["revoked_at"] is not None
    assert place.tool_server("token", "list").stdout.count("revoked") >= 2


def test_whoami_names_the_place_and_what_may_be_done_there(place: Workplace, request: pytest.FixtureRequest) -> None:
    shown = place.extism_registry("whoami", "--json").json
    if "local" in request.node.callspec.id:
        assert shown == {"where": str(place.data), "name": "local", "scopes": ["admin", "call", "publish", "read"]}
    else:
        assert shown["where"].startswith("http://127.0.0.1:")
        assert (shown["name"], shown["scopes"]) == ("remote", ["admin"])
    assert place.extism_registry("whoami").stdout.startswith(f"{shown['name']} at {shown['where']} (")


@pytest.mark.parametrize(
    ("command", "exits", "told"),
    [
        ("extism-registry install NAME", 4, "NAME"),
        ("extism-registry install Not_A_Name", 3, "lower-case"),
        ("extism-registry install NAME@>=oops", 3, "range"),
        ("extism-registry install NAME --prefix a.b", 3, "prefix"),
        ("extism-registry info NAME", 4, "NAME"),
        ("extism-registry versions NAME", 4, "NAME"),
        ("extism-registry update NAME", 4, "extism-registry install NAME"),
        ("extism-registry rollback NAME", 4, "extism-registry install NAME"),
        ("extism-registry yank NAME", 3, "NAME@VERSION"),
        ("extism-registry yank NAME@1.0.0", 4, "NAME"),
        ("extism-registry yank NAME@^1", 3, "version"),
        ("extism-registry unyank NAME@1.0.0", 4, "NAME"),
        ("tool-server token revoke NAME", 4, "NAME"),
        ("tool-server token create local", 5, "another"),
        ("tool-server token create NAME --expires soon", 3, "12h"),
        ("tool-server token create NAME --expires 9999d", 3, "error: "),
        ("tool-server token create NAME --scope everything", 2, "everything"),
        ("tool-server token create NAME --view some", 2, "search"),
        ("tool-server token create NAME --only text", 3, "neither a plugin nor a tool"),
        ("tool-server token create NAME --only plugin:Text", 3, "not a plugin name"),
        ("tool-server token create NAME --scope admin --only plugin:text", 3, "admin"),
        ("tool-server call", 2, "TOOL"),
        ("tool-server dance", 2, "dance"),
    ],
)
def test_a_command_that_cannot_be_done_names_what_is_wrong(
    place: Workplace, command: str, exits: int, told: str
) -> None:
    name = place.fresh_name()
    program, *args = command.replace("NAME", name).split()
    run = place.tool_server if program == "tool-server" else place.extism_registry
    assert told.replace("NAME", name) in run(*args, exits=exits).stderr


def test_nothing_to_go_back_to_is_a_conflict_and_no_fitting_version_lists_those_there_are(place: Workplace) -> None:
    name = place.published("1.0.0", "1.0.1")
    assert "1.0.1, 1.0.0" in place.extism_registry("install", f"{name}@^2", exits=4).stderr
    place.extism_registry("install", name)
    assert f"extism-registry install {name}@VERSION" in place.extism_registry("rollback", name, exits=5).stderr


def test_info_shows_prompts_and_resources_where_there_are_any(place: Workplace) -> None:
    name = place.fresh_name()
    folder = place.plugin(name, "1.0.0", item_guest("items"), **ITEMS)
    published = place.extism_registry("publish", folder).stdout
    assert f"  prompt {name}_review\n" in published
    shown = place.extism_registry("info", name).stdout
    assert f"\nprompts\n  {name}_review\n      Reviews a text.\n" in shown
    assert "\nresources\n  notes://today\n      Of today.\n" in shown
    assert "\nresource templates\n  notes://{folder}/{name}\n" in shown
    document = place.extism_registry("info", name, "--json").json
    assert document["prompts"][0]["name"] == "review"
    bare = place.fresh_name()
    place.extism_registry("publish", place.plugin(bare, "1.0.0"))
    assert "prompts" not in place.extism_registry("info", bare).stdout


@pytest.mark.parametrize(
    ("manifest", "wasm", "told"),
    [
        ("{", b"", "plugin.json is not JSON"),
        ('{"name": "Bad Name", "version": "1.0.0"}', b"", "lower-case"),
        ('{"name": "fine", "version": "one"}', b"", "version"),
        ('{"name": "fine", "version": "1.0.0"}', b"\0asm", "wasm"),
        (
            json.dumps({"name": "fine", "version": "1.0.0", "tools": {"gone": {"input": {"type": "object"}}}}),
            guest("echo"),
            "gone",
        ),
        (
            json.dumps({"name": "fine", "version": "1.0.0", "tools": {"echo": {"input": {"$ref": "https://x.org/s"}}}}),
            guest("echo"),
            "echo",
        ),
    ],
)
def test_a_plugin_that_breaks_a_rule_is_refused_by_name(
    place: Workplace, tmp_path: Path, manifest: str, wasm: bytes, told: str
) -> None:
    (tmp_path / "plugin.json").write_text(manifest)
    (tmp_path / "plugin.wasm").write_bytes(wasm)
    assert told in place.extism_registry("publish", tmp_path, exits=3).stderr
    assert "fine" not in place.extism_registry("list", "--published").stdout


def test_a_missing_plugin_folder_is_named(place: Workplace, tmp_path: Path) -> None:
    assert "nowhere" in place.extism_registry("publish", tmp_path / "nowhere", exits=3).stderr
    assert "plugin.json" in place.extism_registry("publish", tmp_path, exits=3).stderr
