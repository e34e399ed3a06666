"""What guests ask of their host, decided in the server process."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Self, cast

from tool_server.errors import Denied, InvalidInput, ToolServerError
from tool_server.model.call import Call
from tool_server.model.json_value import JsonObject, compact_json
from tool_server.model.transcript import Entry, Suspended, Transcript


@dataclass(frozen=True, slots=True)
class HostCall:
    """One question of a guest.

    `values` are the raw wasm arguments; `blocks` holds, for each, the bytes of the kernel block that an i64 points
    to (empty when it is no block).
    """

    call: Call
    module: str
    name: str
    values: tuple[int | float, ...]
    blocks: tuple[bytes, ...]
    deadline: float = inf
    """When the call's time is over, on the monotonic clock."""
    entry: Entry | None = None
    """Where the call's transcript keeps this question; None where it has no transcript."""

    @property
    def digest(self) -> str:
        """Tells this question of a function from others of the same."""
        hashed = hashlib.sha256()
        for value, block in zip(self.values, self.blocks, strict=True):
            # Of a block the offset says nothing.
            part = block or repr(value).encode()
            hashed.update(b"%d %d " % (len(block), len(part)) + part)
        return hashed.hexdigest()

    @classmethod
    def from_frame(cls, call: Call, header: Mapping[str, Any], body: bytes, deadline: float = inf) -> Self:
        """Read a worker's frame.

        Raises:
            InvalidInput: `invalid_frame`.
        """
        module, name, values, sizes = (header.get(key) for key in ("module", "name", "values", "sizes"))
        if not (isinstance(module, str) and isinstance(name, str)):
            raise InvalidInput("invalid_frame", "a host call without module and name")
        if not isinstance(values, list) or not isinstance(sizes, list):
            raise InvalidInput("invalid_frame", "a host call without values and sizes")
        numbers = [value for value in values if isinstance(value, int | float)]  # pyright: ignore[reportUnknownVariableType]
        lengths = [size for size in sizes if isinstance(size, int) and size >= 0]  # pyright: ignore[reportUnknownVariableType]
        if len(numbers) != len(values) or len(lengths) != len(sizes) or sum(lengths) != len(body):  # pyright: ignore[reportUnknownArgumentType]
            raise InvalidInput("invalid_frame", "a host call whose sizes do not add up")
        blocks: list[bytes] = []
        start = 0
        for length in lengths:
            blocks.append(body[start : start + length])
            start += length
        return cls(call, module, name, tuple(numbers), tuple(blocks), deadline)


@dataclass(frozen=True, slots=True)
class HostReply:
    """The answer: bytes that the guest gets as a new block, or a plain number."""

    data: bytes = b""
    value: int | float | None = None
    """The wasm result itself; None for the offset of `data`."""
    status: int = 0
    """What `http_status_code` answers from now on."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """What `http_headers` answers from now on."""
    failure: str | None = None
    """What failed, in words: the guest gets no block and may go on, and `data` is what `last_error` answers."""

    def header(self) -> dict[str, Any]:
        """As a frame's header."""
        header: dict[str, Any] = {"status": self.status, "headers": dict(self.headers)}
        if self.value is not None:
            header["value"] = self.value
        if self.failure is not None:
            header["failure"] = self.failure
        return header

    @classmethod
    def from_header(cls, header: Mapping[str, Any], data: bytes) -> Self:
        """The inverse of `header`."""
        return cls(data, header.get("value"), header["status"], header["headers"], header.get("failure"))


MAX_ERROR = 8_192
"""Characters of the message of an error that a guest gets."""

Handler = Callable[[HostCall], Awaitable[HostReply]]
"""Answers a host call; any `ToolServerError` it raises ends the guest's call with the error's message."""


def forgiving(handler: Handler) -> Handler:
    """The same, but that its errors are for the guest to deal with; what it leaves ends its call in the end."""

    async def answer(question: HostCall) -> HostReply:
        try:
            return await handler(question)
        except Suspended:
            raise
        except ToolServerError as error:
            message = error.message[:MAX_ERROR].encode("utf-8", "replace").decode()
            description: JsonObject = {"code": error.code, "message": message, "data": error.data}
            return HostReply(compact_json(description), failure=message)

    return answer


class HostFunctions:
    """Which host functions there are, by module and name.

    Args:
        handlers: what answers each of them.
        unrecorded: those of them whose answers no transcript keeps: they are asked again when a guest runs again.
    """

    def __init__(
        self,
        handlers: Mapping[tuple[str, str], Handler] | None = None,
        unrecorded: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._handlers = dict(handlers or {})
        self._unrecorded = unrecorded

    async def answer(self, question: HostCall) -> HostReply:
        """Ask the function's handler, or the call's transcript, where the guest has asked the same before.

        Raises:
            Denied: `unknown_host_function`, or what the handler raises.
            CallFailed: `replay_diverged`.
            Suspended: the guest is to be run again once its client has answered.
        """
        place = question.module, question.name
        handler = self._handlers.get(place)
        if handler is None:
            raise Denied(
                "unknown_host_function",
                f"host function {question.name[:80]} is not available: nobody offers it here in {question.module[:80]}",
            )
        transcript = question.call.journal.transcript
        if transcript is None or place in self._unrecorded:
            return await handler(question)
        return await _answer_once(question, handler, transcript)


async def _answer_once(question: HostCall, handler: Handler, transcript: Transcript) -> HostReply:
    entry = transcript.next(f"{question.module}.{question.name}", question.digest)
    if entry.reply is not None:
        return HostReply.from_header(cast("dict[str, Any]", entry.reply), entry.data)
    reply = await handler(replace(question, entry=entry))
    transcript.note(entry, reply.header(), reply.data)
    return reply
