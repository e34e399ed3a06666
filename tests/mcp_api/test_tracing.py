"""Spans of calls, as an OTLP receiver behind a real socket gets them."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from gzip import decompress
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.http_api.registry import Registry, running_registry
from tests.mcp_api.wire import ERAS, HANDSHAKE, MODERN, body_of, call, post
from tests.sandbox.conftest import until
from tests.services.publishing import offer, offer_guest
from tests.support.http_server import serving
from tool_server.bootstrap.observers import open_observers
from tool_server.config import Config, LoadedConfig
from tool_server.errors import InvalidInput
from tool_server.mcp_api.tracing import NO_TRACER
from tool_server.version import VERSION

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
BOTH = {"a": 1, "b": 2}


@dataclass
class Receiver:
    """What came to `/v1/traces`."""

    requests: list[ExportTraceServiceRequest] = field(default_factory=list[ExportTraceServiceRequest])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        assert (request.method, request.url.path) == ("POST", "/v1/traces")
        data = decompress(body) if request.headers.get("content-encoding") == "gzip" else body
        self.requests.append(ExportTraceServiceRequest.FromString(data))
        self.headers.append(dict(request.headers))
        await Response(b"", media_type="application/x-protobuf")(scope, receive, send)

    @property
    def spans(self) -> list[Span]:
        """All spans."""
        return [
            span
            for request in self.requests
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    @property
    def servers(self) -> list[Span]:
        """The spans of calls, as they began."""
        return sorted(
            (span for span in self.spans if span.kind == Span.SPAN_KIND_SERVER),
            key=lambda span: span.start_time_unix_nano,
        )

    def children(self, parent: Span) -> dict[str, Span]:
        """The parts of a call by name."""
        return {span.name: span for span in self.spans if span.parent_span_id == parent.span_id}


def attributes(pairs: Any) -> dict[str, str]:
    """Attributes, which are all strings here."""
    given: list[KeyValue] = list(pairs)
    return {pair.key: pair.value.string_value for pair in given}


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def receiving() -> AsyncGenerator[tuple[Receiver, str]]:
    """A receiver, and its endpoint."""
    receiver = Receiver()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (_lifespan if scope["type"] == "lifespan" else receiver)(scope, receive, send)

    async with serving(app) as url:
        yield receiver, f"{url}/v1/traces"


@asynccontextmanager
async def traced(folder: Path, endpoint: str, **settings: Any) -> AsyncGenerator[Registry]:
    async with running_registry(folder / "data", tracing={"endpoint": endpoint}, **settings) as registry:
        await offer(registry.services, "sums")
        yield registry


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_is_a_span_below_the_clients_with_its_parts_below_it(tmp_path: Path, era: str) -> None:
    async with receiving() as (receiver, endpoint):
        async with traced(tmp_path, endpoint) as registry, registry.client() as client:
            body = body_of(era, "tools/call", {"name": "sums_add", "arguments": BOTH})
            body["params"].setdefault("_meta", {})["traceparent"] = TRACEPARENT
            body["params"]["_meta"]["tracestate"] = "vendor=1"
            content = json.dumps(body).encode()
            answer = await post(client, era, "tools/call", {"name": "sums_add"}, content=content)
            assert answer.json()["result"]["structuredContent"] == {"sum": 3}
            await registry.services.recorder.flush()
            (record,) = await registry.services.call_log.recent(1)
        (span,) = receiver.servers
    assert span.name == "tools/call sums_add"
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state) == (TRACE, PARENT, "vendor=1")
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes(span.attributes) == {
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "sums_add",
        "tool_server.call.id": record.id,
        "tool_server.plugin.name": "sums",
        "tool_server.plugin.version": "1.0.0",
        "tool_server.call.outcome": "ok",
    }
    parts = receiver.children(span)
    assert {"instantiate", "run"} <= parts.keys() <= {"queue", "instantiate", "run"}
    run = parts["run"]
    assert run.end_time_unix_nano - run.start_time_unix_nano == record.timings.run_us * 1_000
    assert parts["instantiate"].end_time_unix_nano == run.start_time_unix_nano
    assert all(part.trace_id == span.trace_id for part in parts.values())
    (resource,) = {
        json.dumps(attributes(group.resource.attributes))
        for request in receiver.requests
        for group in request.resource_spans
    }
    assert json.loads(resource).items() >= {"service.name": "tool-server", "service.version": VERSION}.items()


@pytest.mark.parametrize(
    ("meta", "header", "below"),
    [
        (None, TRACEPARENT, True),
        ({"traceparent": "nonsense"}, TRACEPARENT, True),
        ({"traceparent": 7, "tracestate": ["x"]}, None, False),
        ({"traceparent": f"00-{'0' * 32}-{PARENT}-01"}, None, False),
        (None, "00-too-short-01", False),
    ],
)
async def test_the_parent_is_in_the_header_where_meta_names_none_and_nonsense_names_none(
    tmp_path: Path, meta: dict[str, Any] | None, header: str | None, below: bool
) -> None:
    async with receiving() as (receiver, endpoint):
        async with traced(tmp_path, endpoint) as registry, registry.client() as client:
            body = body_of(HANDSHAKE, "tools/call", {"name": "sums_add", "arguments": BOTH})
            if meta is not None:
                body["params"]["_meta"] = meta
            headers = {} if header is None else {"traceparent": header}
            answer = await post(client, HANDSHAKE, "tools/call", headers=headers, content=json.dumps(body).encode())
            assert answer.status_code == 200
        (span,) = receiver.servers
    assert (span.trace_id.hex() == TRACE) == below
    assert span.parent_span_id.hex() == (PARENT if below else "")


async def test_failed_calls_say_how_they_failed(tmp_path: Path) -> None:
    async with receiving() as (receiver, endpoint):
        async with traced(tmp_path, endpoint) as registry, registry.client() as client:
            await offer_guest(registry.services, "brief", "spin", limits={"timeout": "100ms"})
            for tool, arguments in (("sums_add", {"a": "x"}), ("brief_spin", {}), ("no_such_tool", {})):
                await call(client, MODERN, tool, arguments)
        spans = {span.name: span for span in receiver.servers}
    expected = {"sums_add": "invalid_arguments", "brief_spin": "timeout", "no_such_tool": "refused"}
    assert {
        name.removeprefix("tools/call "): attributes(span.attributes)["error.type"] for name, span in spans.items()
    } == expected
    assert all(span.status.code == Status.STATUS_CODE_ERROR for span in spans.values())


async def test_calls_at_the_same_time_have_spans_of_their_own(tmp_path: Path) -> None:
    async with receiving() as (receiver, endpoint):
        async with traced(tmp_path, endpoint, workers=2) as registry, registry.client() as client:
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(call, client, ERAS[number % 2], "sums_add", {"a": number, "b": 0})
            await registry.services.recorder.flush()
            ids = {record.id for record in await registry.services.call_log.recent(100)}
        assert {attributes(span.attributes)["tool_server.call.id"] for span in receiver.servers} == ids
        assert len({span.trace_id for span in receiver.servers}) == 20
        assert all("run" in receiver.children(span) for span in receiver.servers)


async def test_the_standard_variables_are_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-tools")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=seven")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    async with receiving() as (receiver, endpoint):
        async with traced(tmp_path, endpoint) as registry, registry.client() as client:
            await call(client, HANDSHAKE, "sums_add", BOTH)
            await call(client, HANDSHAKE, "sums_add", BOTH, headers={"traceparent": TRACEPARENT})
        (span,) = receiver.servers
        assert span.trace_id.hex() == TRACE
        assert receiver.headers[0]["x-tenant"] == "seven"
        (group,) = receiver.requests[0].resource_spans
    given = attributes(group.resource.attributes)
    assert (given["service.name"], given["deployment.environment.name"]) == ("my-tools", "test")


async def test_a_receiver_that_does_not_answer_holds_up_neither_calls_nor_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tool_server.mcp_api.otel_tracing.SHUTDOWN_SECONDS", 0.2)
    asked, ended = anyio.Event(), anyio.Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(scope, receive, send)
        else:
            asked.set()
            await ended.wait()
            await Response(status_code=400)(scope, receive, send)

    async with serving(silent) as url:
        async with traced(tmp_path, f"{url}/v1/traces") as registry, registry.client() as client:
            answer = await call(client, MODERN, "sums_add", BOTH)
            assert answer["result"]["structuredContent"] == {"sum": 3}
        assert "the last spans were not sent" in caplog.text
        await asked.wait()
        ended.set()


async def test_nothing_global_is_changed_and_nothing_is_traced_unless_configured(tmp_path: Path) -> None:
    async with receiving() as (_, endpoint):
        async with traced(tmp_path, endpoint):
            assert isinstance(get_tracer_provider(), ProxyTracerProvider)
    async with open_observers(Config(data_dir=tmp_path)) as observers:
        assert observers.tracer is NO_TRACER
        assert observers.listeners == ()


async def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tool_server.mcp_api.otel_tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    config = Config.model_validate({"data_dir": tmp_path, "tracing": {"endpoint": "http://127.0.0.1:1/v1/traces"}})
    with pytest.raises(InvalidInput, match=r"tool-server\[otel\]") as caught:
        async with open_observers(config):
            pass
    assert caught.value.code == "invalid_config"


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "https://?x", "http://a b/"])
def test_an_endpoint_that_is_no_url_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidInput, match=r"tracing\.endpoint"):
        LoadedConfig.load({"TOOL_SERVER_TRACING__ENDPOINT": endpoint})


async def test_a_call_that_is_cancelled_ends_its_span(tmp_path: Path) -> None:
    async with receiving() as (receiver, endpoint):
        async with traced(tmp_path, endpoint) as registry, registry.client() as client:
            await offer_guest(registry.services, "endless", "spin", limits={"timeout": "60s"})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call, client, MODERN, "endless_spin")
                await until(lambda: registry.services.pool.busy == 1)
                tasks.cancel_scope.cancel()
            await until(lambda: registry.services.pool.busy == 0)
        (span,) = receiver.servers
    assert attributes(span.attributes)["error.type"] == "cancelled"
