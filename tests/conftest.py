"""Fixtures that every test may use."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The product runs on asyncio: the MCP SDK's HTTP stack and uvicorn do."""
    return "asyncio"
