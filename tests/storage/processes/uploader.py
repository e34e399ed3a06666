"""Stores artifacts of a mebibyte and prints the digest of each that was acknowledged, until it is killed.

Usage: `python -m tests.storage.processes.uploader URL`.
"""

from __future__ import annotations

import random
import sys

import anyio

from tool_server.storage.artifacts import open_artifacts


async def upload(url: str) -> None:
    artifacts = open_artifacts(url)
    content = random.Random(1)  # noqa: S311
    while True:
        digest = await artifacts.put(content.randbytes(2**20))
        sys.stdout.write(f"{digest}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(upload, sys.argv[1])
