"""The backends that every contract suite runs on. A further backend is one more name and its address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tool_server.interfaces import ArtifactStore, CallLog, PluginStore, TokenStore
from tool_server.storage.artifacts import open_artifacts
from tool_server.storage.calls import SqlCallLog
from tool_server.storage.database import Database, open_database
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.tokens import SqlTokenStore


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that is empty yet."""
    addresses = {"sqlite": f"sqlite:///{tmp_path / 'data' / 'tool-server.db'}"}
    return addresses[request.param]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        yield opened


@pytest.fixture
def plugins(database: Database) -> PluginStore:
    return SqlPluginStore(database)


@pytest.fixture
def tokens(database: Database) -> TokenStore:
    return SqlTokenStore(database)


@pytest.fixture
def calls(database: Database) -> CallLog:
    return SqlCallLog(database)


@pytest.fixture
def artifact_folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "wasm files"


@pytest.fixture(params=["folder", "memory"])
def artifacts(request: pytest.FixtureRequest, artifact_folder: Path) -> ArtifactStore:
    addresses = {"folder": artifact_folder.as_uri(), "memory": "memory:///"}
    return open_artifacts(addresses[request.param])
