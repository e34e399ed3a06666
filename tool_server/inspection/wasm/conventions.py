"""What imports and exports mean to Extism and to the plugin ABIs that run on it.

Sources: extism 1.41's runtime, tried with one import at a time (`extism:host/env` is the kernel and
`wasi_snapshot_preview1` the only WASI that it links; the `env` of plugins for Extism before 1.0 is not linked);
hyper-mcp 0.8 and mcp.run's servlet schema for the ABIs.
"""

from __future__ import annotations

from tool_server.errors import InvalidInput
from tool_server.inspection.wasm.module import FunctionType, Module
from tool_server.model.host_interface import KERNEL_MODULE, WASI_MODULE
from tool_server.model.release import Abi, HostImport

RESERVED_EXPORTS = frozenset(
    {
        "_start",  # entry point of a WASI command
        "_initialize",  # constructors of a WASI reactor, run by Extism
        "hs_init",  # Haskell's runtime, started by Extism
        "hs_exit",
        "hs_perform_gc",
        "malloc",  # C allocators, exported by TinyGo and wasi-libc
        "calloc",
        "realloc",
        "free",
        "aligned_alloc",
        "posix_memalign",
        "malloc_usable_size",
        "memory",  # by convention the memory; a function of that name is no tool either
        "setThrew",  # Emscripten
        "stackSave",
        "stackRestore",
        "stackAlloc",
        "wizer.initialize",  # run once by Wizer when a snapshot is made
        "wizer-initialize",
        "wizer.resume",
        "go_scheduler",  # TinyGo
    }
)
"""Exported functions that a runtime or toolchain calls and no client should see as a tool."""

RESERVED_PREFIXES = (
    "__",  # constructors (__wasm_call_ctors), AssemblyScript, Extism's JavaScript kit, linker symbols
    "asyncify_",  # Binaryen's stack switching
    "cabi_",  # canonical ABI of components: cabi_realloc, cabi_post_*
    "canonical_abi_",
    "dynCall_",  # Emscripten
    "emscripten_",
    "_emscripten_",
)
"""Beginnings of further reserved names."""

_HOST_TYPES = frozenset({"i32", "i64", "f32", "f64"})
"""The values of `ExtismValType` that the runtime passes to host functions."""

_RETURN_CODE = FunctionType((), ("i32",))
_NO_RESULT = FunctionType()

_HYPER_V2_PAIRS = (
    ("list_tools", "call_tool"),
    ("list_prompts", "get_prompt"),
    ("list_resources", "read_resource"),
    ("list_resource_templates", "read_resource"),
)
"""All lists are optional in hyper-mcp v2, and none is of use without the function beside it."""


def is_reserved(export: str) -> bool:
    """Whether an exported function of this name belongs to a runtime or toolchain."""
    return export in RESERVED_EXPORTS or export.startswith(RESERVED_PREFIXES)


def host_imports(module: Module) -> tuple[HostImport, ...]:
    """The functions that a host must offer beyond Extism's kernel and WASI, each once, in the module's order.

    Raises:
        InvalidInput: `invalid_wasm`, one of them takes or returns what no Extism host function can.
    """
    found = tuple(
        HostImport(module=item.module, name=item.name, params=item.function.params, results=item.function.results)
        for item in module.imports
        if item.function is not None and item.module not in (KERNEL_MODULE, WASI_MODULE)
    )
    for item in found:
        strange = next((kind for kind in (*item.params, *item.results) if kind not in _HOST_TYPES), None)
        if strange is not None:
            raise InvalidInput(
                "invalid_wasm",
                f"the imported function {item.name[:80]!r} takes or returns {strange[:40]}: host functions know only "
                "i32, i64, f32 and f64, so pass an offset into Extism's memory as i64",
                {"cause": "host_function_type", "module": item.module[:200], "name": item.name[:200]},
            )
    return tuple(dict.fromkeys(found))


def needs_wasi(module: Module) -> bool:
    """Whether anything is imported from `wasi_snapshot_preview1`."""
    return any(item.module == WASI_MODULE for item in module.imports)


def plain_exports(module: Module) -> tuple[str, ...]:
    """Names of unreserved functions of type `() -> i32`, Extism's own form: the result 0 means success."""
    return _unreserved(module, _RETURN_CODE)


def void_exports(module: Module) -> tuple[str, ...]:
    """Names of unreserved functions of type `() -> ()`. Extism runs them too, always with success."""
    return _unreserved(module, _NO_RESULT)


def _unreserved(module: Module, wanted: FunctionType) -> tuple[str, ...]:
    return tuple(item.name for item in module.exports if item.function == wanted and not is_reserved(item.name))


def describes_itself(module: Module) -> Abi | None:
    """The convention by which a module tells its own tools, or None for a plain Extism plugin.

    `describe` with `call` is `SERVLET`. hyper-mcp v1 has the same two exports, the same envelopes and the same
    answers, so that the module cannot tell them apart and nothing depends on it: a v1 plugin runs as a servlet. As in
    hyper-mcp these two win where a module also exports a pair of v2. Functions with parameters do not count.
    """
    callable_names = {item.name for item in module.exports if item.function in (_RETURN_CODE, _NO_RESULT)}
    if {"describe", "call"} <= callable_names:
        return Abi.SERVLET
    if any(callable_names.issuperset(pair) for pair in _HYPER_V2_PAIRS):
        return Abi.HYPER_V2
    return None
