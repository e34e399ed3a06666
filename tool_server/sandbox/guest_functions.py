"""The functions a guest may import from its host, each a question to the server.

Registering a function in `extism:host/env` replaces the runtime's own: that is how HTTP and logging come here.
https://extism.org/docs/concepts/host-functions ; the kernel's functions are in extism.md's "Guest ABI".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from tool_server.sandbox.capi import HOST_FUNCTION, VALUE_TYPES, ffi, lib
from tool_server.sandbox.protocol import ENV, USER, Body

MAX_ARGUMENT = 2**26
"""Bytes of one block that is passed to a host function."""

_LEVELS = ("trace", "debug", "info", "warn", "error")
_MAX_LOG_LINES, _MAX_LOG_BYTES, _MAX_LINE = 1_000, 2**18, 8_192

Signature = tuple[str, str, Sequence[str], Sequence[str]]
"""Module, name, parameter types, result types."""


class Reply(Protocol):
    """What the server answered."""

    @property
    def header(self) -> dict[str, Any]:
        """`{value, status, headers, error, failure}`, all optional."""
        ...

    @property
    def body(self) -> Body:
        """Bytes for the guest."""
        ...


class CallContext:
    """The one call in flight, as its host functions see it.

    Args:
        ask: sends a host call (header, body) to the server and waits for the answer.
    """

    def __init__(self, ask: Callable[[dict[str, Any], bytes], Reply]) -> None:
        self.ask = ask
        self.begin({})

    def begin(self, config: Mapping[str, str], *, called: bool = True) -> None:
        """Forget the call before. Where nobody `called`, whatever the guest asks of the server is an error."""
        self.config = config
        self.called = called
        self.plugin: Any = None
        self.error: str | None = None
        self.failure: tuple[str, Body] | None = None
        """What failed and the guest has not asked about yet: in words, and what `last_error` answers."""
        self.status = 0
        self.headers: dict[str, str] | None = None
        self.lines: list[tuple[str, str]] = []
        self.dropped = 0
        self._log_bytes = 0

    def fail(self, error: str) -> None:
        """Remember the first error and stop the guest: Extism itself swallows what a host function raises."""
        if self.error is None:
            self.error = error
        if self.plugin is not None:
            lib.extism_plugin_cancel(lib.extism_plugin_cancel_handle(self.plugin))

    def log(self, level: str, text: bytes) -> None:
        """Keep a line, within bounds; count it otherwise."""
        line = text[:_MAX_LINE]
        if len(self.lines) >= _MAX_LOG_LINES or self._log_bytes + len(line) > _MAX_LOG_BYTES:
            self.dropped += 1
            return
        self._log_bytes += len(line)
        self.lines.append((level, line.decode("utf-8", errors="replace")))


class GuestFunctions:
    """The host functions of one compiled plugin; `handles` go to the compiler and stay alive as long as it does.

    Args:
        context: the worker's call in flight.
        wasm: the module; only kernel functions whose name occurs in it are replaced, the others cost time.
        imports: functions of other host modules that the module imports.
    """

    def __init__(self, context: CallContext, wasm: bytes, imports: Sequence[Signature]) -> None:
        self._context = context
        self._callbacks: list[Any] = []
        self.handles: list[Any] = []
        for name, params, results, body in self._kernel_functions():
            if name.encode() in wasm:
                self._add(ENV, name, params, results, body)
        for module, name, params, results in imports:
            local = self._local_function(name, tuple(params)) if module == USER else None
            self._add(module, name, params, results, local or self._question(module, name, params, results))

    def close(self) -> None:
        """Free the handles; the compiled plugin must be gone before."""
        for handle in self.handles:
            lib.extism_function_free(handle)
        self.handles.clear()
        self._callbacks.clear()

    def _kernel_functions(self) -> list[tuple[str, Sequence[str], Sequence[str], Callable[..., None]]]:
        one = ("i64",)
        http = self._question(ENV, "http_request", ("i64", "i64"), one)
        return [
            ("http_request", ("i64", "i64"), one, http),
            ("http_status_code", (), ("i32",), self._http_status_code),
            ("http_headers", (), one, self._http_headers),
            *((f"log_{level}", one, (), self._log_function(level)) for level in _LEVELS),
        ]

    def _local_function(self, name: str, params: tuple[str, ...]) -> Callable[..., None] | None:
        """What answers here, without a question to the server."""
        match name, params:
            case "config_get", ("i64",):
                return self._config_get
            case "log", ("i64",):
                return self._log
            case "last_error", ():
                return self._last_error
            case _:
                return None

    def _add(
        self, module: str, name: str, params: Sequence[str], results: Sequence[str], body: Callable[..., None]
    ) -> None:
        def failed(_kind: object, error: object, _traceback: object) -> None:
            self._context.fail(f"host function {name} failed: {type(error).__name__}")

        callback = ffi.callback(HOST_FUNCTION, body, onerror=failed)
        inputs, outputs = ([VALUE_TYPES[kind] for kind in kinds] for kinds in (params, results))
        handle = lib.extism_function_new(
            name.encode(), inputs, len(inputs), outputs, len(outputs), callback, ffi.NULL, ffi.NULL
        )
        lib.extism_function_set_namespace(handle, module.encode())
        self._callbacks.append(callback)
        self.handles.append(handle)

    def _question(self, module: str, name: str, params: Sequence[str], results: Sequence[str]) -> Callable[..., None]:
        context = self._context

        def ask(current: Any, inputs: Any, _inputs: int, outputs: Any, count: int, _data: Any) -> None:
            _clear(outputs, count)
            if context.error is not None:
                return
            if not context.called:
                context.error = f"{name} was used before there was a call"
                return
            values = [getattr(inputs[index].v, kind) for index, kind in enumerate(params)]
            blocks = [
                _read(current, value) if kind == "i64" else b"" for value, kind in zip(values, params, strict=True)
            ]
            header = {"module": module, "name": name, "values": values, "sizes": [len(block) for block in blocks]}
            reply = context.ask(header, b"".join(blocks))
            if (error := reply.header.get("error")) is not None:
                context.fail(str(error))
                return
            if (failure := reply.header.get("failure")) is not None:
                context.failure = str(failure), bytes(reply.body)
                return
            if name == "http_request":
                context.status, context.headers = reply.header.get("status", 0), reply.header.get("headers")
            if results:
                _give(current, outputs, results[0], reply)

        return ask

    def _http_status_code(self, _current: Any, _in: Any, _inputs: int, outputs: Any, _count: int, _data: Any) -> None:
        outputs[0].v.i32 = self._context.status

    def _http_headers(self, current: Any, _in: Any, _inputs: int, outputs: Any, _count: int, _data: Any) -> None:
        headers = self._context.headers
        outputs[0].v.i64 = 0 if headers is None else _write(current, orjson.dumps(headers))

    def _config_get(self, current: Any, inputs: Any, _inputs: int, outputs: Any, count: int, _data: Any) -> None:
        _clear(outputs, count)
        value = self._context.config.get(_read(current, inputs[0].v.i64).decode("utf-8", errors="replace"))
        if value is not None and count:
            outputs[0].v.i64 = _write(current, value.encode())

    def _last_error(self, current: Any, _in: Any, _inputs: int, outputs: Any, count: int, _data: Any) -> None:
        failure, self._context.failure = self._context.failure, None
        _clear(outputs, count)
        if failure is not None and count:
            outputs[0].v.i64 = _write(current, failure[1])

    def _log(self, current: Any, inputs: Any, _inputs: int, outputs: Any, count: int, _data: Any) -> None:
        _clear(outputs, count)
        record = _log_record(_read(current, inputs[0].v.i64))
        if record is None:
            words = f"log takes {{'level': one of {', '.join(_LEVELS)}, 'message': a text}}"
            description: dict[str, Any] = {"code": "invalid_request", "message": words, "data": {}}
            self._context.failure = words, orjson.dumps(description)
        else:
            self._context.log(*record)

    def _log_function(self, level: str) -> Callable[..., None]:
        def log(current: Any, inputs: Any, _inputs: int, _outputs: Any, _count: int, _data: Any) -> None:
            self._context.log(level, _read(current, inputs[0].v.i64))

        return log


def _log_record(block: bytes) -> tuple[str, bytes] | None:
    """Level and message of what a guest hands to `log`, None where it is something else."""
    try:
        record = orjson.loads(block)
    except orjson.JSONDecodeError:
        return None
    match record:
        case {"level": str(level), "message": str(message), **rest} if level in _LEVELS and not rest:
            return level, message.encode()
        case _:
            return None


def _clear(outputs: Any, count: int) -> None:
    for index in range(count):
        outputs[index].v.i64 = 0


def _read(current: Any, offset: int) -> bytes:
    """The kernel block at an offset; empty when there is none."""
    size = lib.extism_current_plugin_memory_length(current, offset)
    if size == 0:
        return b""
    if size > MAX_ARGUMENT:
        raise ValueError(size)
    return bytes(ffi.buffer(lib.extism_current_plugin_memory(current) + offset, size))


def _write(current: Any, data: Body) -> int:
    """A new kernel block with these bytes; its offset, 0 where memory ran out."""
    offset = lib.extism_current_plugin_memory_alloc(current, len(data))
    if offset:
        ffi.memmove(lib.extism_current_plugin_memory(current) + offset, data, len(data))
    return int(offset)


def _give(current: Any, outputs: Any, kind: str, reply: Reply) -> None:
    value = reply.header.get("value")
    if kind == "i64" and value is None:
        value = _write(current, reply.body)
    if value is not None:
        setattr(outputs[0].v, kind, value)
