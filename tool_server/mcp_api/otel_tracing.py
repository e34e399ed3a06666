"""Spans of calls through OpenTelemetry. Imported only where tracing is configured.

Names and attributes follow the MCP SDK's own middleware and the semantic conventions for MCP
(https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/); the parent is read from `_meta` as SEP-414 has it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

import anyio
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tool_server.model.call import CallRecord, Outcome
from tool_server.version import VERSION

SHUTDOWN_SECONDS = 5.0
"""How long the last spans may take to be sent when the server ends."""
_LONGEST_NAME = 128
_W3C = ("traceparent", "tracestate")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _CurrentCall:
    span: Span
    recorded: bool = False


class OpenTelemetryTracer:
    """One server span for each call, with what its record says: outcome, and where the time went."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()
        self._current: ContextVar[_CurrentCall | None] = ContextVar("current_call", default=None)

    @contextmanager
    def call(
        self, tool: str, meta: Mapping[str, object] | None, headers: Mapping[str, str] | None = None
    ) -> Generator[Span]:
        """See `CallTracer.call`."""
        name = tool[:_LONGEST_NAME]
        parent = self._parent(meta) or self._parent(headers)
        with self._tracer.start_as_current_span(
            f"tools/call {name}",
            context=parent,
            kind=SpanKind.SERVER,
            attributes={
                "mcp.method.name": "tools/call",
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            current = _CurrentCall(span)
            token = self._current.set(current)
            try:
                yield span
            finally:
                self._current.reset(token)
                if not current.recorded:
                    # Refused before it was one: an unknown tool, or no room for its record.
                    _fail(span, "refused")

    def observe(self, record: CallRecord) -> None:
        """Add to the span of the call that is under way in this task, if any, what its record says."""
        current = self._current.get()
        if current is None:
            return
        current.recorded = True
        if not current.span.is_recording():
            return
        current.span.set_attributes(
            {
                "tool_server.call.id": record.id,
                "tool_server.plugin.name": record.plugin,
                "tool_server.plugin.version": record.version,
                "tool_server.call.outcome": str(record.outcome),
            }
        )
        if record.outcome not in (Outcome.OK, Outcome.INPUT_REQUIRED):
            _fail(current.span, record.error or str(record.outcome))
        self._add_parts(current.span, record)

    def _add_parts(self, span: Span, record: CallRecord) -> None:
        # The record tells how long each part took; they follow each other, after arguments checked in no time.
        at = int(record.started_at.timestamp() * 1e9)
        context = set_span_in_context(span)
        timings = record.timings
        parts = (("queue", timings.queue_us), ("instantiate", timings.instantiate_us), ("run", timings.run_us))
        for name, microseconds in parts:
            if microseconds:
                part = self._tracer.start_span(name, context=context, start_time=at)
                at += microseconds * 1_000
                part.end(at)

    def _parent(self, carrier: Mapping[str, object] | None) -> Context | None:
        if not carrier:
            return None
        given = {name: value for name in _W3C if isinstance(value := carrier.get(name), str)}
        if "traceparent" not in given:
            return None
        context = self._propagator.extract(given, context=Context())
        return context if get_current_span(context).get_span_context().is_valid else None


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


@asynccontextmanager
async def open_tracing(endpoint: str) -> AsyncGenerator[OpenTelemetryTracer]:
    """A tracer that sends its spans to an OTLP/HTTP endpoint from a thread of its own; the last ones on the way out.

    What else there is to set (sampling, headers, batches, the service's name …) is in the variables `OTEL_*` of
    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. Nothing global is touched.
    """
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    try:
        yield OpenTelemetryTracer(provider.get_tracer("tool_server", VERSION))
    finally:
        with anyio.move_on_after(SHUTDOWN_SECONDS, shield=True) as deadline:
            await _shut(provider)
        if deadline.cancelled_caught:
            logger.warning("the last spans were not sent: the tracing endpoint did not take them")


async def _shut(provider: TracerProvider) -> None:
    """Send what is left. It blocks, and cannot be interrupted: the process must be able to end all the same, which
    it cannot beside one of anyio's threads."""
    loop, sent = asyncio.get_running_loop(), anyio.Event()

    def shut() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop has ended without waiting for this
            loop.call_soon_threadsafe(sent.set)

    threading.Thread(target=shut, name="tracing-shutdown", daemon=True).start()
    await sent.wait()


def _resource() -> Resource:
    given = Resource.create()
    own = Resource({SERVICE_NAME: "tool-server", SERVICE_VERSION: VERSION})
    unnamed = str(given.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service")
    return given.merge(own) if unnamed else own.merge(given)
