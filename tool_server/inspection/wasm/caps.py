"""The most of everything that a module may hold, and why.

"As wasmtime" names the limits of its parser (bytecodealliance/wasm-tools, `crates/wasmparser/src/limits.rs`): a
module beyond them would not compile anyway. The other caps are lower, and bound what reading a hostile module costs
here: each byte of a decoded section may become a Python object.
"""

from __future__ import annotations

MAX_MODULE_SIZE = 64 * 2**20
"""Bytes of a whole module by default: CPython with its library has 18 MB, a large Go program 14 MB."""

MAX_DECODED_SECTION = 2**20
"""Bytes of one section that is decoded entry by entry (all but code, data, element and custom sections).

A byte of wasm becomes up to 35 bytes of Python objects (reference types do), so that one section costs at most a few
dozen megabytes. At the caps on imports and exports below it leaves about 100 bytes for each."""

MAX_CUSTOM_SECTIONS = 1_000
"""wasmtime has no such cap, and an empty custom section takes three bytes. Debug builds carry about ten."""

MAX_CUSTOM_NAME = 1_000
"""Bytes in the name of a custom section. wasmtime: 100,000; such names are identifiers."""

MAX_NAME = 100_000
"""Bytes of UTF-8 in any other name, as wasmtime."""

MAX_TYPES = 100_000
"""wasmtime: 1,000,000. The section's cap alone would allow five times as many."""

MAX_PARAMETERS = 1_000
"""Parameters, and as many results, of one function type; as wasmtime."""

MAX_FIELDS = 10_000
"""Fields of one struct type, as wasmtime."""

MAX_IMPORTS = 10_000
"""wasmtime: 1,000,000. Extism's kernel has some 30 functions and WASI 46; only user functions come on top."""

MAX_EXPORTS = 10_000
"""wasmtime: 1,000,000. Every export may become a tool, and a module of 100,000 took over 30 s to compile."""

MAX_FUNCTIONS = 200_000
"""wasmtime: 1,000,000. What fits in `MAX_DECODED_SECTION` with type indexes padded to five bytes."""

MAX_FUNCTION_SIZE = 7_654_321
"""Bytes of one function's body, as wasmtime."""

MAX_TABLES = 100
"""Tables of the table section, as wasmtime (which also counts the imported ones)."""

MAX_MEMORIES = 100
"""Memories of the memory section, as wasmtime (which also counts the imported ones)."""

MAX_GLOBALS = 100_000
"""wasmtime: 1,000,000. Toolchains keep variables in memory and define a handful."""

MAX_TAGS = 10_000
"""wasmtime: 1,000,000. A program has one for each kind of exception that it throws."""

MAX_SEGMENTS = 100_000
"""Element segments, and as many data segments; as wasmtime."""

MAX_MEMORY32_PAGES = 2**16
"""Pages of 64 KiB that 32-bit addresses reach."""

MAX_MEMORY64_PAGES = 2**48
"""Pages of 64 KiB that 64-bit addresses reach."""

MAX_PRODUCERS = 2**16
"""Bytes of a `producers` section that is worth reading; toolchains write about a hundred."""
