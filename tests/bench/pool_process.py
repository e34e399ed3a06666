"""The sandbox pool by itself in a process of its own, as the floor of whole servers.

`python -m tests.bench.pool_process batch` reads numbers, makes that many calls, 32 at once, and prints the seconds
they took; `... lines` answers JSON-RPC lines, one after another.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import anyio
import orjson

from tests.support.guests import guest
from tests.support.programs import call_of, pool_for
from tool_server.config import Config
from tool_server.sandbox.pool import WorkerPool

AT_ONCE = 32
INPUT = b'{"text":"hello"}'


async def batch(pool: WorkerPool) -> None:
    """Numbers in, seconds out."""
    call = call_of(guest("echo"), "echo", INPUT)

    async def some(count: int) -> None:
        for _ in range(count):
            await pool.run(call)

    for line in sys.stdin.buffer:
        started = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(some, int(line) // AT_ONCE)
        _print(b"%f" % (time.perf_counter() - started))


async def lines(pool: WorkerPool) -> None:
    """JSON-RPC requests in, answers out."""
    call = call_of(guest("echo"), "echo", INPUT)
    for line in sys.stdin.buffer:
        request = orjson.loads(line)
        output = await pool.run(call)
        text = {"type": "text", "text": output.data.decode()}
        result = {"content": [text], "structuredContent": orjson.loads(output.data)}
        _print(orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}))


def _print(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def main() -> None:
    """Serve until the input ends."""
    with tempfile.TemporaryDirectory() as folder:
        async with pool_for(Path(folder), {"echo": guest("echo")}, workers=Config().workers) as pool:
            await (batch if sys.argv[1] == "batch" else lines)(pool)


if __name__ == "__main__":
    anyio.run(main, backend_options={"use_uvloop": True})
