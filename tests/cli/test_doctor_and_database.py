"""`doctor`, `db check` and `db upgrade` on data folders in good and in bad order."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from tests.cli.workplace import Workplace
from tool_server.version import VERSION


def artifact_files(workplace: Workplace) -> list[Path]:
    """The stored modules."""
    return [path for path in (workplace.data / "artifacts").rglob("*") if path.is_file()]


def rows_of(table: str) -> dict[str, list[str]]:
    """The words of each line after the first, by the first one."""
    return {words[0]: words[1:] for line in table.splitlines() if (words := line.split())}


def test_doctor_shows_every_setting_with_its_origin_and_tries_the_parts(alone: Workplace) -> None:
    alone.published("1.0.0")
    (alone.data / "tool-server.toml").write_text('log_level = "debug"\n[limits]\nqueue = 7\ntimeout = "30s"\n')
    shown = alone.tool_server("doctor", TOOL_SERVER_LIMITS__QUEUE="8")
    rows = rows_of(shown.stdout)
    assert rows["limits.queue"] == ["8", "TOOL_SERVER_LIMITS__QUEUE"]
    assert rows["limits.timeout"] == ["30000", str(alone.data / "tool-server.toml")]
    assert rows["log_level"] == ["debug", str(alone.data / "tool-server.toml")]
    assert rows["workers"] == ["1", "TOOL_SERVER_WORKERS"]
    assert rows["port"] == ["8000", "default"]
    assert rows["tool-server"][0] == f"{VERSION},"
    for expected in ("ok    python", "ok    storage", "ok    search", "ok    sandbox"):
        assert expected in shown.stdout
    facts = alone.tool_server("doctor", "--data-dir", alone.data, "--json").json
    assert facts["settings"]["data_dir"] == {"value": str(alone.data), "origin": "command line"}
    assert facts["version"] == VERSION
    assert all(check["ok"] for check in facts["checks"].values())
    assert facts["packages"]["extism"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"TOOL_SERVER_DATA": __file__}, "--data-dir"),
        ({"TOOL_SERVER_DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:1/x"}, "sqlite:///"),
        ({"TOOL_SERVER_ARTIFACTS_URL": "carrier-pigeon://user:hunter2@loft"}, "s3://"),
    ],
)
def test_doctor_fails_with_the_part_that_does_not_work_and_keeps_passwords_to_itself(
    alone: Workplace, settings: dict[str, str], told: str
) -> None:
    workplace = Workplace(alone.home, **settings)
    failed = workplace.tool_server("doctor", exits=8)
    assert "FAIL  storage: " in failed.stdout
    assert "not working: storage: " in failed.stderr
    assert told in failed.stderr
    facts = workplace.tool_server("doctor", "--json", exits=8).json
    assert facts["checks"]["storage"]["ok"] is False
    assert facts["checks"]["python"]["ok"] is True
    assert "sandbox" not in facts["checks"]
    assert "hunter2" not in failed.stdout + str(facts["settings"])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"TOOL_SERVER_PORT": "many"}, ("port", "TOOL_SERVER_PORT")),
        ({"TOOL_SERVER_LIMITS__MEMORY": "lots"}, ("limits.memory", "TOOL_SERVER_LIMITS__MEMORY", "64MiB")),
        ({"TOOL_SERVER_LIMITS__TIMEOUT": "1 day"}, ("limits.timeout", "TOOL_SERVER_LIMITS__TIMEOUT", "250ms")),
        ({"TOOL_SERVER_LIMITS": "7", "TOOL_SERVER_LIMITS__QUEUE": "7"}, ("limits", "TOOL_SERVER_LIMITS")),
        ({"TOOL_SERVER_LIMITS__QUEUE": "7", "TOOL_SERVER_LIMITS__QUEUE__X": "7"}, ("TOOL_SERVER_LIMITS__QUEUE__X",)),
        ({"TOOL_SERVER_LOG_LEVEL": "loud"}, ("log_level", "TOOL_SERVER_LOG_LEVEL", "debug")),
        ({"TOOL_SERVER_LIMITS__MEMROY": "1MiB"}, ("limits.memroy", "TOOL_SERVER_LIMITS__MEMROY")),
        ({"TOOL_SERVER_WORKERS": "0"}, ("workers", "TOOL_SERVER_WORKERS")),
        ({"TOOL_SERVER_CONFIG": "nowhere.toml"}, ("nowhere.toml",)),
        ({"TOOL_SERVER_CONFIG": __file__}, ("TOML", Path(__file__).name)),
    ],
)
@pytest.mark.parametrize("command", ["doctor", "tools", "db check", "up --port 0", "stdio"])
def test_a_bad_setting_is_named_with_where_it_was_set_before_anything_is_opened(
    alone: Workplace, settings: dict[str, str], named: tuple[str, ...], command: str
) -> None:
    if "--port" in command and "TOOL_SERVER_PORT" in settings:
        command = "up"
    refused = Workplace(alone.home, **settings).tool_server(*command.split(), exits=3)
    assert all(name in refused.stderr for name in named), refused.stderr
    assert not alone.data.exists()


def test_db_check_finds_a_whole_folder_clean(alone: Workplace) -> None:
    alone.published("1.0.0", "1.0.1")
    assert alone.tool_server("db", "check").stdout == "clean\n"
    assert alone.tool_server("db", "check", "--json").json == {"clean": True, "problems": [], "remarks": []}


def test_db_check_names_a_damaged_and_a_missing_artifact(alone: Workplace) -> None:
    alone.published("1.0.0", "1.0.1")
    damaged, missing = artifact_files(alone)
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\xff")
    missing.unlink()
    failed = alone.tool_server("db", "check", exits=8)
    assert "clean" not in failed.stdout
    for file in (damaged, missing):
        assert f"artifact {(file.parent.name + file.name)[:12]}: " in failed.stderr
    assert "backup" in failed.stderr
    report = alone.tool_server("db", "check", "--json", exits=8).json
    assert (report["clean"], len(report["problems"])) == (False, 2)


def test_db_check_remarks_on_an_artifact_that_no_version_has(alone: Workplace) -> None:
    alone.published("1.0.0")
    digest = hashlib.sha256(b"stray").hexdigest()
    stray = alone.data / "artifacts" / "sha256" / digest[:2] / digest[2:]
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"stray")
    shown = alone.tool_server("db", "check").stdout.splitlines()
    assert shown[0].startswith("note: 1 artifacts belong to no version")
    assert shown[1] == "clean"
    report = alone.tool_server("db", "check", "--json").json
    assert (report["clean"], len(report["remarks"])) == (True, 1)


@pytest.mark.parametrize("command", ["db check", "db upgrade", "tools", "doctor"])
def test_a_database_that_is_none_is_unavailable_and_left_as_it_is(alone: Workplace, command: str) -> None:
    alone.data.mkdir()
    file = alone.data / "tool-server.db"
    file.write_bytes(b"this is no database" * 100)
    failed = alone.tool_server(*command.split(), exits=8)
    assert "internal" not in failed.stderr
    assert file.read_bytes() == b"this is no database" * 100


def test_db_upgrade_makes_the_schema_and_says_where(alone: Workplace) -> None:
    for _ in range(2):
        upgraded = alone.tool_server("db", "upgrade").stdout
        assert upgraded == f"sqlite:///{alone.data / 'tool-server.db'} is up to date\n"
    with sqlite3.connect(alone.data / "tool-server.db") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    assert {"alembic_version", "plugins", "versions"} <= tables
    assert (alone.data.stat().st_mode & 0o777) == 0o700
