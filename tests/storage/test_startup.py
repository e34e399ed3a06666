"""What opening a database loads: `tool-server stdio` starts with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.storage.processes import ROOT
from tool_server.storage.database import open_database

OPEN = """
import sys, anyio
from tool_server.storage.database import open_database
from tool_server.storage.plugins import SqlPluginStore

async def main(url):
    async with open_database(url) as database:
        await SqlPluginStore(database).list_installed()

anyio.run(main, sys.argv[1])
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


def loaded_by_opening(url: str) -> list[str]:
    names = ("alembic", "mako", "sqlalchemy.orm", "obstore", "sqlalchemy")
    finished = subprocess.run(
        [sys.executable, "-c", OPEN, url, *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return finished.stdout.split()


async def test_opening_a_database_that_is_up_to_date_loads_no_alembic_and_no_orm(database_url: str) -> None:
    async with open_database(database_url):
        pass
    assert loaded_by_opening(database_url) == ["sqlalchemy"]


def test_opening_a_new_database_loads_alembic(database_url: str) -> None:
    assert "alembic" in loaded_by_opening(database_url)


@pytest.mark.parametrize(("module", "unwanted"), [("artifacts", "sqlalchemy"), ("database", "obstore")])
def test_artifacts_and_database_do_not_load_each_others_libraries(module: str, unwanted: str) -> None:
    program = f"import sys, tool_server.storage.{module}; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
