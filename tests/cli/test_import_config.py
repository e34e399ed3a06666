"""`extism-registry import-config`, on the local data folder and on a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.workplace import Workplace
from tests.support.guests import guest
from tests.support.item_guests import item_guest

RUNTIME: dict[str, Any] = {
    "allowed_hosts": ["api.example.com", "localhost", "[nothing"],
    "allowed_paths": ["/var/log:/logs", "relative"],
    "allowed_secrets": [{"service": "my-app", "user": "admin"}],
    "env_vars": {"SIZE": "large", "AMBIENT": "${AMBIENT}", "TOOL_SERVER_X": "no"},
    "memory_limit": "16Mi",
    "skip_tools": ["debug_.*", "no_such_tool"],
    "skip_prompts": ["any"],
}


def write_config(place: Workplace, plugins: object, surface: str = "hyper_v2_surface", **others: object) -> Path:
    """A configuration file beside the module `surface.wasm`."""
    folder = place.home / "imports" / place.fresh_name()
    folder.mkdir(parents=True)
    (folder / "surface.wasm").write_bytes(guest(surface))
    file = folder / "config.json"
    file.write_text(json.dumps({"plugins": plugins, **others}))
    return file


def entry(url: str = "surface.wasm", **runtime: object) -> dict[str, object]:
    return {"url": url, "description": "Comes from elsewhere", "runtime_config": runtime}


def lines_of(imported: dict[str, Any]) -> dict[str, str]:
    """What became of each setting."""
    return {line["setting"]: line["status"] for line in imported["lines"]}


def call(place: Workplace, tool: str, **arguments: object) -> str:
    return place.tool_server("call", tool, json.dumps(arguments)).stdout.strip()


def test_an_imported_plugin_runs_with_what_its_file_allowed(place: Workplace) -> None:
    source = place.fresh_name().replace("-", "_")
    name = source.replace("_", "-")
    file = write_config(
        place, {source: entry(**RUNTIME)}, auths={"https://a.example": {"type": "token", "token": "t0k"}}
    )
    done = place.extism_registry("import-config", file, "--json").json
    (imported,) = done["plugins"]
    assert (imported["source"], imported["plugin"], imported["imported"], imported["error"]) == (
        source,
        name,
        True,
        None,
    )
    assert imported["tools"] == [f"{name}_use", f"{name}_setting"]
    assert imported["skipped"] == ["debug_dump"]
    assert lines_of(imported) == {
        "name": "mapped",
        "allowed_hosts: api.example.com": "mapped",
        "allowed_hosts: localhost": "partly",
        "allowed_hosts: [nothing": "not mapped",
        "allowed_paths: /var/log:/logs": "partly",
        "allowed_paths: relative": "not mapped",
        "allowed_secrets: my-app admin": "partly",
        "env_vars: AMBIENT": "partly",
        "env_vars: SIZE": "mapped",
        "env_vars: TOOL_SERVER_X": "not mapped",
        "memory_limit": "mapped",
        "skip_prompts": "partly",
        "skip_tools": "partly",
    }
    assert lines_of(done) == {"auths": "not mapped", "timeout": "partly"}
    assert "t0k" not in json.dumps(done)
    (grants,) = place.tool_server("grant", "list", name, "--json").json["items"]
    assert (
        grants["granted"]
        == grants["requested"]
        == {
            "network": ["api.example.com", "localhost"],
            "filesystem": ["/logs:write"],
            "environment": ["AMBIENT", "SIZE"],
            "secrets": ["my-app.admin"],
            "tools": [],
            "functions": [],
        }
    )
    release = place.extism_registry("info", f"{name}@{imported['version']}", "--json").json
    assert release["manifest"]["limits"]["memory"] == 2**24
    listed = place.extism_registry("list", "--json").stdout
    assert f"{name}_use" in listed
    assert f"{name}_debug_dump" not in listed
    assert "large" not in listed
    assert call(place, f"{name}_setting", key="SIZE") == "large"
    place.tool_server("call", f"{name}_debug_dump", exits=4)


def test_importing_again_changes_what_the_file_changed_and_nothing_else(place: Workplace) -> None:
    name = place.fresh_name()
    file = write_config(place, {name: entry(env_vars={"SIZE": "1"}, skip_tools=["use"])})
    first, again = (place.extism_registry("import-config", file, "--json").json["plugins"][0] for _ in range(2))
    assert (first["version"], first["tools"]) == (again["version"], again["tools"])
    file.write_text(json.dumps({"plugins": {name: entry(env_vars={"SIZE": "2"})}}))
    other = place.extism_registry("import-config", file, "--json").json["plugins"][0]
    assert other["version"] == first["version"]
    assert (first["skipped"], other["skipped"]) == (["use"], [])
    assert call(place, f"{name}_setting", key="SIZE") == "2"
    file.write_text(json.dumps({"plugins": {name: entry(allowed_hosts=["a.example"])}}))
    wider = place.extism_registry("import-config", file, "--json").json["plugins"][0]
    assert wider["version"] != first["version"]
    assert call(place, f"{name}_setting", key="SIZE") == ""


def test_a_dry_run_says_the_same_and_does_nothing(place: Workplace) -> None:
    name = place.fresh_name()
    file = write_config(place, {name: entry(**RUNTIME)})
    trial = place.extism_registry("import-config", file, "--dry-run")
    assert f"{name}: would be imported as {name} 0.0.0-import.d" in trial.stdout
    assert "  partly      allowed_secrets: my-app admin: secrets=my-app.admin is granted" in trial.stdout
    place.extism_registry("info", name, exits=4)
    done = place.extism_registry("import-config", file)
    for line in trial.stdout.splitlines()[1:]:
        assert line in done.stdout
    assert f"  offers: {name}_use, {name}_setting" in done.stdout


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("oci://registry.example/p:latest", "copy plugin.wasm out of the image"),
        ("https://a.example/p.wasm?key=hidden", "download it"),
        ("http://a.example/p.wasm", "download it"),
        ("s3://bucket/p.wasm", "copy the module here"),
        ("file://elsewhere/p.wasm", "names another machine"),
        ("ftp://a/p.wasm", "write the file's path"),
        ("file:///no/such/file.wasm", "there is no file"),
        ("missing.wasm", "there is no file"),
        (".", "no regular file"),
    ],
)
def test_a_module_that_cannot_be_read_hinders_no_other_plugin(alone: Workplace, url: str, words: str) -> None:
    file = write_config(alone, {"first": {"url": url}, "second": entry()})
    done = alone.extism_registry("import-config", file, "--json", exits=3)
    first, second = done.json["plugins"]
    assert words in first["error"]["message"]
    assert "hidden" not in done.stdout
    assert (first["imported"], second["imported"]) == (False, True)
    assert "second_use" in alone.extism_registry("list").stdout


def test_what_is_no_plugin_or_has_a_taken_name_is_reported_and_the_rest_imported(place: Workplace) -> None:
    taken = place.published("1.0.0")
    broken, good = place.fresh_name(), place.fresh_name()
    file = write_config(place, {taken: entry(), broken: entry("broken.wasm"), good: entry()})
    (file.parent / "broken.wasm").write_bytes(b"not wasm")
    done = place.extism_registry("import-config", file, "--json", exits=5)
    codes = [item["error"] and item["error"]["code"] for item in done.json["plugins"]]
    assert codes == ["name_taken", "not_wasm", None]
    assert f"--rename {taken}=NAME" in done.stderr
    other = place.fresh_name()
    renamed = place.extism_registry("import-config", file, "--rename", f"{taken}={other}", "--json", exits=3).json
    assert renamed["plugins"][0]["tools"] == [f"{other}_use", f"{other}_setting", f"{other}_debug_dump"]


@pytest.mark.parametrize(
    ("text", "ending", "words"),
    [
        ("{", "json", "not JSON"),
        ("plugins: {a: {url: 5}}", "yaml", "$.plugins.a.url: expected a string"),
        ("plugins: {A_b: {url: x}, a-B: {url: x}}", "yaml", "are both called 'a-b'"),
        ("plugins: {a: {url: '${NO_SUCH_VARIABLE}'}}", "yaml", "NO_SUCH_VARIABLE at $.plugins.a.url"),
        ("mcpServers: {}", "yaml", "hyper-mcp"),
        ("plugins: {}", "ini", "no known ending"),
    ],
)
def test_a_bad_file_is_refused_whole(alone: Workplace, text: str, ending: str, words: str) -> None:
    file = alone.home / f"config.{ending}"
    file.write_text(text)
    done = alone.extism_registry("import-config", file, "--json", exits=3)
    assert words in done.json["error"]["message"]
    assert not alone.data.exists()


def test_a_file_that_is_not_there_and_options_that_make_no_sense_are_refused(alone: Workplace) -> None:
    alone.extism_registry("import-config", alone.home / "none.json", exits=3)
    file = write_config(alone, {"a": entry()})
    alone.extism_registry("import-config", file, "--rename", "a", exits=2)
    alone.extism_registry("import-config", file, "--rename", "b=c", exits=3)
    alone.extism_registry("import-config", file, "--rename", "a=Not A Name", exits=3)


def test_prompts_and_resources_are_left_out_as_the_file_says(place: Workplace) -> None:
    name = place.fresh_name()
    (place.home / "items.wasm").write_bytes(item_guest("hyper_items"))
    patterns = {"skip_prompts": ["gre.*", "none"], "skip_resources": ["hyper://today"]}
    file = place.home / "items.json"
    file.write_text(json.dumps({"plugins": {name: entry("items.wasm", **patterns)}}))
    (imported,) = place.extism_registry("import-config", file, "--json").json["plugins"]
    assert imported["skipped"] == ["greet", "hyper://today"]
    settings = {line["setting"]: line["status"] for line in imported["lines"]}
    assert (settings["skip_prompts"], settings["skip_resources"]) == ("partly", "mapped")
    assert [line["setting"] for line in imported["lines"]].count("prompt") == 3
