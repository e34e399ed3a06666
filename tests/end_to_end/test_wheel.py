"""The wheel, installed alone into an empty environment, is the whole product."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.mcp_api.wire import MODERN, post
from tests.support.plugins import bundled_tools
from tests.support.process_group import process_group
from tests.support.server import REPOSITORY
from tool_server.version import VERSION

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INSTALL_SECONDS = 300
SECONDS = 120

SCRAPS = (".o", ".a", ".obj", ".pyc", ".tmp", ".zig-cache", "zig-out")


def uv(*args: str | Path, cwd: Path) -> None:
    """Run uv, which builds and installs in the fraction of pip's time."""
    unwanted = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    done = subprocess.run(
        (sys.executable, "-m", "uv", *args),
        capture_output=True,
        text=True,
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name not in unwanted},
        timeout=INSTALL_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands in an environment with the wheel and what its metadata asks for, no more."""
    folder = tmp_path_factory.mktemp("environment")
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pins = REPOSITORY / ".ci" / "requirements.txt"
    uv("pip", "install", "--quiet", "--python", python, "--constraint", pins, wheel, cwd=folder)
    return python.parent


def run(*command: str | Path, home: Path) -> str:
    """Run a command in an empty folder with an empty environment; returns what it prints."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=home,
        env={"HOME": str(home)},
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_product_with_schemas_and_plugins_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        schema = archive.read("tool_server/schemas/plugin.schema.json")
    assert schema == (REPOSITORY / "schemas" / "plugin.schema.json").read_bytes()
    assert wheel.name == f"tool_server-{VERSION}-py3-none-any.whl"
    assert {name.split("/")[0] for name in names} == {"tool_server", f"tool_server-{VERSION}.dist-info"}
    for folder, packed in (("tool_server", "tool_server"), ("schemas", "tool_server/schemas")):
        files = {
            path for path in (REPOSITORY / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        }
        assert {f"{packed}/{path.relative_to(REPOSITORY / folder)}" for path in files} <= names
    for manifest in (REPOSITORY / "plugins").glob("*/plugin.json"):
        plugin = f"tool_server/bundled/{manifest.parent.name}"
        assert {f"{plugin}/plugin.json", f"{plugin}/{json.loads(manifest.read_text())['wasm']}"} <= names
    unwanted = [name for name in names if "/test" in name or "__pycache__" in name or name.endswith(SCRAPS)]
    assert unwanted == []


async def test_installed_alone_it_serves_the_bundled_plugins(environment: Path, tmp_path: Path) -> None:
    command = (environment / "tool-server", "up", "--port", "0", "--json")
    with process_group(command, cwd=tmp_path, env={"HOME": str(tmp_path)}) as server:
        facts = json.loads(server.wait_for("mcp_url", SECONDS))
        async with httpx.AsyncClient(base_url=facts["url"], timeout=SECONDS, trust_env=False) as client:
            listed = (await post(client, MODERN, "tools/list")).json()["result"]["tools"]
            called = await post(client, MODERN, "tools/call", {"name": "hash_digest", "arguments": {"data": "hello"}})
            schemas = (await client.get("/api/openapi.json")).json()
        server.send(signal.SIGTERM)
        assert server.ended(SECONDS) == 0
        assert "Traceback" not in "".join(server.stderr)
    assert {tool["name"] for tool in listed} == {tool.name for tool in bundled_tools()}
    assert facts["tools"] == len(listed)
    assert called.json()["result"]["structuredContent"]["hex"].startswith("2cf24dba5fb0a30e")
    assert schemas["info"]["version"] == VERSION


def test_both_commands_and_the_package_come_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    assert "publish" in run(environment / "extism-registry", "--help", home=tmp_path)
    assert run(environment / "tool-server", "--version", home=tmp_path) == f"tool-server, version {VERSION}\n"
    program = "import tool_server, pathlib; print(pathlib.Path(tool_server.__file__).parent); tool_server.load_plugin"
    package = Path(run(environment / "python", "-c", program, home=tmp_path).strip())
    assert package.is_relative_to(environment.parent)
    assert (package / "schemas" / "plugin.schema.json").is_file()
    assert "sandbox: a guest was compiled" in run(environment / "tool-server", "doctor", home=tmp_path)
    kit = package / "kits" / "c" / "extism.h"
    assert "EXTISM_EXPORT" in kit.read_text()
