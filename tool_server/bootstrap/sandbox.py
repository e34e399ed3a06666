"""The sandbox as the configuration wants it: workers, validators, shared folders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tool_server.config import Config
from tool_server.model.folder_permission import FolderRoots
from tool_server.sandbox.host_calls import HostFunctions
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.roots import open_roots
from tool_server.sandbox.settings import PoolSettings
from tool_server.sandbox.validation import ValidationSettings, ValidatorPool


def shared_folders(config: Config) -> FolderRoots:
    """The folders that plugins may be granted, as they are on this machine now.

    Raises:
        InvalidInput: `invalid_config`.
    """
    return open_roots(config.filesystem.roots, config.private_paths)


def open_pool(
    config: Config, read_artifact: Callable[[str], Awaitable[bytes]], host_functions: HostFunctions
) -> WorkerPool:
    """The worker pool, an async context manager; no process starts before the first call."""
    return WorkerPool(PoolSettings.from_config(config), read_artifact, host_functions)


def open_validation(config: Config) -> ValidatorPool:
    """Validation, an async context manager; no process starts before a value or schema needs one."""
    return ValidatorPool(ValidationSettings.from_config(config))
