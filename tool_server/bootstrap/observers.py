"""Who looks on at calls: metrics and traces, as far as the configuration wants them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tool_server.config import Config
from tool_server.errors import InvalidInput
from tool_server.mcp_api.tracing import NO_TRACER, CallTracer
from tool_server.model.call import CallRecord

if TYPE_CHECKING:
    from tool_server.metrics.exposition import ServerMetrics


@dataclass(frozen=True, slots=True)
class Observers:
    """Who looks on, as far as the configuration wants anybody to."""

    metrics: ServerMetrics | None
    tracer: CallTracer
    listeners: tuple[Callable[[CallRecord], None], ...]
    """Are told of every call's record."""


@asynccontextmanager
async def open_observers(config: Config) -> AsyncGenerator[Observers]:
    """Metrics and traces where they are configured; nothing of either is imported where they are not.

    Raises:
        InvalidInput: `invalid_config`, tracing is configured and not installed.
    """
    metrics: ServerMetrics | None = None
    listeners: list[Callable[[CallRecord], None]] = []
    if config.metrics:
        from tool_server.metrics.exposition import ServerMetrics

        metrics = ServerMetrics()
        listeners.append(metrics.calls.observe)
    if not config.tracing.endpoint:
        yield Observers(metrics, NO_TRACER, tuple(listeners))
        return
    try:
        from tool_server.mcp_api.otel_tracing import open_tracing
    except ImportError as error:
        raise InvalidInput(
            "invalid_config",
            "tracing.endpoint is set and OpenTelemetry is not installed: install the extra with "
            "'pip install \"tool-server[otel]\"', or unset it",
        ) from error
    async with open_tracing(config.tracing.endpoint) as tracer:
        yield Observers(metrics, tracer, (*listeners, tracer.observe))
