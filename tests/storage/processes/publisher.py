"""Publishes versions one after another and prints what was acknowledged, a line each.

Usage: `python -m tests.storage.processes.publisher URL CONTENT COUNT`. Prints `ready` and waits for a line first.
"""

from __future__ import annotations

import sys

import anyio

from tests.storage.examples import make_release
from tool_server.errors import Conflict
from tool_server.storage.database import open_database
from tool_server.storage.plugins import SqlPluginStore


async def publish(url: str, content: str, count: int) -> None:
    async with open_database(url, busy_timeout_ms=60_000) as database:
        plugins = SqlPluginStore(database)
        say("ready")
        sys.stdin.readline()
        for number in range(count):
            version = f"1.{number}.0"
            try:
                await plugins.add_version(make_release(version=version, content=content))
                say(f"published {version}")
            except Conflict as error:
                say(f"{error.code} {version}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(publish, sys.argv[1], sys.argv[2], int(sys.argv[3]))
