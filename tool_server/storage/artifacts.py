"""`ArtifactStore` on obstore: a local folder, memory, or a bucket of S3, GCS or Azure."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio import to_thread
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from tool_server.errors import InvalidInput, NotFound, Unavailable
from tool_server.model.json_value import sha256_hex

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MAX_BYTES = 512 * 2**20
"""Largest artifact that is stored or read, so that no object, however it came there, can fill the memory."""

ANSWER_SECONDS = 120.0
"""How long one request to the store may take, its own retries included."""

_PREFIX = "sha256"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(rf"{_PREFIX}/([0-9a-f]{{2}})/([0-9a-f]{{62}})")
# obstore reports the operating system's error in its text alone.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def open_artifacts(url: str, *, max_bytes: int = MAX_BYTES) -> ObjectArtifactStore:
    """The store at `url`: `file:///FOLDER` (made where missing), `memory:///`, `s3://`, `gs://` or `az://`.

    Raises:
        InvalidInput: `invalid_artifacts_url`.
        Unavailable: `storage_error`, the folder cannot be made.
    """
    try:
        store = LocalStore.from_url(url, mkdir=True) if url.startswith("file:") else from_url(url)
    except OSError as error:
        raise Unavailable("storage_error", f"cannot make the artifact folder {url}: {error}") from error
    except (BaseError, ValueError) as error:
        raise InvalidInput(
            "invalid_artifacts_url",
            f"the artifact URL {url!r} is refused: write file:///FOLDER, s3://BUCKET/PATH, gs://… or az://…",
        ) from error
    return ObjectArtifactStore(store, max_bytes=max_bytes)


class ObjectArtifactStore:
    """The `ArtifactStore` of an object store. The key of a digest `abcd…` is `sha256/ab/cd…`."""

    def __init__(self, store: ObjectStore, *, max_bytes: int = MAX_BYTES) -> None:
        self._store = store
        self._max_bytes = max_bytes

    async def put(self, data: bytes) -> str:
        """See `ArtifactStore.put`. Bytes that went bad under this digest are replaced by the good ones.

        Raises:
            InvalidInput: `artifact_too_large`.
        """
        if len(data) > self._max_bytes:
            raise InvalidInput(
                "artifact_too_large", f"the artifact has {len(data)} bytes, at most {self._max_bytes} can be stored"
            )
        digest = await to_thread.run_sync(sha256_hex, data)
        with _translated(), anyio.fail_after(ANSWER_SECONDS):
            try:
                await self._store.put_async(_key(digest), data, mode="create")
            except AlreadyExistsError:
                if not await self._holds(digest, data):
                    await self._store.put_async(_key(digest), data, mode="overwrite", use_multipart=False)
            if isinstance(self._store, LocalStore):
                await to_thread.run_sync(_reach_disk, self._store.prefix or Path("/"), _key(digest))
        return digest

    async def get(self, digest: str) -> bytes:
        """See `ArtifactStore.get`."""
        if not _DIGEST.fullmatch(digest):
            raise _unknown(digest)
        with _translated(), anyio.fail_after(ANSWER_SECONDS):
            try:
                result = await self._store.get_async(_key(digest))
            except FileNotFoundError as error:
                raise _unknown(digest) from error
            size = result.meta["size"]
            if size > self._max_bytes:
                raise _corrupt(digest, f"has {size} bytes, at most {self._max_bytes} are read")
            data = bytes(await result.bytes_async())
        if await to_thread.run_sync(sha256_hex, data) != digest:
            raise _corrupt(digest, "has changed")
        return data

    async def exists(self, digest: str) -> bool:
        """See `ArtifactStore.exists`."""
        if not _DIGEST.fullmatch(digest):
            return False
        with _translated(), anyio.fail_after(ANSWER_SECONDS):
            try:
                await self._store.head_async(_key(digest))
            except FileNotFoundError:
                return False
        return True

    async def delete(self, digest: str) -> None:
        """See `ArtifactStore.delete`."""
        if not _DIGEST.fullmatch(digest):
            return
        with _translated(), anyio.fail_after(ANSWER_SECONDS):
            try:
                await self._store.delete_async(_key(digest))
            except FileNotFoundError:
                pass

    async def digests(self) -> AsyncIterator[str]:
        """See `ArtifactStore.digests`. Whatever else lies in the store is left out."""
        stream: AsyncIterator[Any] = aiter(cast(Any, self._store).list(_PREFIX))
        while True:
            with _translated(), anyio.fail_after(ANSWER_SECONDS):
                try:
                    chunk = await anext(stream)
                except StopAsyncIteration:
                    return
            for found in chunk:
                if match := _KEY.fullmatch(found["path"]):
                    yield match[1] + match[2]

    async def _holds(self, digest: str, data: bytes) -> bool:
        result = await self._store.get_async(_key(digest))
        if result.meta["size"] != len(data):
            return False
        buffer = await result.bytes_async()
        return await to_thread.run_sync(sha256_hex, bytes(buffer)) == digest


def _key(digest: str) -> str:
    return f"{_PREFIX}/{digest[:2]}/{digest[2:]}"


def _unknown(digest: str) -> NotFound:
    return NotFound("unknown_artifact", f"no artifact has the digest {digest[:80]!r}", {"digest": digest[:80]})


def _reach_disk(folder: Path, key: str) -> None:
    """Write the file and the folders that name it through to the disk.

    obstore leaves that to the kernel, and a version whose row survived a power failure must find its bytes.
    """
    path = folder / key
    for target in (path, path.parent, path.parent.parent, folder):
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _corrupt(digest: str, problem: str) -> Unavailable:
    return Unavailable(
        "corrupt_artifact",
        f"the stored artifact {digest} {problem}: publish the same bytes again, or restore a backup",
        {"digest": digest},
    )


@contextmanager
def _translated() -> Generator[None]:
    """Turn what obstore and the operating system raise into `Unavailable`; obstore's own text may hold secrets."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(
            "storage_error", f"the artifact store did not answer in {ANSWER_SECONDS:.0f} s: try again later"
        ) from error
    except (BaseError, OSError) as error:
        named = _OS_ERROR.search(str(error))
        number = int(named[1]) if named else getattr(error, "errno", None)
        if number in _FULL:
            raise Unavailable(
                "disk_full", "the artifact store cannot grow: free some disk space and try again"
            ) from error
        cause = os.strerror(number) if number else type(error).__name__
        raise Unavailable(
            "storage_error", f"the artifact store failed ({cause}): check that it exists and may be written"
        ) from error
