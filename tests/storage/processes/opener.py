"""Opens the databases whose URLs it reads, a line each, and prints the revision of each.

Usage: `python -m tests.storage.processes.opener`. Prints `ready` first.
"""

from __future__ import annotations

import sys

import anyio

from tool_server.storage.database import open_database
from tool_server.storage.revisions import stored_revision


async def open_each() -> None:
    say("ready")
    while url := sys.stdin.readline().strip():
        async with open_database(url) as database:
            say(str(await database.read(stored_revision)))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(open_each)
