"""What every `SecretStore` does, and how the values lie in the database."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from tests.storage.examples import NOON
from tool_server.errors import InvalidInput, NotFound, Unavailable
from tool_server.interfaces import SecretStore
from tool_server.model.secret import SecretRecord
from tool_server.storage.database import Database, open_database
from tool_server.storage.sealing import FILE_NAME, Sealer
from tool_server.storage.secrets import SqlSecretStore

KEY, OTHER_KEY = "0a" * 32, "0b" * 32
VALUE = "the value, ü\n\x00"


def record(name: str = "KEY", *hosts: str, minutes: int = 0, plain_http: bool = False) -> SecretRecord:
    moment = NOON + timedelta(minutes=minutes)
    return SecretRecord(name=name, hosts=hosts, plain_http=plain_http, created_at=moment, updated_at=moment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def secrets(database: Database, folder: Path) -> SecretStore:
    return SqlSecretStore(database, Sealer("", folder))


async def value_of(store: SecretStore, name: str = "KEY") -> str:
    found = await store.get(name)
    assert found is not None
    return found.value


async def test_a_secret_comes_back_equal(secrets: SecretStore) -> None:
    stored = record("KEY", "a.example", "*.b.example:8443", plain_http=True)
    assert await secrets.put(stored, VALUE) == stored
    found = await secrets.get("KEY")
    assert found is not None
    assert (found.record, found.value) == (stored, VALUE)
    assert VALUE not in repr(found)
    assert await secrets.get("key") is None


async def test_replacing_keeps_the_moment_of_creation(secrets: SecretStore) -> None:
    await secrets.put(record("KEY", "a.example"), VALUE)
    changed = await secrets.put(record("KEY", "b.example", minutes=5), "other")
    assert (changed.created_at, changed.updated_at) == (NOON, NOON + timedelta(minutes=5))
    assert await secrets.list_secrets() == (changed,)
    assert await value_of(secrets) == "other"


async def test_secrets_are_listed_by_name_and_removed(secrets: SecretStore) -> None:
    for name in ("B", "A", "C"):
        await secrets.put(record(name), name)
    assert [item.name for item in await secrets.list_secrets()] == ["A", "B", "C"]
    await secrets.remove("B")
    assert [item.name for item in await secrets.list_secrets()] == ["A", "C"]
    with pytest.raises(NotFound) as caught:
        await secrets.remove("B")
    assert caught.value.code == "unknown_secret"


async def test_the_value_is_nowhere_in_the_files(database: Database, folder: Path) -> None:
    secrets = SqlSecretStore(database, Sealer("", folder))
    await secrets.put(record(), "needle-in-a-haystack")
    await secrets.put(record("TWO"), "needle-in-a-haystack")
    files = files_below(folder)
    assert {FILE_NAME, "tool-server.db"} <= {path.name for path in files}
    assert not [path for path in files if b"needle" in path.read_bytes()]


async def test_equal_values_look_different_each_time(database: Database, folder: Path) -> None:
    secrets = SqlSecretStore(database, Sealer("", folder))
    sealed: set[bytes] = set()
    for name in ("KEY", "KEY", "TWO"):
        await secrets.put(record(name), VALUE)
        sealed |= set(rows(database_file(folder)).values())
    assert len(sealed) == 3


async def test_the_key_is_a_file_for_its_owner_alone(secrets: SecretStore, folder: Path) -> None:
    assert not (folder / FILE_NAME).exists()
    await secrets.put(record(), VALUE)
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    (folder / FILE_NAME).chmod(0o640)
    with pytest.raises(Unavailable, match="chmod 600"):
        await secrets.get("KEY")


async def test_a_key_that_is_given_needs_no_file(database: Database, folder: Path) -> None:
    secrets = SqlSecretStore(database, Sealer(KEY, folder))
    await secrets.put(record(), VALUE)
    assert not (folder / FILE_NAME).exists()
    assert await value_of(SqlSecretStore(database, Sealer(f" {KEY.upper()}\n", folder))) == VALUE


@pytest.mark.parametrize("key", ["short", "0g" * 32, "0a" * 31, "0a" * 33])
async def test_what_is_no_key_is_refused_without_being_quoted(database: Database, folder: Path, key: str) -> None:
    with pytest.raises(InvalidInput, match="64 hexadecimal digits") as caught:
        await SqlSecretStore(database, Sealer(key, folder)).put(record(), VALUE)
    assert caught.value.code == "invalid_secrets_key"
    assert key not in caught.value.message


async def test_another_key_opens_nothing_and_adds_nothing(database: Database, folder: Path) -> None:
    await SqlSecretStore(database, Sealer(KEY, folder)).put(record(), VALUE)
    wrong = SqlSecretStore(database, Sealer(OTHER_KEY, folder))
    for attempt in (wrong.get("KEY"), wrong.put(record("TWO"), "x"), wrong.put(record("KEY"), "x")):
        with pytest.raises(Unavailable, match="another key") as caught:
            await attempt
        assert caught.value.code == "secrets_key"
    assert [item.name for item in await wrong.list_secrets()] == ["KEY"]
    await wrong.remove("KEY")
    await wrong.put(record(), "new")
    assert await value_of(wrong) == "new"


def overwrite(path: Path) -> None:
    path.write_text("lost")


@pytest.mark.parametrize("damage", [Path.unlink, overwrite])
async def test_a_lost_key_is_never_replaced_while_secrets_need_it(
    secrets: SecretStore, folder: Path, damage: Callable[[Path], object]
) -> None:
    await secrets.put(record(), VALUE)
    damage(folder / FILE_NAME)
    for attempt in (secrets.get("KEY"), secrets.put(record("TWO"), "x")):
        with pytest.raises(Unavailable) as caught:
            await attempt
        assert caught.value.code == "secrets_key"


CHANGES = {
    "the value of another secret": "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'TWO')",
    "other hosts": """UPDATE secrets SET hosts = '["evil.example"]'""",
    "no hosts": "UPDATE secrets SET hosts = '[]'",
    "leave to go without TLS": "UPDATE secrets SET plain_http = 1",
    "another name": "UPDATE secrets SET name = 'KEY2' WHERE name = 'KEY'",
    "a shortened value": "UPDATE secrets SET sealed = substr(sealed, 1, 20)",
    "an empty value": "UPDATE secrets SET sealed = x''",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_row_changed_in_the_database_cannot_be_opened(folder: Path, change: str) -> None:
    async with open_database(f"sqlite:///{database_file(folder)}") as database:
        secrets = SqlSecretStore(database, Sealer(KEY, folder))
        await secrets.put(record("KEY", "a.example"), VALUE)
        await secrets.put(record("TWO", "b.example"), "other")
        with closing(sqlite3.connect(database_file(folder))) as connection, connection:
            connection.execute(change)
        with pytest.raises(Unavailable) as caught:
            await secrets.get("KEY2" if "KEY2" in change else "KEY")
        assert caught.value.code == "secrets_key"


async def test_two_processes_that_begin_at_once_agree_on_one_key(folder: Path) -> None:
    sealers = [Sealer("", folder) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for sealer in sealers:
            tasks.start_soon(anyio.to_thread.run_sync, sealer.make_key)
    sealed = sealers[0].seal(VALUE.encode(), b"x")
    assert all(sealer.open(sealed, b"x").decode() == VALUE for sealer in sealers)
    assert [path.name for path in files_below(folder)] == [FILE_NAME]


async def test_a_key_that_cannot_be_written_is_an_error_that_says_so(database: Database, folder: Path) -> None:
    secrets = SqlSecretStore(database, Sealer("", folder / "missing"))
    with pytest.raises(Unavailable, match=f"{FILE_NAME}: No such file"):
        await secrets.put(record(), VALUE)
    assert await secrets.list_secrets() == ()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def database_file(folder: Path) -> Path:
    return folder / "data" / "tool-server.db"


def rows(file: Path) -> dict[str, bytes]:
    """The ciphertexts by name."""
    assert os.path.exists(file)
    with closing(sqlite3.connect(file)) as connection:
        return dict(connection.execute("SELECT name, sealed FROM secrets"))
