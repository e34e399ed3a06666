"""The committed modules are what their sources give, wherever they are built."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.running import NAMES, PLUGINS, source_of

pytestmark = pytest.mark.slow


def build_in(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "plugins" / "build.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def other_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in a folder of another name, without the committed modules."""
    root = tmp_path_factory.mktemp("another checkout")
    shutil.copytree(PLUGINS, root / "plugins", ignore=shutil.ignore_patterns("*.wasm", "__pycache__"))
    kit = Path("tool_server", "kits", "c")
    shutil.copytree(PLUGINS.parent / kit, root / kit)
    return root


def test_every_module_is_rebuilt_to_the_same_bytes_in_another_checkout(other_checkout: Path) -> None:
    finished = build_in(other_checkout)
    assert finished.returncode == 0, finished.stderr
    for name in NAMES:
        committed = source_of(name).wasm
        rebuilt = (other_checkout / "plugins" / name / f"{name}.wasm").read_bytes()
        digest = hashlib.sha256(committed).hexdigest()
        assert hashlib.sha256(rebuilt).hexdigest() == digest, f"run plugins/build.py {name}"
        assert digest in finished.stdout
        assert str(PLUGINS.parent).encode() not in committed


def test_a_check_notices_a_module_that_differs_from_its_sources(other_checkout: Path) -> None:
    assert build_in(other_checkout, "encoding").returncode == 0
    assert build_in(other_checkout, "encoding", "--check").returncode == 0
    module = other_checkout / "plugins" / "encoding" / "encoding.wasm"
    module.write_bytes(module.read_bytes() + b"\x00\x02\x01x")
    finished = build_in(other_checkout, "encoding", "--check")
    assert finished.returncode == 1
    assert "differs from its sources" in finished.stderr


def test_a_source_that_does_not_compile_and_an_unknown_name_are_errors(other_checkout: Path) -> None:
    broken = other_checkout / "plugins" / "encoding" / "src" / "broken.c"
    broken.write_text("int broken(")
    finished = build_in(other_checkout, "encoding")
    broken.unlink()
    assert finished.returncode == 1
    assert "broken.c" in finished.stderr
    assert "no such plugin: nothing" in build_in(other_checkout, "nothing").stderr
