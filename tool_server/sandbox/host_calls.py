"""What guests ask of their host, decided in the server process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tool_server.errors import Denied, InvalidInput
from tool_server.model.call import Call


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

    @classmethod
    def from_frame(cls, call: Call, header: Mapping[str, Any], body: bytes) -> Self:
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
        return cls(call, module, name, tuple(numbers), tuple(blocks))


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

    def header(self) -> dict[str, Any]:
        """As a frame's header."""
        header: dict[str, Any] = {"status": self.status, "headers": dict(self.headers)}
        if self.value is not None:
            header["value"] = self.value
        return header


Handler = Callable[[HostCall], Awaitable[HostReply]]
"""Answers a host call; any `ToolServerError` it raises ends the guest's call with the error's message."""


class HostFunctions:
    """Which host functions there are, by module and name.

    Args:
        handlers: what answers each of them.
    """

    def __init__(self, handlers: Mapping[tuple[str, str], Handler] | None = None) -> None:
        self._handlers = dict(handlers or {})

    async def answer(self, question: HostCall) -> HostReply:
        """Ask the function's handler.

        Raises:
            Denied: `unknown_host_function`, or what the handler raises.
        """
        handler = self._handlers.get((question.module, question.name))
        if handler is None:
            raise Denied(
                "unknown_host_function",
                f"host function {question.name[:80]} is not available in this version of tool-server",
            )
        return await handler(question)
