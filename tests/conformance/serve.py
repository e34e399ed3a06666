"""The server that the conformance suite is run against: the real one, with the fixtures published and installed.

`python -m tests.conformance.serve --port N` runs it alone, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

import anyio

from tests.conformance.fixtures import build, groups
from tests.support.server import server_environment
from tool_server.bootstrap.services import build as build_services
from tool_server.config import Config
from tool_server.inspection.manifest_files import load_plugin_folder
from tool_server.model.caller import LOCAL

SETTINGS = {"TOOL_SERVER_WORKERS": "4", "TOOL_SERVER_LIMITS__STREAM": "500ms"}
"""The suite leaves calls behind that would take a minute, and does not wait for half a minute until a stream ends."""

OPTIONS = ("--no-bundled",)


async def install_fixtures(data_dir: Path, folder: Path) -> None:
    """Compile every group of fixtures below `folder`, publish it and install it, its tools under their own names."""
    async with build_services(Config(data_dir=data_dir)) as services:
        for group in groups():
            made = await anyio.to_thread.run_sync(build, group, folder)
            source = load_plugin_folder(made, max_wasm_bytes=services.config.limits.wasm)
            published = await services.publish.publish(source.manifest, source.wasm, LOCAL, source.findings)
            assert not published.release.quarantined, published.release.quarantined
            await services.install.install(published.release.plugin, "", LOCAL, tool_prefix="")


def prepare(folder: Path) -> Path:
    """A new data directory below `folder` with every fixture installed."""
    data_dir = folder / "data"
    data_dir.mkdir()
    anyio.run(install_fixtures, data_dir, folder / "plugins")
    return data_dir


def main() -> int:
    """Serve until a signal; returns what the server ended with."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1; 0 takes a free one (default: 8000)")
    port = parser.parse_args().port
    with tempfile.TemporaryDirectory(prefix="conformance-") as temporary:
        data_dir = prepare(Path(temporary))
        command = (
            sys.executable,
            "-m",
            "tool_server",
            "up",
            *OPTIONS,
            "--port",
            str(port),
            "--data-dir",
            str(data_dir),
        )
        with subprocess.Popen(command, env=server_environment(SETTINGS)) as server:

            def stop(_number: int, _frame: FrameType | None) -> None:
                server.terminate()

            # Ctrl-C reaches the server by itself, as it is of the same process group.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, stop)
            return server.wait()


if __name__ == "__main__":
    sys.exit(main())
