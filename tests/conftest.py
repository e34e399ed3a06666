"""Fixtures that every test may use."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The product runs on asyncio: the MCP SDK's HTTP stack and uvicorn do."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole systems at work are slow, whatever else a test of them says about itself."""
    for item in items:
        if "/end_to_end/" in item.nodeid or item.nodeid.startswith("tests/end_to_end/"):
            item.add_marker(pytest.mark.slow)
