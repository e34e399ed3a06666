"""One server for all attacks of a module: that it stands is the point."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.hostile.support import Arena
from tests.hostile.support import arena as open_arena


@pytest.fixture(scope="module")
async def arena(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    async with open_arena(tmp_path_factory.mktemp("arena") / "data") as opened:
        yield opened
