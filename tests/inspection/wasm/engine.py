"""wasmtime's view of a module, in the words of ours, to compare the two."""

from __future__ import annotations

import wasmtime

from tool_server.errors import InvalidInput
from tool_server.inspection.wasm import (
    ExternType,
    FunctionType,
    GlobalType,
    MemoryType,
    Module,
    TableType,
    TagType,
    parse_module,
)

ENGINE = wasmtime.Engine()

COMPARABLE = frozenset({"i32", "i64", "f32", "f64", "funcref", "externref"})
"""The value types that wasmtime's C interface can name; it aborts the process on others."""

Shape = tuple[object, ...]


def attempt(data: bytes) -> Module | InvalidInput:
    """Our reading, or our refusal as a value."""
    try:
        return parse_module(data)
    except InvalidInput as error:
        return error


def compile_module(data: bytes) -> wasmtime.Module | None:
    """The compiled module, or None where wasmtime refuses the bytes."""
    if not data.startswith(b"\0asm"):
        return None  # wasmtime would take them for text
    try:
        return wasmtime.Module(ENGINE, data)
    except wasmtime.WasmtimeError:
        return None


def comparable(module: Module) -> bool:
    """Whether wasmtime's interface can name every type that the module imports or exports."""
    return all(COMPARABLE.issuperset(_value_types(item.type)) for item in (*module.imports, *module.exports))


def _value_types(extern: ExternType) -> tuple[str, ...]:
    match extern:
        case FunctionType():
            return extern.params + extern.results
        case TagType():
            return extern.params
        case TableType():
            return (extern.element,)
        case GlobalType():
            return (extern.value,)
        case MemoryType():
            return ()


def our_view(module: Module) -> tuple[list[Shape], list[Shape]]:
    """Imports and exports as plain tuples."""
    return (
        [(item.module, item.name, _our_shape(item.type)) for item in module.imports],
        [(item.name, _our_shape(item.type)) for item in module.exports],
    )


def _our_shape(extern: ExternType) -> Shape:
    match extern:
        case FunctionType():
            return ("function", extern.params, extern.results)
        case TagType():
            return ("tag", extern.params)
        case TableType():
            return ("table", extern.element, extern.minimum, extern.maximum)
        case GlobalType():
            return ("global", extern.value, extern.mutable)
        case MemoryType():
            return ("memory", extern.minimum, extern.maximum, extern.shared, extern.is_64)


def their_view(module: wasmtime.Module) -> tuple[list[Shape], list[Shape]]:
    """The same from wasmtime."""
    return (
        [(item.module, item.name, _their_shape(item.type)) for item in module.imports],
        [(item.name, _their_shape(item.type)) for item in module.exports],
    )


def _their_shape(extern: object) -> Shape:
    match extern:
        case wasmtime.FuncType():
            return ("function", _spelled(extern.params), _spelled(extern.results))
        case wasmtime.TagType():
            return ("tag", _spelled(extern.functype.params))
        case wasmtime.TableType():
            return ("table", *_spelled([extern.element]), extern.limits.min, extern.limits.max)
        case wasmtime.GlobalType():
            return ("global", *_spelled([extern.content]), extern.mutable)
        case wasmtime.MemoryType():
            return ("memory", extern.limits.min, extern.limits.max, extern.is_shared, extern.is_64)
        case _:
            raise AssertionError(f"an extern type of no known class: {extern!r}")


def _spelled(types: list[wasmtime.ValType]) -> tuple[str, ...]:
    # wasmtime's Python package prints externref as "anyref", the name of its constant in the older C interface.
    return tuple(str(value).replace("anyref", "externref") for value in types)
