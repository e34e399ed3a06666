"""What is left when a process is killed, and when several processes work on one database."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.storage.examples import make_release
from tests.storage.processes import receive, rest, running, send
from tool_server.model.json_value import sha256_hex
from tool_server.storage.artifacts import open_artifacts
from tool_server.storage.database import open_database
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.schema_revisions import HEAD


async def test_every_acknowledged_publish_survives_kill_9_and_none_is_half_there(database_url: str) -> None:
    with running("publisher", database_url, "", "100000") as publisher:
        assert receive(publisher) == "ready"
        send(publisher)
        lines = [receive(publisher) for _ in range(40)]
        publisher.kill()
        lines += rest(publisher)
    acknowledged = {line.removeprefix("published ") for line in lines}
    async with open_database(database_url) as database:
        plugins = SqlPluginStore(database)
        stored = {found.version for found in await plugins.list_versions("text-tools")}
        assert acknowledged <= stored
        assert len(stored - acknowledged) <= 1
        for version in stored:
            assert await plugins.get_version("text-tools", version) == make_release(version=version)
        assert [found.versions for found in await plugins.list_plugins()] == [len(stored)]
        assert await plugins.check() == ()
        assert await plugins.add_version(make_release(version="2.0.0"))


async def test_an_upload_cut_short_by_kill_9_leaves_no_visible_artifact(artifact_folder: Path) -> None:
    with running("uploader", artifact_folder.as_uri()) as uploader:
        acknowledged = [receive(uploader) for _ in range(5)]
        uploader.kill()
        acknowledged += rest(uploader)
    artifacts = open_artifacts(artifact_folder.as_uri())
    listed = [digest async for digest in artifacts.digests()]
    assert set(acknowledged) <= set(listed)
    for digest in listed:
        assert sha256_hex(await artifacts.get(digest)) == digest


async def test_of_two_processes_that_publish_other_bytes_one_wins_each_version(database_url: str) -> None:
    versions = [f"1.{number}.0" for number in range(20)]
    lines: dict[str, list[str]] = {}
    with ExitStack() as stack:
        started = {content: stack.enter_context(running("publisher", database_url, content, "20")) for content in "ab"}
        assert [receive(process) for process in started.values()] == ["ready", "ready"]
        for process in started.values():
            send(process)
        for content, process in started.items():
            lines[content] = rest(process)
    async with open_database(database_url) as database:
        plugins = SqlPluginStore(database)
        for number, version in enumerate(versions):
            stored = await plugins.get_version("text-tools", version)
            winners = [content for content in "ab" if lines[content][number] == f"published {version}"]
            losers = [content for content in "ab" if lines[content][number] == f"version_exists {version}"]
            assert (len(winners), len(losers)) == (1, 1)
            assert stored == make_release(version=version, content=winners[0])
        assert await plugins.check() == ()


def test_processes_that_open_a_fresh_database_at_once_all_succeed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        openers = [stack.enter_context(running("opener")) for _ in range(3)]
        assert [receive(opener) for opener in openers] == ["ready"] * 3
        for number in range(6):
            for opener in openers:
                send(opener, f"sqlite:///{tmp_path / str(number) / 'tool-server.db'}")
            assert [receive(opener) for opener in openers] == [HEAD] * 3
