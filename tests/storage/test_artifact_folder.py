"""Artifacts in a folder: damage, strangers, and addresses that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.processes import ROOT
from tool_server.errors import InvalidInput, NotFound, Unavailable
from tool_server.model.json_value import sha256_hex
from tool_server.storage.artifacts import ObjectArtifactStore, open_artifacts

WASM = b"\0asm\1\0\0\0"
DIGEST = sha256_hex(WASM)


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def identity(file: Path) -> tuple[int, int]:
    return file.stat().st_ino, file.stat().st_mtime_ns


@pytest.fixture
def artifacts(artifact_folder: Path) -> ObjectArtifactStore:
    return open_artifacts(artifact_folder.as_uri(), max_bytes=1_000)


@pytest.fixture
def file(artifact_folder: Path) -> Path:
    return artifact_folder / "sha256" / DIGEST[:2] / DIGEST[2:]


async def test_an_artifact_is_one_file_named_by_its_digest(artifacts: ObjectArtifactStore, file: Path) -> None:
    await artifacts.put(WASM)
    assert files(file.parents[2]) == {file: WASM}


FSYNC = """
import anyio, sys, threading
from tool_server.storage.artifacts import open_artifacts

called = []

def watch(frame, event, argument):
    if event == "c_call" and argument.__name__ == "fsync":
        called.append(frame.f_locals["target"].as_uri())

threading.setprofile(watch)
anyio.run(open_artifacts(sys.argv[1]).put, bytes.fromhex(sys.argv[2]))
print(*called)
"""


def test_an_acknowledged_artifact_and_the_folders_that_name_it_have_reached_the_disk(
    artifact_folder: Path, file: Path
) -> None:
    arguments = [sys.executable, "-c", FSYNC, artifact_folder.as_uri(), WASM.hex()]
    finished = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    expected = [path.as_uri() for path in (file, *file.parents[:3])]
    assert finished.stdout.split() == expected
    assert expected[-1] == artifact_folder.as_uri()


async def test_another_store_on_the_folder_finds_the_artifact(
    artifacts: ObjectArtifactStore, artifact_folder: Path
) -> None:
    await artifacts.put(WASM)
    assert await open_artifacts(artifact_folder.as_uri()).get(DIGEST) == WASM


@pytest.mark.parametrize("damaged", [b"", WASM[:-1], b"\1" + WASM[1:], WASM + b"\0"])
async def test_bytes_that_changed_are_never_returned_and_can_be_stored_again(
    artifacts: ObjectArtifactStore, file: Path, damaged: bytes
) -> None:
    await artifacts.put(WASM)
    write(file, damaged)
    with pytest.raises(Unavailable, match="has changed") as caught:
        await artifacts.get(DIGEST)
    assert caught.value.code == "corrupt_artifact"
    assert await artifacts.put(WASM) == DIGEST
    assert await artifacts.get(DIGEST) == WASM


async def test_an_artifact_over_the_bound_is_not_read(artifacts: ObjectArtifactStore, artifact_folder: Path) -> None:
    digest = await open_artifacts(artifact_folder.as_uri()).put(b"x" * 1_001)
    with pytest.raises(Unavailable, match="1001 bytes, at most 1000") as caught:
        await artifacts.get(digest)
    assert caught.value.code == "corrupt_artifact"


async def test_an_artifact_that_is_intact_is_not_written_again(artifacts: ObjectArtifactStore, file: Path) -> None:
    await artifacts.put(WASM)
    before = identity(file)
    await artifacts.put(WASM)
    assert identity(file) == before


async def test_files_that_are_no_artifacts_are_not_listed(artifacts: ObjectArtifactStore, file: Path) -> None:
    # The first is what an upload leaves behind when its process is killed.
    for stray in (f"{file.name}#1", "README", f"{file.name}.bak", f"{'G' * 62}", "é"):
        write(file.parent / stray, b"part")
    write(file.parents[1] / "top", b"x")
    assert [digest async for digest in artifacts.digests()] == []
    with pytest.raises(NotFound):
        await artifacts.get(DIGEST)
    await artifacts.put(WASM)
    assert [digest async for digest in artifacts.digests()] == [DIGEST]


async def test_a_file_in_the_place_of_a_folder_is_a_storage_error(artifacts: ObjectArtifactStore, file: Path) -> None:
    write(file.parent, b"in the way")
    for attempt in (artifacts.get, artifacts.exists, artifacts.delete):
        with pytest.raises(Unavailable, match="Not a directory") as caught:
            await attempt(DIGEST)
        assert caught.value.code == "storage_error"
    with pytest.raises(Unavailable) as caught:
        await artifacts.put(WASM)
    assert caught.value.code == "storage_error"
    assert str(file.parent) not in caught.value.message


@pytest.mark.parametrize("url", ["", "artifacts", "ftp://example.com/a", "s3://", "file://host/a", "memory"])
def test_an_address_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="artifact URL") as caught:
        open_artifacts(url)
    assert caught.value.code == "invalid_artifacts_url"


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="Not a directory") as caught:
        open_artifacts((tmp_path / "file" / "artifacts").as_uri())
    assert caught.value.code == "storage_error"
