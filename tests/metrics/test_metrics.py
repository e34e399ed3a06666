"""Metrics of a real server after real calls, read as Prometheus reads them and compared with the call log."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tests.http_api.registry import Registry, assert_problem, running_registry
from tests.sandbox.conftest import until
from tests.services.publishing import offer, offer_guest
from tests.storage.examples import make_call
from tests.support.server import server_environment
from tool_server.config import Config, LoadedConfig
from tool_server.metrics.calls import OTHER, TOOL_LABELS, BoundedLabels, CallMetrics
from tool_server.model.call import CallRecord, OutboundRequest
from tool_server.version import VERSION

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    folder = tmp_path_factory.mktemp("metrics")
    async with running_registry(folder / "data", metrics=True) as running:
        await offer(running.services, "sums")
        await offer_guest(running.services, "brief", "spin", limits={"timeout": "100ms"})
        await offer_guest(running.services, "endless", "spin", limits={"timeout": "60s"})
        yield running


async def scrape(registry: Registry) -> Samples:
    async with registry.client() as client:
        response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert response.headers.get_list("content-type") == [response.headers["content-type"]]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum over all labels that are not given."""
    return sum(
        value for (found, own), value in samples.items() if found == name and labels.items() <= dict(own).items()
    )


async def test_calls_are_counted_as_the_call_log_has_them(registry: Registry) -> None:
    async with registry.client() as client:
        for arguments in ({"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": "one"}):
            await client.post("/api/v1/tools/sums_add/call", json=arguments)
        await client.post("/api/v1/tools/brief_spin/call", json={})
    await registry.services.recorder.flush()
    records = await registry.services.call_log.recent(1_000)
    samples = await scrape(registry)
    expected = Counter((record.tool, str(record.outcome)) for record in records)
    assert {("sums_add", "ok"), ("sums_add", "invalid_arguments"), ("brief_spin", "failed")} <= expected.keys()
    counted = {
        (dict(labels)["tool"], dict(labels)["outcome"]): value
        for (name, labels), value in samples.items()
        if name == "tool_server_calls_total"
    }
    assert counted == expected
    answered = [record for record in records if record.result_bytes is not None]
    for part in ("queue", "instantiate", "run"):
        name = f"tool_server_call_{part}_seconds"
        assert samples[f"{name}_count", ()] == len(answered)
        seconds = sum(getattr(record.timings, f"{part}_us") for record in answered) / 1e6
        assert samples[f"{name}_sum", ()] == pytest.approx(seconds)
        assert samples[f"{name}_bucket", (("le", "+Inf"),)] == len(answered)
    assert samples["tool_server_call_total_seconds_count", ()] == len(records)
    assert samples["tool_server_call_total_seconds_sum", ()] == pytest.approx(
        sum(record.total_us for record in records) / 1e6
    )


async def test_the_state_of_workers_queue_and_cache_is_shown(registry: Registry) -> None:
    before = during = await scrape(registry)
    pool = registry.services.pool

    async def call(tool: str) -> None:
        async with registry.client() as client:
            await client.post(f"/api/v1/tools/{tool}/call", json={"a": 1, "b": 1})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, "endless_spin")
        await until(lambda: pool.busy == 1)
        tasks.start_soon(call, "endless_spin")
        await until(lambda: pool.waiting == 1)
        during = await scrape(registry)
        tasks.cancel_scope.cancel()
    await until(lambda: (pool.busy, pool.waiting) == (0, 0))
    for _ in range(3):
        await call("sums_add")
    await call("brief_spin")
    await registry.services.recorder.flush()
    after = await scrape(registry)

    assert total(during, "tool_server_workers", state="busy") == 1
    assert total(during, "tool_server_queue_depth") == 1
    assert total(after, "tool_server_workers", state="busy") == 0
    assert total(after, "tool_server_queue_depth") == 0
    assert total(after, "tool_server_call_log_backlog") == 0

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    # The worker of the endless call was killed, so its successor loads the program again.
    assert grown("tool_server_program_cache_misses_total") == 3
    assert grown("tool_server_program_cache_hits_total") == 2
    assert grown("tool_server_worker_deaths_total", reason="discarded") == 1
    assert total(after, "tool_server_worker_deaths_total") >= 1


async def test_the_process_and_the_version_are_shown(registry: Registry) -> None:
    samples = await scrape(registry)
    assert samples["process_resident_memory_bytes", ()] > 2**20
    assert samples["process_cpu_seconds_total", ()] > 0
    assert samples["process_open_fds", ()] > 3
    assert total(samples, "tool_server_build_info", version=VERSION) == 1


async def test_a_scraper_gets_openmetrics_where_it_asks_for_that(registry: Registry) -> None:
    async with registry.client() as client:
        response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
    assert "tool_server_build_info{" in response.text


def _with_requests(*outcomes: str) -> CallRecord:
    requests = tuple(OutboundRequest("GET", "https", "example.com", 443, "/", outcome) for outcome in outcomes)
    return dataclasses.replace(make_call(1), requests=requests)


async def test_guests_requests_are_counted_by_outcome(registry: Registry) -> None:
    metrics = registry.services.observers.metrics
    assert metrics is not None
    metrics.calls.observe(_with_requests("ok", "ok", "address_refused"))
    samples = await scrape(registry)
    assert total(samples, "tool_server_egress_requests_total", outcome="ok") == 2
    assert total(samples, "tool_server_egress_requests_total", outcome="address_refused") == 1


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({"Authorization": "Bearer ts_wrong_token"}, "", 401, "unauthenticated"),
        ({"X-Forwarded-For": "203.0.113.9"}, "", 401, "unauthenticated"),
        ({}, "?name=x", 400, "invalid_query"),
    ],
)
async def test_who_may_not_read_gets_no_figures(
    registry: Registry, headers: dict[str, str], query: str, status: int, code: str
) -> None:
    async with registry.client(**headers) as client:
        assert_problem(await client.get(f"/metrics{query}"), status, code)


async def test_a_token_that_may_read_is_enough(registry: Registry) -> None:
    async with registry.client("read", **{"X-Forwarded-For": "203.0.113.9"}) as client:
        assert (await client.get("/metrics")).status_code == 200
        assert_problem(await client.post("/metrics"), 405, "method_not_allowed")


async def test_without_the_setting_there_is_nothing(tmp_path: Path) -> None:
    async with running_registry(tmp_path / "data") as running, running.client("admin") as client:
        assert running.services.observers.metrics is None
        assert_problem(await client.get("/metrics"), 404, "unknown_path")


def test_without_the_setting_nothing_is_imported() -> None:
    program = (
        "import sys, tempfile, anyio\n"
        "from tool_server.bootstrap.http import http_application\n"
        "from tool_server.bootstrap.services import build\n"
        "from tool_server.config import Config\n"
        "async def main():\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        async with build(Config(data_dir=folder)) as services:\n"
        "            http_application(services, port=0)\n"
        "anyio.run(main)\n"
        "print([name for name in sys.modules if name.startswith(('prometheus', 'opentelemetry.sdk', 'requests'))])\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program),
        capture_output=True,
        text=True,
        env=server_environment(),
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_setting_comes_from_the_environment() -> None:
    assert LoadedConfig.load({"TOOL_SERVER_METRICS": "1"}).config.metrics
    assert not Config().metrics


def test_more_tools_than_anybody_looks_at_are_counted_together() -> None:
    labels = BoundedLabels(TOOL_LABELS)
    given = [labels.of(f"tool-{number}") for number in range(TOOL_LABELS + 50)]
    assert len(set(given)) == TOOL_LABELS + 1
    assert given[-1] == OTHER
    assert labels.of("tool-0") == "tool-0"


def test_two_servers_in_one_process_do_not_mix() -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    CallMetrics(first).observe(_with_requests("ok"))
    CallMetrics(second)
    assert first.get_sample_value("tool_server_egress_requests_total", {"outcome": "ok"}) == 1
    assert second.get_sample_value("tool_server_egress_requests_total", {"outcome": "ok"}) is None
