"""The whole product behind a real socket, one for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.http_api.registry import Registry, running_registry


@pytest.fixture(scope="package")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    async with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running
