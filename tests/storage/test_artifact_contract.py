"""What every `ArtifactStore` does."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tool_server.errors import InvalidInput, NotFound
from tool_server.interfaces import ArtifactStore
from tool_server.model.json_value import sha256_hex
from tool_server.storage.artifacts import open_artifacts

MISSING = sha256_hex(b"missing")
NOT_DIGESTS = ["", "abc", MISSING.upper(), f"{MISSING}0", f"{MISSING}\n", f"../{MISSING}", "/" * 64, "é" * 64]


async def stored(artifacts: ArtifactStore) -> set[str]:
    return {digest async for digest in artifacts.digests()}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
async def test_bytes_come_back_under_their_digest(artifacts: ArtifactStore, data: bytes) -> None:
    digest = await artifacts.put(data)
    assert digest == sha256_hex(data)
    assert await artifacts.exists(digest)
    assert await artifacts.get(digest) == data
    assert digest in await stored(artifacts)


async def test_storing_equal_bytes_again_is_accepted(artifacts: ArtifactStore) -> None:
    assert await artifacts.put(b"wasm") == await artifacts.put(b"wasm")
    assert await stored(artifacts) == {sha256_hex(b"wasm")}


async def test_equal_bytes_stored_in_parallel_are_stored_once(artifacts: ArtifactStore) -> None:
    data = bytes(range(256)) * 4_000
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(artifacts.put, data)
    assert await artifacts.get(sha256_hex(data)) == data
    assert await stored(artifacts) == {sha256_hex(data)}


async def test_an_unknown_digest_is_not_found(artifacts: ArtifactStore) -> None:
    assert not await artifacts.exists(MISSING)
    with pytest.raises(NotFound) as caught:
        await artifacts.get(MISSING)
    assert caught.value.code == "unknown_artifact"
    await artifacts.delete(MISSING)


@pytest.mark.parametrize("text", NOT_DIGESTS)
async def test_what_is_no_digest_names_nothing(artifacts: ArtifactStore, text: str) -> None:
    await artifacts.put(b"wasm")
    assert not await artifacts.exists(text)
    with pytest.raises(NotFound) as caught:
        await artifacts.get(text)
    assert caught.value.code == "unknown_artifact"
    await artifacts.delete(text)
    assert await stored(artifacts) == {sha256_hex(b"wasm")}


async def test_a_deleted_artifact_is_gone_and_can_come_back(artifacts: ArtifactStore) -> None:
    digest = await artifacts.put(b"wasm")
    await artifacts.delete(digest)
    assert not await artifacts.exists(digest)
    assert await stored(artifacts) == set()
    assert await artifacts.put(b"wasm") == digest
    assert await artifacts.get(digest) == b"wasm"


async def test_an_empty_store_lists_nothing(artifacts: ArtifactStore) -> None:
    assert await stored(artifacts) == set()


async def test_more_artifacts_than_one_page_are_all_listed(artifacts: ArtifactStore) -> None:
    digests = {await artifacts.put(number.to_bytes(2)) for number in range(130)}
    assert await stored(artifacts) == digests


async def test_an_artifact_over_the_bound_is_refused() -> None:
    artifacts = open_artifacts("memory:///", max_bytes=10)
    await artifacts.put(b"x" * 10)
    with pytest.raises(InvalidInput, match="11 bytes, at most 10") as caught:
        await artifacts.put(b"x" * 11)
    assert caught.value.code == "artifact_too_large"
