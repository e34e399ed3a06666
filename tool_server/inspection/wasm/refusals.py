"""How malformed modules are refused: one code, the byte offset, the cause, and what to do next."""

from __future__ import annotations

from enum import StrEnum

from tool_server.errors import InvalidInput


class Cause(StrEnum):
    """Why bytes are no module that runs here; `data["cause"]` of every `invalid_wasm`."""

    TRUNCATED = "truncated"
    """The file ends before something that it announces."""
    OVERRUN = "section_overrun"
    """Something is longer than the section that holds it."""
    LEFTOVER = "section_leftover"
    """A section is longer than its content."""
    INTEGER = "bad_integer"
    """A LEB128 number with too many bytes, or with bits beyond its type."""
    NAME = "bad_name"
    """A name that is not UTF-8."""
    COUNT = "impossible_count"
    """More entries announced than the rest of the section can hold."""
    CAP = "over_cap"
    """Legal wasm, more of it than this server takes."""
    INDEX = "bad_index"
    """An index of something that does not exist or has the wrong type."""
    ENCODING = "bad_encoding"
    """A byte with no meaning at its place."""
    ORDER = "section_order"
    """A section that stands twice or after one that must follow it."""
    DUPLICATE = "duplicate_export"
    """Two exports of one name."""
    MISMATCH = "count_mismatch"
    """Two sections that must agree on a number and do not."""
    RANGE = "bad_limits"
    """A memory or table whose bounds contradict themselves or the address space."""
    PROPOSAL = "disabled_proposal"
    """A proposal that the sandbox's engine does not enable."""
    VERSION = "wrong_version"
    """A binary format version other than 1."""


_DAMAGED = "the file is damaged or was not written by a wasm toolchain: build or download it again"

_ADVICE = {
    Cause.TRUNCATED: "the file was cut off: build or download it again and compare its digest",
    Cause.CAP: "split the plugin or strip what it does not need",
    Cause.PROPOSAL: "build for the features of wasm 3.0, without experimental proposals",
    Cause.VERSION: "build a core module of version 1, which every wasm toolchain writes by default",
}


def malformed(offset: int, cause: Cause, message: str, section: str | None = None) -> InvalidInput:
    """The refusal of a module, to be raised by the caller.

    Args:
        offset: the byte, from the start of the file, at which `message` was found true.
        cause: the kind of fault.
        message: half a sentence that says what was found and what was expected.
        section: the name of the section being read, such as `"export"`.

    Returns:
        `invalid_wasm` with `data` of `offset`, `cause` and, inside a section, `section`.
    """
    place = f"byte {offset}" + (f", in the {section} section" if section else "")
    data: dict[str, int | str] = {"offset": offset, "cause": str(cause)}
    if section:
        data["section"] = section
    return InvalidInput(
        "invalid_wasm", f"not a valid wasm module: {message} ({place}); {_ADVICE.get(cause, _DAMAGED)}", data
    )
