"""Metrics of what there is: looked up when somebody asks, so that they cost nothing in between."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Pool(Protocol):
    """What is shown of a worker pool; the counts are since its start."""

    @property
    def pids(self) -> Collection[int]:
        """The worker processes."""
        ...

    @property
    def busy(self) -> int:
        """Those with a call or an inspection in hand."""
        ...

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        ...

    @property
    def deaths(self) -> Mapping[str, int]:
        """Ended workers by reason."""
        ...

    @property
    def cache_hits(self) -> int:
        """Calls whose worker held their program already."""
        ...

    @property
    def cache_misses(self) -> int:
        """Calls whose worker had to be given their program first."""
        ...


class Recorder(Protocol):
    """What is shown of the call recorder."""

    @property
    def backlog(self) -> int:
        """Records that are not written yet."""
        ...


class StateCollector(Collector):
    """Gauges of the server."""

    def __init__(self, pool: Pool, recorder: Recorder) -> None:
        self._pool = pool
        self._recorder = recorder

    def collect(self) -> Iterable[Metric]:
        """All of them, by Prometheus' naming rules (https://prometheus.io/docs/practices/naming/)."""
        pool = self._pool
        workers = GaugeMetricFamily(
            "tool_server_workers", "Worker processes; the idle ones are warm.", labels=["state"]
        )
        workers.add_metric(["busy"], pool.busy)
        workers.add_metric(["idle"], len(pool.pids) - pool.busy)
        yield workers
        deaths = CounterMetricFamily("tool_server_worker_deaths", "Ended workers by reason.", labels=["reason"])
        for reason, count in sorted(pool.deaths.items()):
            deaths.add_metric([reason], count)
        yield deaths
        yield GaugeMetricFamily("tool_server_queue_depth", "Calls that wait for a worker.", pool.waiting)
        yield CounterMetricFamily(
            "tool_server_program_cache_hits", "Calls whose worker held their program already.", pool.cache_hits
        )
        yield CounterMetricFamily(
            "tool_server_program_cache_misses", "Calls whose worker loaded their program first.", pool.cache_misses
        )
        yield GaugeMetricFamily(
            "tool_server_call_log_backlog", "Call records that wait for the database.", self._recorder.backlog
        )
