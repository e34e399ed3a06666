"""What tracing is to the handlers: one context around each call."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class CallTracer(Protocol):
    """Traces calls."""

    def call(
        self, tool: str, meta: Mapping[str, object] | None, headers: Mapping[str, str] | None = None
    ) -> AbstractContextManager[object]:
        """Enter this around one `tools/call`.

        Args:
            tool: its name, as the client sent it.
            meta: the request's `_meta`, whose `traceparent` and `tracestate` name the client's span.
            headers: the HTTP request's, where `_meta` names none.
        """
        ...


class NoTracer:
    """Traces nothing, at next to no cost."""

    def call(
        self, tool: str, meta: Mapping[str, object] | None, headers: Mapping[str, str] | None = None
    ) -> AbstractContextManager[object]:
        """See `CallTracer.call`."""
        return _NOTHING


_NOTHING = nullcontext[None]()
NO_TRACER = NoTracer()
