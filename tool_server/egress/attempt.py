"""What becomes the record of one request, gathered while it is made."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from tool_server.egress.request import GuestRequest
from tool_server.errors import ToolServerError
from tool_server.model.call import CallJournal, OutboundRequest

MAX_PATH = 256


@dataclass(slots=True)
class Attempt:
    """One request under way. The fields are those of `OutboundRequest`."""

    method: str = ""
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    address: str | None = None
    status: int | None = None
    bytes_out: int = 0
    bytes_in: int = 0

    def describe(self, request: GuestRequest) -> None:
        """Note what was asked for."""
        target = request.target
        self.method, self.path = request.method, target.path
        self.scheme, self.host, self.port = target.origin


@contextmanager
def recorded(journal: CallJournal) -> Generator[Attempt]:
    """Write down what the block does, however it ends."""
    attempt = Attempt()
    started = time.perf_counter_ns()
    outcome = "internal_error"
    try:
        yield attempt
        outcome = "ok"
    except ToolServerError as error:
        outcome = error.code
        raise
    except anyio.get_cancelled_exc_class():
        outcome = "cancelled"
        raise
    finally:
        journal.add(
            OutboundRequest(
                method=attempt.method,
                scheme=attempt.scheme,
                host=attempt.host,
                port=attempt.port,
                path=journal.redactor.text(attempt.path)[:MAX_PATH],
                outcome=outcome,
                address=attempt.address,
                status=attempt.status,
                bytes_out=attempt.bytes_out,
                bytes_in=attempt.bytes_in,
                duration_us=(time.perf_counter_ns() - started) // 1_000,
            )
        )
