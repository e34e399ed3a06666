"""The SDK's client with somebody behind it who answers what servers ask."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext

from tests.mcp_api.wire import CLIENT_MODES


@dataclass
class Person:
    """Answers whatever is asked, and keeps what was heard."""

    questions: list[str] = field(default_factory=list[str])
    heard: list[tuple[float, float | None]] = field(default_factory=list[tuple[float, float | None]])
    logged: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])

    async def elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        self.questions.append(params.message)
        if params.message == "refuse":
            return types.ErrorData(code=-1, message="the user is away")
        if isinstance(params, types.ElicitRequestURLParams):
            return types.ElicitResult(action="accept")
        name = next(iter(params.requested_schema["properties"]))
        return types.ElicitResult(action="accept", content={name: 42 if name == "years" else "Ada"})

    async def sample(
        self, context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        text = types.TextContent(text="Hello")
        return types.CreateMessageResult(role="assistant", content=text, model="m")

    async def roots(self, context: ClientRequestContext) -> types.ListRootsResult:
        return types.ListRootsResult.model_validate({"roots": [{"uri": "file:///work", "name": "Work"}]})

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.append((progress, total))

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logged.append((params.level, params.data))

    @asynccontextmanager
    async def connected(self, where: str | StdioServerParameters, era: str, **options: Any) -> AsyncGenerator[Client]:
        """A client of this person."""
        given: dict[str, Any] = {
            "elicitation_callback": self.elicit,
            "sampling_callback": self.sample,
            "list_roots_callback": self.roots,
            "logging_callback": self.log,
            **options,
        }
        async with Client(where, mode=CLIENT_MODES[era], read_timeout_seconds=60, **given) as client:  # pyright: ignore[reportArgumentType]
            yield client
