"""Fixtures that every test may use."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code. What decides on a submission tries the same
# examples each time, so that it passes or fails for what was submitted; every other run looks for new ones.
settings.register_profile("any-machine", deadline=None, derandomize=os.environ.get("REQUIRE_ALL") == "1")
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The product runs on asyncio: the MCP SDK's HTTP stack and uvicorn do."""
    return "asyncio"


SLOW_FOLDERS = ("tests/cli/", "tests/end_to_end/", "tests/plugins/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole systems, commands and bundled plugins are for the full run, whatever a test of them says about itself."""
    for item in items:
        if item.nodeid.startswith(SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)
