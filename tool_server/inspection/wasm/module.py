"""What inspection knows of a core wasm module: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ExternKind(StrEnum):
    """What an import or export is."""

    FUNCTION = "function"
    TABLE = "table"
    MEMORY = "memory"
    GLOBAL = "global"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class FunctionType:
    """Value types as in the text format: `i32`, `i64`, `f32`, `f64`, `v128`, `funcref`, `(ref null 3)` …"""

    params: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    def __str__(self) -> str:
        results = self.results[0] if len(self.results) == 1 else f"({', '.join(self.results)})"
        return f"({', '.join(self.params)}) -> {results}"


@dataclass(frozen=True, slots=True)
class AggregateType:
    """A struct or array type of the garbage collection proposal."""

    kind: str
    """`struct` or `array`."""
    fields: tuple[str, ...]
    """Storage types such as `i8` or `(mut i32)`; one for an array."""


Type = FunctionType | AggregateType


@dataclass(frozen=True, slots=True)
class TableType:
    """Bounds in elements; `maximum` None leaves growth to the engine."""

    element: str
    minimum: int
    maximum: int | None = None
    is_64: bool = False


@dataclass(frozen=True, slots=True)
class MemoryType:
    """Bounds in pages of 65,536 bytes; `maximum` None leaves growth to the engine."""

    minimum: int
    maximum: int | None = None
    shared: bool = False
    """Shared between threads, which Extism refuses when it makes an instance."""
    is_64: bool = False


@dataclass(frozen=True, slots=True)
class GlobalType:
    """A global's value type, and whether it can change."""

    value: str
    mutable: bool


@dataclass(frozen=True, slots=True)
class TagType:
    """The values that an exception of this tag carries."""

    params: tuple[str, ...]


ExternType = FunctionType | TableType | MemoryType | GlobalType | TagType


@dataclass(frozen=True, slots=True)
class Import:
    """One import, in the order of the section. The same two names may stand more than once."""

    module: str
    name: str
    kind: ExternKind
    type: ExternType

    @property
    def function(self) -> FunctionType | None:
        """The type of an imported function, None for anything else."""
        return self.type if isinstance(self.type, FunctionType) else None


@dataclass(frozen=True, slots=True)
class Export:
    """One export, in the order of the section; names are unique."""

    name: str
    kind: ExternKind
    index: int
    """In the index space of its kind, where imports come first."""
    type: ExternType

    @property
    def function(self) -> FunctionType | None:
        """The type of an exported function, None for anything else."""
        return self.type if isinstance(self.type, FunctionType) else None


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section's content lies."""

    id: int
    name: str
    """`type`, `import` …; `custom` for every custom section."""
    offset: int
    """First byte after the section's size field."""
    size: int
    """Bytes, as declared there."""


@dataclass(frozen=True, slots=True)
class CustomSection:
    """A custom section, its content read on demand. Keeps the whole module's bytes alive."""

    name: str
    offset: int
    """First byte of the content, after the section's name."""
    size: int
    """Bytes of content."""
    source: bytes = field(repr=False, compare=False)
    """The whole module."""

    @property
    def content(self) -> bytes:
        """The section's bytes without its name, copied."""
        return self.source[self.offset : self.offset + self.size]


Producers = Mapping[str, tuple[tuple[str, str], ...]]
"""Field (`language`, `processed-by`, `sdk`) to pairs of name and version."""


@dataclass(frozen=True, slots=True)
class Module:
    """A core wasm module, as far as it can be known without running or compiling it."""

    size: int
    """Bytes."""
    digest: str
    """SHA-256, 64 hexadecimal characters."""
    types: tuple[Type, ...]
    imports: tuple[Import, ...]
    exports: tuple[Export, ...]
    memories: tuple[MemoryType, ...]
    """All memories, imported ones first."""
    tables: tuple[TableType, ...]
    """All tables, imported ones first."""
    start: int | None
    """Index of the function that runs while an instance is made, imports counted first."""
    custom_sections: tuple[CustomSection, ...]
    producers: Producers
    """Empty where the `producers` section is missing or malformed."""
    module_name: str | None
    """From the `name` section; None where that is missing or malformed."""
    sections: tuple[Section, ...]
    """All sections in the order of the file."""
