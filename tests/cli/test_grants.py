"""Granting at the shell, on the local data folder and on a server."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.workplace import Workplace
from tests.support.guests import guest

REQUESTED = {"network": ["*.example.com"], "environment": ["COLOUR"], "secrets": ["API_KEY"]}


def published(place: Workplace) -> str:
    """A plugin that asks for something."""
    name = place.fresh_name()
    place.extism_registry("publish", place.plugin(name, "1.0.0", permissions=REQUESTED))
    return name


def test_an_install_says_what_is_requested_and_how_to_grant_it(place: Workplace) -> None:
    name = published(place)
    installed = place.extism_registry("install", name)
    assert installed.stdout.splitlines() == [
        f"{name} is now at 1.0.0",
        "  requests:  network=*.example.com, environment=COLOUR, secrets=API_KEY",
        "  granted:   nothing",
        "  effective: nothing",
    ]
    line = installed.stderr.splitlines()[-1]
    assert line.startswith("To grant what is missing: tool-server grant add ")
    command = shlex.split(line.partition(": ")[2])[1:]
    granted = place.tool_server(*command)
    assert f"{name} 1.0.0: grants changed" in granted.stdout
    assert "missing" not in granted.stderr
    assert "missing" not in place.extism_registry("install", name).stderr


def test_an_install_grants_at_once_what_it_is_told_to(place: Workplace) -> None:
    name = published(place)
    options = ("--grant", "network=GET API.example.com", "--grant", "secrets=API_KEY")
    made = place.extism_registry("install", name, *options, "--json").json
    assert made["changed"] is True
    assert made["grants"]["effective"]["network"] == ["GET api.example.com"]
    assert made["installation"]["granted"] == made["grants"]["granted"]
    assert made["grants"]["missing"]["environment"] == ["COLOUR"]
    again = place.extism_registry("install", name, "--json").json
    assert (again["changed"], again["grants"]) == (False, made["grants"])


def test_an_update_says_what_the_new_version_requests_more(place: Workplace) -> None:
    name = published(place)
    place.extism_registry("install", name, "--grant", "network=*", "--grant", "environment=*", "--grant", "secrets=*")
    wider = {**REQUESTED, "filesystem": ["/data:read"]}
    place.extism_registry("publish", place.plugin(name, "1.1.0", permissions=wider))
    updated = place.extism_registry("update", name)
    assert f"{name} is now at 1.1.0" in updated.stdout
    assert f"tool-server grant add {name} filesystem=/data:read" in updated.stderr
    assert "grant add" not in place.extism_registry("update", name).stderr


def test_the_command_that_is_shown_is_for_the_folder_that_was_named(alone: Workplace) -> None:
    name = published(alone)
    installed = alone.extism_registry("install", name, "--data-dir", alone.data)
    command = shlex.split(installed.stderr.splitlines()[-1].partition(": ")[2])
    assert command[:5] == ["tool-server", "grant", "add", "--data-dir", str(alone.data)]
    assert "grants changed" in alone.tool_server(*command[1:]).stdout


def test_a_wrong_grant_keeps_an_install_from_happening(place: Workplace) -> None:
    name = published(place)
    assert "HOST" in place.extism_registry("install", name, "--grant", "network=http://x", exits=3).stderr
    assert name not in place.extism_registry("list").stdout


def test_grants_are_added_listed_and_taken_back(place: Workplace) -> None:
    name = published(place)
    place.extism_registry("install", name)
    added = place.tool_server(
        "grant", "add", name, "network=api.example.com", "environment=*", "tools=x", "--json"
    ).json
    assert added["changed"] is True
    assert added["grants"]["effective"]["environment"] == ["COLOUR"]
    assert added["grants"]["notes"] == [f"tools=x has no effect: {name} 1.0.0 does not request it"]
    shown = place.tool_server("grant", "list", name, "--json").json["items"]
    assert shown == [added["grants"]]
    assert shown[0] in place.tool_server("grant", "list", "--json").json["items"]
    row = next(line for line in place.tool_server("grant", "list").stdout.splitlines() if line.startswith(f"{name} "))
    assert row.endswith("network=api.example.com, environment=COLOUR")
    removed = place.tool_server("grant", "remove", name, "environment=*", "tools=x")
    assert removed.stdout.splitlines()[2:] == [
        "  granted:   network=api.example.com",
        "  effective: network=api.example.com",
    ]
    assert place.tool_server("grant", "remove", name, "--all", "--json").json["grants"]["granted"]["network"] == []
    assert "grants unchanged" in place.tool_server("grant", "remove", name, "--all").stdout


@pytest.mark.parametrize(
    ("command", "exits", "told"),
    [
        ("grant add NAME", 2, "KIND=VALUE"),
        ("grant add NAME network", 3, "KIND=VALUE"),
        ("grant add NAME network=https://x.example", 3, "no scheme"),
        ("grant add NAME filesystem=/data", 3, "PATH:read"),
        ("grant add absent network=x.example", 4, "extism-registry install absent"),
        ("grant remove NAME", 2, "--all"),
        ("grant remove NAME --all secrets=API_KEY", 2, "--all"),
        ("grant remove NAME secrets=API_KEY", 4, "no grant of"),
        ("grant list absent", 4, "extism-registry install absent"),
        ("grant list Bad!", 3, "plugin name"),
    ],
)
def test_a_grant_that_cannot_be_made_names_what_is_wrong(place: Workplace, command: str, exits: int, told: str) -> None:
    name = published(place)
    place.extism_registry("install", name)
    assert told in place.tool_server(*command.replace("NAME", name).split(), exits=exits).stderr


def test_a_plugin_works_in_the_folder_it_was_granted(alone: Workplace, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "note.txt").write_text("hello")
    folder = alone.plugin("notes", "1.0.0", guest("files"), tools={}, permissions={"filesystem": ["/data:write"]})
    alone.extism_registry("publish", folder)
    alone.extism_registry("install", "notes", "--grant", "filesystem=/data:write")
    read = ("call", "notes_files", '{"input": "read /data note.txt"}')
    assert "errno" in alone.tool_server(*read, exits=7).stderr
    listed = alone.tool_server("grant", "list", "notes")
    assert "filesystem.roots" in listed.stderr
    roots = f"/data={shared}:read"
    assert alone.tool_server(*read, TOOL_SERVER_FILESYSTEM__ROOTS=roots).stdout == "ok hello\n"
    shown = alone.tool_server("grant", "list", "notes", "--json", TOOL_SERVER_FILESYSTEM__ROOTS=roots).json["items"][0]
    assert shown["effective"]["filesystem"] == ["/data:read"]
    assert shown["notes"] == ["this server shares /data to be read only: see filesystem.roots"]
    refused = alone.tool_server(*read, exits=3, TOOL_SERVER_FILESYSTEM__ROOTS=f"/data={tmp_path / 'absent'}:read")
    assert "is no folder on this machine" in refused.stderr
    doctor = alone.tool_server("doctor", "--json", TOOL_SERVER_FILESYSTEM__ROOTS=roots).json
    assert doctor["settings"]["filesystem.roots"]["origin"] == "TOOL_SERVER_FILESYSTEM__ROOTS"
