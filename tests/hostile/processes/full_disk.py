"""Calls and publishes while the disk is full, then after room was made; prints what happened as JSON.

Usage: `python -m tests.hostile.processes.full_disk FOLDER`, where FOLDER is a small file system of its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio

from tests.services.publishing import offer, other_bytes, publish
from tests.support.guests import guest
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.errors import ToolServerError
from tool_server.model.caller import LOCAL


async def main(folder: Path) -> None:
    config = Config.model_validate({"data_dir": folder / "data", "workers": 1, "spare_workers": 0})
    report: dict[str, object] = {}
    ballast = folder / "ballast"
    async with build(config, environment={}) as services:
        await offer(services, "sums")
        await _add(services, 0)
        await services.recorder.flush()
        _fill(ballast)
        report["calls while full"] = [await _add(services, number) for number in range(1, 300)].count(1)
        report["publish while full"] = await _publish(services)
        ballast.unlink()
        with anyio.fail_after(30):
            await services.recorder.flush()
        report["recorded"] = await services.call_log.count()
        report["publish with room"] = await _publish(services)
        report["calls with room"] = await _add(services, 300)
    report["journal"] = len(list((folder / "data" / "journal").iterdir()))
    async with build(config, environment={}) as services:
        report["problems"] = await services.plugins.check()
        report["in the end"] = await services.call_log.count()
    sys.stdout.write(json.dumps(report))


async def _add(services: Services, number: int) -> int:
    result = await services.invoke.call("sums_add", {"a": number, "b": 1}, LOCAL)
    return int(result.structured == {"sum": number + 1})


async def _publish(services: Services) -> str:
    try:
        await publish(services, "more", wasm=other_bytes(guest("add"), b"x" * 200_000), tools={"add": {"input": {}}})
    except ToolServerError as error:
        return error.code
    return "published"


def _fill(ballast: Path) -> None:
    """Take all the room there is, to the last byte."""
    descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    size = 2**20
    while size:
        try:
            os.write(descriptor, b"x" * size)
        except OSError:
            size //= 2
    os.close(descriptor)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
