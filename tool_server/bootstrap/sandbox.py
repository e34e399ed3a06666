"""The sandbox as the configuration wants it: workers, validators, and what guests may ask of the server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tool_server.config import Config
from tool_server.errors import InvalidInput
from tool_server.interfaces import ClientChannel
from tool_server.model.folder_permission import FolderRoots
from tool_server.model.secret import Secret
from tool_server.sandbox.guest_secrets import GuestSecrets
from tool_server.sandbox.host_calls import HostCall, HostFunctions, HostReply
from tool_server.sandbox.hyper_functions import HyperFunctions, UnreachableClient
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.protocol import ENV
from tool_server.sandbox.roots import open_roots
from tool_server.sandbox.settings import PoolSettings
from tool_server.sandbox.validation import ValidationSettings, ValidatorPool

if TYPE_CHECKING:
    from tool_server.egress.service import Egress


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


@asynccontextmanager
async def open_host_functions(
    config: Config, read_secret: Callable[[str], Awaitable[Secret | None]], client: ClientChannel | None = None
) -> AsyncGenerator[HostFunctions]:
    """What guests may ask of the server. The HTTP client is loaded with the first request.

    Args:
        config: the bounds of requests.
        read_secret: gives a secret's value for the moment.
        client: reaches the MCP client of a call; by default none can be asked.
    """
    egress: Egress | None = None
    hyper = HyperFunctions(GuestSecrets(read_secret), client or UnreachableClient())

    async def http_request(question: HostCall) -> HostReply:
        nonlocal egress
        if egress is None:
            from tool_server.egress.service import Egress

            egress = Egress(config.egress, read_secret)
        if len(question.blocks) != 2:
            raise InvalidInput("invalid_frame", "http_request takes a request and a body")
        reply = await egress.request(question.call, *question.blocks)
        return HostReply(reply.body, status=reply.status, headers=reply.headers)

    try:
        yield HostFunctions({(ENV, "http_request"): http_request, **hyper.handlers()})
    finally:
        if egress is not None:
            await egress.aclose()


def open_validation(config: Config) -> ValidatorPool:
    """Validation, an async context manager; no process starts before a value or schema needs one."""
    return ValidatorPool(ValidationSettings.from_config(config))
