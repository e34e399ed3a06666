"""What a newcomer does first: clone, `make up`, and call a tool, within two minutes.

It installs from the package index, as a newcomer does. What is not committed is not in the clone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import anyio
import httpx
import pytest

from tests.mcp_api.wire import MODERN, post
from tests.support.process_group import process_group
from tests.support.server import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROMISED_SECONDS = 120
SECONDS = 60


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the last commit."""
    if not (REPOSITORY / ".git").exists():
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail("this is no git checkout, and REQUIRE_ALL=1 wants one", pytrace=False)
        pytest.skip("this is no git checkout: nothing to clone")
    folder = tmp_path / "clone"
    subprocess.run(
        ("git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, folder), check=True, capture_output=True, timeout=120
    )
    return folder


def newcomers_environment(home: Path) -> dict[str, str]:
    """A shell with nothing of ours in it: how to reach the network stays as it is."""
    python = Path(os.environ.get("VIRTUAL_ENV", REPOSITORY / ".venv"), "bin")
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != python]
    unwanted = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in unwanted and not name.startswith("TOOL_SERVER_")
    }
    return {**kept, "PATH": os.pathsep.join(path), "HOME": str(home), "XDG_DATA_HOME": str(home / "share")}


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def test_make_up_serves_the_bundled_plugins_of_a_fresh_clone_within_two_minutes(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    with process_group(("make", "up", f"PORT={port}"), cwd=clone, env=newcomers_environment(home)) as server:
        assert f"{url}/mcp" in server.wait_for(f"{url}/mcp", PROMISED_SECONDS)
        async with httpx.AsyncClient(base_url=url, timeout=SECONDS, trust_env=False) as client:
            tools = (await post(client, MODERN, "tools/list")).json()["result"]["tools"]
            called = await post(client, MODERN, "tools/call", {"name": "hash_digest", "arguments": {"data": "hello"}})
        seconds = time.monotonic() - started
        with capsys.disabled():
            print(f"\nmake up served {len(tools)} tools {seconds:.1f} s after the clone")  # noqa: T201
        assert called.json()["result"]["structuredContent"]["hex"].startswith("2cf24dba5fb0a30e")
        assert len(tools) >= len(list((clone / "plugins").glob("*/plugin.json"))) > 0
        assert seconds < PROMISED_SECONDS
        assert (home / "share" / "tool-server" / "tool-server.db").is_file()
        server.send(signal.SIGTERM)
        assert server.ended(SECONDS) == -signal.SIGTERM
        said = "".join(server.stderr)
        assert "stopping on SIGTERM" in said
        assert "Traceback" not in said
        assert server.is_gone_within(SECONDS)
    status = await anyio.run_process(("git", "status", "--porcelain"), cwd=clone)
    assert status.stdout == b""
