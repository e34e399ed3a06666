"""A bounded, pure reader of core wasm modules, and what their imports and exports mean."""

from tool_server.inspection.wasm.caps import MAX_MODULE_SIZE
from tool_server.inspection.wasm.conventions import (
    RESERVED_EXPORTS,
    RESERVED_PREFIXES,
    describes_itself,
    host_imports,
    is_reserved,
    needs_wasi,
    plain_exports,
    void_exports,
)
from tool_server.inspection.wasm.custom_sections import append_custom_section, custom_section
from tool_server.inspection.wasm.module import (
    AggregateType,
    CustomSection,
    Export,
    ExternKind,
    ExternType,
    FunctionType,
    GlobalType,
    Import,
    MemoryType,
    Module,
    Section,
    TableType,
    TagType,
    Type,
)
from tool_server.inspection.wasm.parser import parse_module
from tool_server.inspection.wasm.refusals import Cause

__all__ = [
    "MAX_MODULE_SIZE",
    "RESERVED_EXPORTS",
    "RESERVED_PREFIXES",
    "AggregateType",
    "Cause",
    "CustomSection",
    "Export",
    "ExternKind",
    "ExternType",
    "FunctionType",
    "GlobalType",
    "Import",
    "MemoryType",
    "Module",
    "Section",
    "TableType",
    "TagType",
    "Type",
    "append_custom_section",
    "custom_section",
    "describes_itself",
    "host_imports",
    "is_reserved",
    "needs_wasi",
    "parse_module",
    "plain_exports",
    "void_exports",
]
