"""The import contracts are no decoration: each wrong import is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

WRONG = {
    "a framework in the model": ("model/names.py", "import starlette", "Frameworks stay out"),
    "SQL in a service": ("services/browse.py", "import sqlalchemy", "Frameworks stay out"),
    "SQL at the edge": ("http_api/app.py", "import sqlalchemy", "SQL and blobs"),
    "extism outside the sandbox": ("cli/serve.py", "import extism", "extism is imported in the sandbox alone"),
    "one service in another": (
        "services/install.py",
        "from tool_server.services.catalog import CatalogService",
        "No service imports another",
    ),
    "storage at the edge": (
        "mcp_api/tools.py",
        "from tool_server.storage.database import Database",
        "Only bootstrap and embedding import storage",
    ),
    "upwards": ("inspection/tools.py", "from tool_server.services.publish import examine", "imports run one way"),
    "one edge in another": ("mcp_api/errors.py", "from tool_server.http_api.app import compose", "imports run one way"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy of the package."""
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as main; main()"
    return subprocess.run(
        [sys.executable, "-P", "-c", program, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layers")
    shutil.copytree(REPOSITORY / "tool_server", folder / "tool_server", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / ".importlinter", folder)
    return folder


def test_the_package_as_it_is_keeps_every_contract(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("module", "line", "contract"), WRONG.values(), ids=WRONG)
def test_a_wrong_import_breaks_its_contract(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / "tool_server" / module
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n{line}  # noqa\n", encoding="utf-8")
    try:
        done = lint(copy)
    finally:
        path.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    broken = done.stdout.split("Broken contracts")[-1]
    assert contract in broken
