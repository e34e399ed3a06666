"""The product on a data folder of its own, for all tests of this folder that do not change its settings."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator

import pytest

from tool_server.bootstrap.services import Services, build
from tool_server.config import Config

ENVIRONMENT = {"COLOUR": "blue", "HIDDEN": "not yours"}

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="package")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Services]:
    config = Config(data_dir=tmp_path_factory.mktemp("services") / "data", workers=1, spare_workers=0)
    async with build(config, environment=ENVIRONMENT) as running:
        yield running


@pytest.fixture
def name() -> str:
    """A plugin name that no other test uses."""
    return f"plugin-{next(_NUMBERS)}"
