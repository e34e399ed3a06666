"""All metrics of one application, and their text."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from tool_server.metrics.calls import CallMetrics
from tool_server.metrics.state import Pool, Recorder, StateCollector
from tool_server.version import VERSION


class ServerMetrics:
    """One registry of its own: two servers in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.calls = CallMetrics(self._registry)
        ProcessCollector(registry=self._registry)
        build = Info("tool_server_build", "What runs.", registry=self._registry)
        build.info({"version": VERSION, "python": platform.python_version()})

    def watch(self, pool: Pool, recorder: Recorder) -> None:
        """Show the state of these two as well."""
        self._registry.register(StateCollector(pool, recorder))

    def text(self, accept: str) -> tuple[bytes, str]:
        """The figures now in the format that an `Accept` header prefers (Prometheus' text or OpenMetrics), and its
        media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type
