"""Storage as the configuration wants it. Importing this loads the SQL libraries, which takes longer than the rest."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tool_server.config import Config
from tool_server.errors import Unavailable
from tool_server.interfaces import (
    ArtifactStore,
    CallJournal,
    CallLog,
    PluginStore,
    RequestStates,
    SecretStore,
    TaskStore,
    TokenStore,
    ToolIndex,
)
from tool_server.storage.artifacts import open_artifacts
from tool_server.storage.calls import SqlCallLog
from tool_server.storage.database import open_database
from tool_server.storage.journal import FileCallJournal
from tool_server.storage.plugins import SqlPluginStore
from tool_server.storage.request_states import SqlRequestStates
from tool_server.storage.sealing import Sealer
from tool_server.storage.secrets import SqlSecretStore
from tool_server.storage.tasks import SqlTaskStore
from tool_server.storage.tokens import SqlTokenStore
from tool_server.storage.tool_index import FtsToolIndex


@dataclass(frozen=True, slots=True)
class Storage:
    """Everything that is kept."""

    plugins: PluginStore
    artifacts: ArtifactStore
    call_log: CallLog
    journal: CallJournal
    tokens: TokenStore
    secrets: SecretStore
    request_states: RequestStates
    tasks: TaskStore


@asynccontextmanager
async def open_storage(config: Config) -> AsyncGenerator[Storage]:
    """Open the data folder with its database and artifacts; what is missing is made.

    Raises:
        Unavailable: the data folder, database or artifact store cannot be opened.
    """
    _prepare_data_dir(config)
    key = config.secrets_key.get_secret_value()
    async with open_database(config.effective_database_url) as database:
        yield Storage(
            plugins=SqlPluginStore(database),
            artifacts=open_artifacts(config.effective_artifacts_url),
            call_log=SqlCallLog(database),
            journal=FileCallJournal(config.data_dir / "journal"),
            tokens=SqlTokenStore(database),
            secrets=SqlSecretStore(database, Sealer(key, config.data_dir)),
            request_states=SqlRequestStates(database, key, config.data_dir),
            tasks=SqlTaskStore(database),
        )


def open_tool_index() -> ToolIndex:
    """An empty index of tools, in memory.

    Raises:
        Unavailable: `search_index`, this Python's SQLite cannot do it.
    """
    return FtsToolIndex()


def _prepare_data_dir(config: Config) -> None:
    """Make the data folder, readable by its owner alone."""
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "data_dir",
            f"cannot make the data folder {config.data_dir}: {error.strerror}; choose another with --data-dir",
        ) from error
