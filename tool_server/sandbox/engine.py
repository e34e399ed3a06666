"""Compiling and running guests inside a worker, by Extism's C interface.

The Python SDK is not used: it costs more per call, hides the return code, hands every registered host function to
every plugin, and raises UnicodeDecodeError at messages that are not UTF-8.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from tool_server.errors import CallFailed, InvalidInput, ToolServerError, Unavailable
from tool_server.sandbox.capi import ffi, lib, take_error, text_of
from tool_server.sandbox.folders import FolderRow, FolderTable
from tool_server.sandbox.guest_functions import CallContext, GuestFunctions, Signature
from tool_server.sandbox.outcome import (
    COMPILE_MEMORY,
    INTERRUPTED,
    STORAGE_ERROR,
    engine_reason,
    failure_of,
    instantiation_failure,
    is_out_of_memory,
    is_system_error,
)
from tool_server.sandbox.protocol import Body

WASM_MAGIC = b"\0asm\x01\0\0\0"

_MAX_VARIABLES = 2**20
_LOG_FILTER = b"extism::plugin=error,extism::pdk=trace"
"""Errors of the runtime, where the reason of a trap stands; guests see `trace` as their level."""
_TIMER_MARGIN_S = 0.05
_ERROR = ffi.typeof("char**")


@dataclass(frozen=True, slots=True)
class Options:
    """What is fixed when a module is compiled."""

    wasi: bool
    pages: int
    timeout_ms: int
    fuel: int | None
    memory: int
    """Private memory that a call may take in this process, bytes."""
    imports: Sequence[Signature]
    folders: Sequence[FolderRow]


class Request(NamedTuple):
    """What is asked of an instance."""

    export: str
    data: Body
    output_bytes: int
    """Longest output that is accepted."""


@dataclass(slots=True)
class Progress:
    """What is known about a call while it runs, also when it ends badly."""

    instantiate_us: int = 0
    run_us: int = 0
    reusable: bool = True
    """Whether the compiled guest may serve the next call: not while an interrupt is still on its way, since all
    instances of one compiled guest share an epoch and it would hit the next call."""


class RuntimeLog:
    """The runtime's own log lines; process-wide, as Extism's logging is."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._callback = ffi.callback("void(char*, ExtismSize)", self._take)
        lib.extism_log_custom(_LOG_FILTER)

    def drain(self) -> bytes:
        """The last error line since the last time, empty for none."""
        lib.extism_log_drain(self._callback)
        last = self._lines[-1] if self._lines else b""
        self._lines.clear()
        return last

    def _take(self, pointer: Any, size: int) -> None:
        self._lines[:] = [bytes(ffi.buffer(pointer, min(size, 16_384)))]


class CompiledGuest:
    """A module compiled under its limits, with its host functions and folders.

    Raises:
        InvalidInput: `invalid_wasm`.
        Unavailable: `folder_unavailable`; `storage_error`, the compiled code cannot be read or written.
    """

    def __init__(self, context: CallContext, wasm: bytes, options: Options, folders: FolderTable) -> None:
        if not wasm.startswith(WASM_MAGIC):
            # Extism reads anything else as a manifest of its own, in which a "module" grants itself host folders.
            raise InvalidInput("invalid_wasm", "these bytes are not a WebAssembly module")
        self.options = options
        self._folders = folders
        self._functions = GuestFunctions(context, wasm, options.imports)
        self._pointer = self._compile(wasm)

    def _compile(self, wasm: bytes) -> Any:
        options, handles = self.options, self._functions.handles
        manifest = _manifest(wasm, options, self._folders.allowed_paths(options.folders))
        functions = ffi.new("ExtismFunction*[]", handles)
        error = ffi.new(_ERROR)
        arguments = (manifest, len(manifest), functions, len(handles), options.wasi)
        if options.fuel is None:
            pointer = lib.extism_compiled_plugin_new(*arguments, error)
        else:
            pointer = lib.extism_compiled_plugin_new_with_fuel_limit(*arguments, options.fuel, error)
        if pointer == ffi.NULL:
            reason = take_error(error)
            if is_out_of_memory(reason):
                raise InvalidInput("compile_limit", COMPILE_MEMORY)
            if is_system_error(reason):
                raise Unavailable(STORAGE_ERROR, f"the module cannot be loaded: {engine_reason(reason)}")
            raise InvalidInput("invalid_wasm", f"the engine refuses the module: {engine_reason(reason)}")
        return pointer

    def instantiate(self) -> Any:
        """A fresh instance, to be freed by `free_instance`.

        Raises:
            CallFailed: it cannot be linked or its start function failed.
            Unavailable: `folder_unavailable`.
        """
        self._folders.check(self.options.folders)
        error = ffi.new(_ERROR)
        instance = lib.extism_plugin_new_from_compiled(self._pointer, error)
        if instance == ffi.NULL:
            raise CallFailed(*instantiation_failure(take_error(error)))
        return instance

    def close(self) -> None:
        """Free the compiled code; no instance may be left."""
        lib.extism_compiled_plugin_free(self._pointer)
        self._functions.close()


def configure(instance: Any, config: Mapping[str, str]) -> None:
    """What `config_get` answers in an instance."""
    if config:
        text = orjson.dumps(config)
        lib.extism_plugin_config(instance, text, len(text))


def free_instance(instance: Any) -> None:
    """End an instance."""
    lib.extism_plugin_free(instance)


class Runner:
    """Runs exports in instances, one after another.

    Args:
        context: shared with the host functions of every compiled guest.
    """

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._log = RuntimeLog()

    def instantiate(self, guest: CompiledGuest, config: Mapping[str, str]) -> Any:
        """A fresh, configured instance.

        Raises:
            CallFailed: it cannot be linked or its start function failed.
            Unavailable: `folder_unavailable`.
        """
        try:
            instance = guest.instantiate()
        except ToolServerError:
            self._log.drain()
            raise
        configure(instance, config)
        return instance

    def run(self, guest: CompiledGuest, instance: Any, request: Request, progress: Progress) -> Body:
        """Call an export; returns its output, valid while the instance lives, and keeps `progress` up to date.

        Raises:
            CallFailed: the call ended badly.
        """
        self._context.plugin = instance
        started = time.perf_counter()
        data = request.data if isinstance(request.data, bytes) else ffi.from_buffer("uint8_t[]", request.data)
        code = lib.extism_plugin_call(instance, request.export.encode(), data, len(request.data))
        elapsed = time.perf_counter() - started
        progress.run_us = int(elapsed * 1e6)
        interruptible = self._context.error is not None or elapsed > guest.options.timeout_ms / 1000 - _TIMER_MARGIN_S
        progress.reusable = not interruptible or code == INTERRUPTED
        message = lib.extism_plugin_error(instance)
        if code != 0 or message or self._context.error is not None or self._context.failure is not None:
            self._raise_failure(request.export, code, text_of(message))
        return _output(instance, request.output_bytes)

    def _raise_failure(self, export: str, code: int, message: bytes) -> None:
        log_line = self._log.drain()
        if self._context.error is not None:
            raise CallFailed("host_function", self._context.error)
        failure = failure_of(export, code, message, log_line)
        left = self._context.failure
        if left is not None:
            # What a host function said, and the guest did not ask for: most likely why it failed.
            failure = ("host_function", left[0]) if failure is None else (failure[0], f"{failure[1]} ({left[0]})")
        if failure is not None:
            raise CallFailed(*failure)


def _output(instance: Any, limit: int) -> Body:
    size = lib.extism_plugin_output_length(instance)
    if size > limit:
        raise CallFailed("output_too_large", f"the plugin answered {size} bytes; at most {limit} are accepted")
    return memoryview(ffi.buffer(lib.extism_plugin_output_data(instance), size)) if size else b""


def _manifest(wasm: bytes, options: Options, allowed_paths: dict[str, str]) -> bytes:
    """Extism's manifest. No hosts: what a guest may reach beyond its folders goes through host functions."""
    rest = orjson.dumps(
        {
            "memory": {"max_pages": options.pages, "max_var_bytes": _MAX_VARIABLES, "max_http_response_bytes": 0},
            "timeout_ms": options.timeout_ms,
            "allowed_hosts": [],
            "allowed_paths": allowed_paths,
        }
    )
    return b'{"wasm":[{"data":"' + base64.b64encode(wasm) + b'"}],' + rest[1:]
