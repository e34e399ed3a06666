"""Fills the disk with artifacts and versions, then prints as JSON what failed and what is left.

Usage: `python -m tests.storage.processes.filler FOLDER [LARGEST_FILE]`; with a number of bytes no file can grow
beyond it, otherwise the file system of the folder is the bound.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

import anyio

from tests.storage.examples import make_release
from tool_server.errors import Unavailable
from tool_server.interfaces import ArtifactStore, PluginStore
from tool_server.storage.artifacts import open_artifacts
from tool_server.storage.database import open_database
from tool_server.storage.plugins import SqlPluginStore

LARGE = 4 * 2**20


async def fill(folder: Path) -> None:
    artifacts = open_artifacts((folder / "artifacts").as_uri())
    async with open_database(f"sqlite:///{folder / 'tool-server.db'}") as database:
        plugins = SqlPluginStore(database)
        report: dict[str, object] = {
            "artifact": await fill_artifacts(artifacts),
            "version": await fill_versions(plugins),
        }
        sys.stdout.write(json.dumps(report | {"problems": await plugins.check()}))


async def fill_artifacts(artifacts: ArtifactStore) -> dict[str, object]:
    small = [await artifacts.put(bytes([number]) * 1_000) for number in range(3)]
    try:
        await artifacts.put(b"x" * LARGE)
    except Unavailable as error:
        listed = {digest async for digest in artifacts.digests()}
        kept = [len(await artifacts.get(digest)) for digest in small]
        return {"code": error.code, "listed": listed == set(small), "kept": kept}
    return {"code": None}


async def fill_versions(plugins: PluginStore) -> dict[str, object]:
    published: list[str] = []
    try:
        for number in range(10_000):
            description = f"{number} " * 500
            await plugins.add_version(make_release(version=f"1.{number}.0", description=description))
            published.append(f"1.{number}.0")
    except Unavailable as error:
        stored = [found.version for found in await plugins.list_versions("text-tools")]
        return {"code": error.code, "published": len(published), "agree": stored == published[::-1]}
    return {"code": None}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    anyio.run(fill, Path(sys.argv[1]))
