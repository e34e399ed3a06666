"""What a failed call means: Extism's return code, message and log line, as one of our error codes.

Measured against extism 1.41: the message of a trap is only its backtrace, the reason stands in the log line that
the runtime writes on the way, under `Caused by:`.
"""

from __future__ import annotations

import re

MAX_MESSAGE = 8_192
"""Bytes of a guest's own error message."""

_BACKTRACE = b"error while executing at wasm backtrace"
_CAUSE = re.compile(rb"^Caused by:\n\s*(?:0: )?([^\n]{1,300})", re.MULTILINE)
_TRAP = re.compile(rb"wasm trap: ([^\n]{1,200})")
_FRAME = re.compile(rb"0:\s+(?:0x[0-9a-f]+ - )?[^\n!]*!([A-Za-z_][^\n]{0,120})")
_HOST_PATH = re.compile(r"(?<![\w.])/[\w.\-+@]+(?:/[\w.\-+@]+)+")
_SYSTEM_ERROR = re.compile(rb"\(os error \d+\)\s*\Z")
_RUNTIME = -1
_START_FAILED = (b"failed to initialize wasi runtime", b"failed to initialize Haskell")
_OUT_OF_MEMORY = (b"oom", b"failed to allocate extism memory", b"out of memory", b"Cannot allocate memory")
OUT_OF_MEMORY = "the plugin needs more memory than its limit allows"
COMPILE_MEMORY = "compiling the module took more memory than a publish may"
STORAGE_ERROR = "storage_error"
"""Of a load whose compiled code cannot be read or written; not the module's fault."""
INTERRUPTED = 134
"""Return code of a trap, of which a timeout is one."""


def readable(raw: bytes, limit: int = MAX_MESSAGE) -> str:
    """Text of bytes that may be anything: cut to `limit` bytes, what is not UTF-8 replaced."""
    cut = raw[:limit]
    text = cut.decode("utf-8", errors="replace")
    return text.rstrip("\ufffd") + "…" if len(raw) > limit else text


def without_paths(text: str) -> str:
    """The first line, with absolute paths taken out."""
    return _HOST_PATH.sub("<path>", text.strip().partition("\n")[0])[:500]


def failure_of(export: str, code: int, message: bytes, log_line: bytes) -> tuple[str, str] | None:
    """Error code and sentence for what a call left behind; None when it went well.

    Args:
        export: the function that was called.
        code: what `extism_plugin_call` returned.
        message: what `extism_plugin_error` returned, empty for none.
        log_line: the runtime's own log line about this call, empty for none.
    """
    if code == 0 and not message:
        return None
    if code in {INTERRUPTED, _RUNTIME} and (runtime := _runtime_failure(export, message)):
        return runtime
    if message.startswith(_BACKTRACE):
        if code not in {INTERRUPTED, _RUNTIME}:
            return "guest_error", f"the plugin ended itself with exit code {code}"
        return "trap", _trap(message, log_line)
    if message:
        return "guest_error", readable(message)
    return "guest_error", f"{export} returned code {code} and set no error message"


def instantiation_failure(message: bytes) -> tuple[str, str]:
    """Error code and sentence for an instance that could not be made."""
    if b"all fuel consumed" in message:
        return "out_of_fuel", "the plugin used up its fuel while it was being started"
    if is_out_of_memory(message):
        return "out_of_memory", OUT_OF_MEMORY
    if (trap := _TRAP.search(message)) is not None:
        return "trap", f"the plugin stopped while it was being started: {readable(trap.group(1))}"
    return "trap", f"the plugin cannot be started: {engine_reason(message)}"


def is_out_of_memory(message: bytes) -> bool:
    """Whether the engine's reason is that this process may have no more memory."""
    return b"Cannot allocate memory" in message or b"out of memory" in message


def is_system_error(message: bytes) -> bool:
    """Whether the engine's reason is an error of the system, such as that its cache of compiled code is gone.

    Rust words it so at the end: https://doc.rust-lang.org/std/io/struct.Error.html
    """
    return _SYSTEM_ERROR.search(message) is not None


def engine_reason(message: bytes) -> str:
    """Why the engine refused a module: one line, no paths of this machine."""
    text = readable(message, 2_000)
    for prefix in ("Unable to create Extism plugin:", "Unable to compile Extism plugin:"):
        text = text.removeprefix(prefix).lstrip()
    return without_paths(text) or "the engine gave no reason"


def _runtime_failure(export: str, message: bytes) -> tuple[str, str] | None:
    if message == b"timeout":
        return "timeout", "the plugin did not finish within its time limit"
    if message.startswith(_OUT_OF_MEMORY):
        return "out_of_memory", OUT_OF_MEMORY
    if message == b"plugin ran out of fuel":
        return "out_of_fuel", "the plugin used up its fuel before it finished"
    if message.startswith(_START_FAILED):
        return "trap", "the plugin stopped while it was being started"
    if message.startswith(b"Function not found"):
        return "missing_export", f"the plugin has no function named {export!r}"
    return None


def _trap(message: bytes, log_line: bytes) -> str:
    cause = _TRAP.search(log_line) or _CAUSE.search(log_line)
    text = without_paths(readable(cause.group(1))) if cause else "the plugin stopped with a trap"
    if (frame := _FRAME.search(message)) is not None:
        text = f"{text} (in {readable(frame.group(1)).strip()})"
    return f"wasm trap: {text}" if cause else text
