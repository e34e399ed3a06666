"""Metrics of calls, taken from their records, and of guests' requests to the outside."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from tool_server.model.call import CallRecord

TOOL_LABELS = 200
"""Tools with figures of their own, the first that are called; the others are counted together as `other`."""
OUTCOME_LABELS = 32
OTHER = "other"

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds: from a call on a warm worker to the longest that a manifest may ask for by default."""


class BoundedLabels:
    """The values of one label: the first so many as they are, the others as `other`."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._known: set[str] = set()

    def of(self, value: str) -> str:
        """The label for a value."""
        if value in self._known:
            return value
        if len(self._known) >= self._bound:
            return OTHER
        self._known.add(value)
        return value


class CallMetrics:
    """Counts calls and requests.

    Args:
        registry: where they are collected.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tools = BoundedLabels(TOOL_LABELS)
        self._egress_outcomes = BoundedLabels(OUTCOME_LABELS)
        self._calls = Counter(
            "tool_server_calls", "Calls by tool and by how they ended.", ("tool", "outcome"), registry=registry
        )
        self._egress = Counter(
            "tool_server_egress_requests", "HTTP requests of guests by how they ended.", ("outcome",), registry=registry
        )

        def seconds(part: str, meaning: str) -> Histogram:
            return Histogram(f"tool_server_call_{part}_seconds", meaning, registry=registry, buckets=_BUCKETS)

        self._queue = seconds("queue", "Waiting for a worker, of calls that were answered.")
        self._instantiate = seconds("instantiate", "Loading and making the instance, of calls that were answered.")
        self._run = seconds("run", "In the guest and its host calls, of calls that were answered.")
        self._total = seconds("total", "From the tool being found to the answer, of all calls.")

    def observe(self, record: CallRecord) -> None:
        """Count one call."""
        self._calls.labels(self._tools.of(record.tool), str(record.outcome)).inc()
        self._total.observe(record.total_us / 1e6)
        if record.result_bytes is not None:
            self._queue.observe(record.timings.queue_us / 1e6)
            self._instantiate.observe(record.timings.instantiate_us / 1e6)
            self._run.observe(record.timings.run_us / 1e6)
        for request in record.requests:
            self._egress.labels(self._egress_outcomes.of(request.outcome)).inc()
