"""Decoders of the sections, each reading one section's content from a cursor confined to it.

Source: WebAssembly core specification 3.0, section 5.5 "Modules". Function bodies and the contents of element and
data segments are not read: they say nothing about what a module offers or needs, and the engine validates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tool_server.inspection.wasm.caps import (
    MAX_EXPORTS,
    MAX_FUNCTION_SIZE,
    MAX_FUNCTIONS,
    MAX_GLOBALS,
    MAX_IMPORTS,
    MAX_MEMORIES,
    MAX_SEGMENTS,
    MAX_TABLES,
    MAX_TAGS,
)
from tool_server.inspection.wasm.constant_expression import skip_constant_expression
from tool_server.inspection.wasm.externs import (
    read_function_type,
    read_global_type,
    read_memory_type,
    read_table_type,
    read_tag_type,
)
from tool_server.inspection.wasm.module import (
    CustomSection,
    Export,
    ExternKind,
    ExternType,
    FunctionType,
    GlobalType,
    Import,
    MemoryType,
    Section,
    TableType,
    TagType,
    Type,
)
from tool_server.inspection.wasm.reader import Cursor
from tool_server.inspection.wasm.refusals import Cause
from tool_server.inspection.wasm.type_section import read_types

_KINDS = (ExternKind.FUNCTION, ExternKind.TABLE, ExternKind.MEMORY, ExternKind.GLOBAL, ExternKind.TAG)

_COMPACT_IMPORTS = (0x7E, 0x7F)
_EXACT_FUNCTION = 0x20
_TABLE_WITH_INITIALIZER = 0x40


@dataclass(slots=True)
class Contents:
    """What the sections read so far have said. Index spaces begin with what was imported."""

    types: list[Type] = field(default_factory=list[Type])
    imports: list[Import] = field(default_factory=list[Import])
    functions: list[FunctionType] = field(default_factory=list[FunctionType])
    tables: list[TableType] = field(default_factory=list[TableType])
    memories: list[MemoryType] = field(default_factory=list[MemoryType])
    globals: list[GlobalType] = field(default_factory=list[GlobalType])
    tags: list[TagType] = field(default_factory=list[TagType])
    exports: list[Export] = field(default_factory=list[Export])
    start: int | None = None
    defined_functions: int = 0
    bodies: int = 0
    data_count: int | None = None
    data_segments: int = 0
    custom_sections: list[CustomSection] = field(default_factory=list[CustomSection])
    sections: list[Section] = field(default_factory=list[Section])

    def spaces(self) -> dict[ExternKind, Sequence[ExternType]]:
        """The index space of each kind."""
        return {
            ExternKind.FUNCTION: self.functions,
            ExternKind.TABLE: self.tables,
            ExternKind.MEMORY: self.memories,
            ExternKind.GLOBAL: self.globals,
            ExternKind.TAG: self.tags,
        }


def decode_types(cursor: Cursor, contents: Contents) -> None:
    """Section 1."""
    contents.types = read_types(cursor)


def decode_imports(cursor: Cursor, contents: Contents) -> None:
    """Section 2."""
    for _ in range(cursor.count("imports", cap=MAX_IMPORTS, smallest=4)):
        module = cursor.name("the module of an import")
        name = cursor.name("the name of an import")
        start = cursor.offset
        code = cursor.byte("the kind of an import")
        if code == _EXACT_FUNCTION or (code in _COMPACT_IMPORTS and not name):
            raise cursor.refusal(Cause.PROPOSAL, "a compact or exact import is not enabled here", start)
        kind = _kind(cursor, code, start)
        contents.imports.append(Import(module, name, kind, _read_imported(cursor, contents, kind)))


def _kind(cursor: Cursor, code: int, start: int) -> ExternKind:
    if code >= len(_KINDS):
        raise cursor.refusal(
            Cause.ENCODING, f"0x{code:02x} is no kind: expected function, table, memory, global or tag (0 to 4)", start
        )
    return _KINDS[code]


def _read_imported(cursor: Cursor, contents: Contents, kind: ExternKind) -> ExternType:
    match kind:
        case ExternKind.FUNCTION:
            imported = read_function_type(cursor, contents.types)
            contents.functions.append(imported)
        case ExternKind.TABLE:
            imported = read_table_type(cursor, len(contents.types))
            contents.tables.append(imported)
        case ExternKind.MEMORY:
            imported = read_memory_type(cursor)
            contents.memories.append(imported)
        case ExternKind.GLOBAL:
            imported = read_global_type(cursor, len(contents.types))
            contents.globals.append(imported)
        case ExternKind.TAG:
            imported = read_tag_type(cursor, contents.types)
            contents.tags.append(imported)
    return imported


def decode_functions(cursor: Cursor, contents: Contents) -> None:
    """Section 3."""
    contents.defined_functions = cursor.count("functions", cap=MAX_FUNCTIONS, smallest=1)
    for _ in range(contents.defined_functions):
        contents.functions.append(read_function_type(cursor, contents.types))


def decode_tables(cursor: Cursor, contents: Contents) -> None:
    """Section 4."""
    types = len(contents.types)
    for _ in range(cursor.count("tables", cap=MAX_TABLES, smallest=3)):
        initialized = cursor.peek("a table") == _TABLE_WITH_INITIALIZER
        if initialized:
            cursor.skip(1, "a table")
            start = cursor.offset
            if cursor.byte("a table"):
                raise cursor.refusal(Cause.ENCODING, "a table with an initializer begins with 0x40 0x00", start)
        contents.tables.append(read_table_type(cursor, types))
        if initialized:
            skip_constant_expression(cursor, types)


def decode_memories(cursor: Cursor, contents: Contents) -> None:
    """Section 5."""
    for _ in range(cursor.count("memories", cap=MAX_MEMORIES, smallest=2)):
        contents.memories.append(read_memory_type(cursor))


def decode_tags(cursor: Cursor, contents: Contents) -> None:
    """Section 13, which stands between memories and globals."""
    for _ in range(cursor.count("tags", cap=MAX_TAGS, smallest=2)):
        contents.tags.append(read_tag_type(cursor, contents.types))


def decode_globals(cursor: Cursor, contents: Contents) -> None:
    """Section 6."""
    types = len(contents.types)
    for _ in range(cursor.count("globals", cap=MAX_GLOBALS, smallest=3)):
        contents.globals.append(read_global_type(cursor, types))
        skip_constant_expression(cursor, types)


def decode_exports(cursor: Cursor, contents: Contents) -> None:
    """Section 7."""
    names: set[str] = set()
    spaces = contents.spaces()
    for _ in range(cursor.count("exports", cap=MAX_EXPORTS, smallest=3)):
        start = cursor.offset
        name = cursor.name("the name of an export")
        if name in names:
            raise cursor.refusal(Cause.DUPLICATE, f"the export name {name[:80]!r} stands twice", start)
        names.add(name)
        start = cursor.offset
        kind = _kind(cursor, cursor.byte("the kind of an export"), start)
        start = cursor.offset
        index = cursor.unsigned("the index of an export")
        space = spaces[kind]
        if index >= len(space):
            raise cursor.refusal(
                Cause.INDEX, f"the export {name[:80]!r} is {kind} {index}, and the module has {len(space)}", start
            )
        contents.exports.append(Export(name, kind, index, space[index]))


def decode_start(cursor: Cursor, contents: Contents) -> None:
    """Section 8."""
    start = cursor.offset
    index = cursor.unsigned("the start function")
    if index >= len(contents.functions):
        raise cursor.refusal(Cause.INDEX, f"the start function {index} does not exist", start)
    found = contents.functions[index]
    if found.params or found.results:
        raise cursor.refusal(Cause.INDEX, f"the start function has type {found}: expected () -> ()", start)
    contents.start = index


def decode_elements(cursor: Cursor, contents: Contents) -> None:
    """Section 9: the number of segments alone."""
    cursor.count("element segments", cap=MAX_SEGMENTS, smallest=2)
    cursor.skip(cursor.remaining, "element segments")


def decode_data_count(cursor: Cursor, contents: Contents) -> None:
    """Section 12, which stands before the code."""
    contents.data_count = cursor.unsigned("the number of data segments")


def decode_code(cursor: Cursor, contents: Contents) -> None:
    """Section 10: the sizes of the bodies."""
    start = cursor.offset
    contents.bodies = cursor.count("function bodies", cap=MAX_FUNCTIONS, smallest=1)
    check_bodies(cursor, contents, start)
    for _ in range(contents.bodies):
        start = cursor.offset
        size = cursor.unsigned("the size of a function body")
        if size > MAX_FUNCTION_SIZE:
            raise cursor.refusal(
                Cause.CAP, f"a function body of {size} bytes, and at most {MAX_FUNCTION_SIZE} are accepted", start
            )
        cursor.skip(size, "a function body")


def check_bodies(cursor: Cursor, contents: Contents, offset: int) -> None:
    """Refuse a module whose functions and bodies differ in number; `offset` is where that came out."""
    if contents.bodies != contents.defined_functions:
        raise cursor.refusal(
            Cause.MISMATCH, f"{contents.defined_functions} functions have {contents.bodies} bodies", offset
        )


def decode_data(cursor: Cursor, contents: Contents) -> None:
    """Section 11: the number of segments alone."""
    start = cursor.offset
    contents.data_segments = cursor.count("data segments", cap=MAX_SEGMENTS, smallest=2)
    check_data(cursor, contents, start)
    cursor.skip(cursor.remaining, "data segments")


def check_data(cursor: Cursor, contents: Contents, offset: int) -> None:
    """Refuse a module whose data count section and data differ; `offset` is where that came out."""
    if contents.data_count is not None and contents.data_count != contents.data_segments:
        raise cursor.refusal(
            Cause.MISMATCH,
            f"{contents.data_count} data segments were announced, {contents.data_segments} follow",
            offset,
        )
