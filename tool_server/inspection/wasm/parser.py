"""From bytes to `Module`: the order of sections, and what must agree between them.

Time and memory are linear in the size of the module, with the caps in `caps` as constant factors. This is no
validator: it refuses what it finds malformed, and the engine may refuse more when it compiles the module. What the
engine accepts is accepted here too, but for the caps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tool_server.inspection.wasm.caps import MAX_CUSTOM_NAME, MAX_CUSTOM_SECTIONS, MAX_DECODED_SECTION, MAX_MODULE_SIZE
from tool_server.inspection.wasm.custom_sections import read_module_name, read_producers
from tool_server.inspection.wasm.module import CustomSection, Module, Section
from tool_server.inspection.wasm.preamble import PREAMBLE_SIZE, check_preamble
from tool_server.inspection.wasm.reader import Cursor
from tool_server.inspection.wasm.refusals import Cause
from tool_server.inspection.wasm.sections import (
    Contents,
    check_bodies,
    check_data,
    decode_code,
    decode_data,
    decode_data_count,
    decode_elements,
    decode_exports,
    decode_functions,
    decode_globals,
    decode_imports,
    decode_memories,
    decode_start,
    decode_tables,
    decode_tags,
    decode_types,
)
from tool_server.model.json_value import sha256_hex


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one kind of section is read, and where it must stand among the others."""

    name: str
    position: int
    decode: Callable[[Cursor, Contents], None]
    bulk: bool = False
    """Whether the content is skipped over, so that its size costs nothing."""


_CUSTOM = 0

_RULES = {
    1: _Rule("type", 1, decode_types),
    2: _Rule("import", 2, decode_imports),
    3: _Rule("function", 3, decode_functions),
    4: _Rule("table", 4, decode_tables),
    5: _Rule("memory", 5, decode_memories),
    13: _Rule("tag", 6, decode_tags),
    6: _Rule("global", 7, decode_globals),
    7: _Rule("export", 8, decode_exports),
    8: _Rule("start", 9, decode_start),
    9: _Rule("element", 10, decode_elements, bulk=True),
    12: _Rule("data count", 11, decode_data_count),
    10: _Rule("code", 12, decode_code, bulk=True),
    11: _Rule("data", 13, decode_data, bulk=True),
}
"""Section id to rule. Ids 12 and 13 came after the others and stand where they are needed."""


def parse_module(data: bytes, *, max_size: int = MAX_MODULE_SIZE) -> Module:
    """Read a core wasm module without compiling or running any of it.

    Args:
        data: the whole file.
        max_size: the most bytes that are accepted.

    Raises:
        InvalidInput: `empty_wasm`, `wasm_too_large`, `not_wasm` (another format, named where it is known),
            `component_wasm`, or `invalid_wasm` for everything else that is wrong, with `data` of `offset` (bytes
            from the start), `cause` (see `Cause`) and mostly `section`.
    """
    check_preamble(data, max_size)
    contents = read_sections(Cursor(data, PREAMBLE_SIZE))
    return Module(
        size=len(data),
        digest=sha256_hex(data),
        types=tuple(contents.types),
        imports=tuple(contents.imports),
        exports=tuple(contents.exports),
        memories=tuple(contents.memories),
        tables=tuple(contents.tables),
        start=contents.start,
        custom_sections=tuple(contents.custom_sections),
        producers=read_producers(contents.custom_sections),
        module_name=read_module_name(contents.custom_sections),
        sections=tuple(contents.sections),
    )


def read_sections(cursor: Cursor) -> Contents:
    """All sections from the cursor, which stands after the preamble, to the end of the file."""
    contents = Contents()
    position = 0
    while cursor.remaining:
        start = cursor.offset
        section_id = cursor.byte("a section's id")
        if section_id == _CUSTOM:
            _read_custom(cursor, contents)
            continue
        rule = _RULES.get(section_id)
        if rule is None:
            raise cursor.refusal(Cause.ENCODING, f"{section_id} is no section id: expected 0 to 13", start)
        if rule.position <= position:
            raise cursor.refusal(
                Cause.ORDER, f"the {rule.name} section stands twice or after a section that must follow it", start
            )
        position = rule.position
        _read_known(cursor, contents, section_id, rule)
    check_bodies(cursor, contents, cursor.offset)
    check_data(cursor, contents, cursor.offset)
    return contents


def _read_known(cursor: Cursor, contents: Contents, section_id: int, rule: _Rule) -> None:
    start = cursor.offset
    size = cursor.unsigned(f"the size of the {rule.name} section")
    if size > MAX_DECODED_SECTION and not rule.bulk:
        raise cursor.refusal(
            Cause.CAP,
            f"the {rule.name} section has {size} bytes, and at most {MAX_DECODED_SECTION} are accepted",
            start,
        )
    cursor.begin_section(rule.name, size)
    contents.sections.append(Section(section_id, rule.name, cursor.offset, size))
    rule.decode(cursor, contents)
    cursor.end_section()


def _read_custom(cursor: Cursor, contents: Contents) -> None:
    if len(contents.custom_sections) >= MAX_CUSTOM_SECTIONS:
        raise cursor.refusal(Cause.CAP, f"more than {MAX_CUSTOM_SECTIONS} custom sections", cursor.offset - 1)
    size = cursor.unsigned("the size of a custom section")
    cursor.begin_section("custom", size)
    contents.sections.append(Section(_CUSTOM, "custom", cursor.offset, size))
    name = cursor.name("the name of a custom section", MAX_CUSTOM_NAME)
    contents.custom_sections.append(CustomSection(name, cursor.offset, cursor.remaining, cursor.data))
    cursor.skip(cursor.remaining, "a custom section")
    cursor.end_section()
