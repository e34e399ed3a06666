"""Custom sections: `name` and `producers` read, and any section found or appended.

Errors inside custom sections are no errors of the module (WebAssembly core specification 3.0, section 5.5.3): what
cannot be read counts as missing.
Sources: the specification's appendix 7.7 "Custom Sections"; WebAssembly tool-conventions, ProducersSection.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from tool_server.errors import InvalidInput
from tool_server.inspection.wasm.caps import MAX_CUSTOM_NAME, MAX_PRODUCERS
from tool_server.inspection.wasm.module import CustomSection, Module, Producers
from tool_server.inspection.wasm.preamble import check_preamble
from tool_server.inspection.wasm.reader import Cursor

_MODULE_NAME = 0
"""The smallest id of a subsection of `name`, so that it can only come first."""


def custom_section(module: Module, name: str) -> bytes | None:
    """The content of the last custom section of that name, or None: what was appended last counts."""
    found = _find(list(reversed(module.custom_sections)), name)
    return None if found is None else found.content


def append_custom_section(data: bytes, name: str, content: bytes) -> bytes:
    """`data` with one more custom section at its end.

    A section of the same name stays where it is; `custom_section` then returns the new content.

    Raises:
        InvalidInput: what `data` is refused for by its first bytes, or `invalid_section_name`.
    """
    check_preamble(data, max_size=len(data))
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput("invalid_section_name", "a custom section's name cannot hold lone surrogates") from error
    if len(encoded) > MAX_CUSTOM_NAME:
        raise InvalidInput(
            "invalid_section_name",
            f"a custom section's name has {len(encoded)} bytes, expected at most {MAX_CUSTOM_NAME}",
        )
    body = _leb128(len(encoded)) + encoded + content
    return b"".join((data, b"\0", _leb128(len(body)), body))


def read_module_name(sections: Sequence[CustomSection]) -> str | None:
    """The module's own name from the first `name` section, whose subsections stand in the order of their ids."""
    section = _find(sections, "name")
    if section is None:
        return None
    cursor = _cursor(section)
    try:
        if cursor.byte("a subsection") != _MODULE_NAME:
            return None
        cursor.unsigned("a subsection's size")
        return cursor.name("the module's name")
    except InvalidInput:
        return None


def read_producers(sections: Sequence[CustomSection]) -> Producers:
    """The fields of the first `producers` section, in the order of the file."""
    section = _find(sections, "producers")
    if section is None or section.size > MAX_PRODUCERS:
        return {}
    cursor = _cursor(section)
    fields: dict[str, tuple[tuple[str, str], ...]] = {}
    try:
        for _ in range(cursor.count("producer fields", cap=MAX_PRODUCERS, smallest=2)):
            name = cursor.name("a producer field")
            values = cursor.count("producer values", cap=MAX_PRODUCERS, smallest=2)
            fields[name] = tuple([(cursor.name("a producer"), cursor.name("a version")) for _ in range(values)])
    except InvalidInput:
        return {}
    return fields


def _find(sections: Sequence[CustomSection], name: str) -> CustomSection | None:
    return next((section for section in sections if section.name == name), None)


def _cursor(section: CustomSection) -> Cursor:
    return Cursor(section.source, section.offset, section.offset + section.size)


def _leb128(value: int) -> bytes:
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
