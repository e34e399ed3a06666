"""Extism's C interface as cffi offers it, untyped, in the one place that says so.

https://github.com/extism/extism/blob/main/runtime/extism.h; `extism_sys` has neither stubs nor docstrings.
"""

from __future__ import annotations

from typing import Any

from extism_sys import ffi as _ffi  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from extism_sys import lib as _lib  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

ffi: Any = _ffi
lib: Any = _lib

HOST_FUNCTION = "void(ExtismCurrentPlugin*, const ExtismVal*, ExtismSize, ExtismVal*, ExtismSize, void*)"

VALUE_TYPES = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}


def text_of(pointer: Any) -> bytes:
    """The bytes of a C string; empty for NULL."""
    return bytes(ffi.string(pointer)) if pointer != ffi.NULL else b""


def take_error(slot: Any) -> bytes:
    """The message in a `char**` that a constructor filled, freed on the way."""
    message = text_of(slot[0])
    if slot[0] != ffi.NULL:
        lib.extism_plugin_new_error_free(slot[0])
    return message
