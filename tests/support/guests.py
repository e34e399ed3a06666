"""Guest modules for every test suite: `guest("echo")` gives the wasm bytes of a ready one.

The sources stand in `tests/support/guest_sources.py`; nothing binary is checked in.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import wasmtime

from tests.support.guest_sources import C_HEADER, C_SOURCES, WAT_IMPORTS, WAT_SOURCES

_CACHE = Path(tempfile.gettempdir(), f"tool-server-test-guests-{os.getuid()}")

_C_FLAGS = (
    *("-target", "wasm32-freestanding", "-nostdlib", "-O2", "-mbulk-memory", "-fno-builtin"),
    *("-Wl,--no-entry", "-Wl,--strip-all", "-Wno-incompatible-library-redeclaration"),
)


def wat(text: str) -> bytes:
    """The wasm bytes of a module in WebAssembly's text format."""
    return bytes(wasmtime.wat2wasm(text))


def extism_wat(body: str) -> bytes:
    """Like `wat`, for the inside of `(module …)`, with all of Extism's imports in scope as `$alloc`, `$output_set` …

    Only those that the body names are imported.
    """
    imports = [
        f'(import "extism:host/env" "{name}" (func ${name} {signature}))'
        for name, signature in WAT_IMPORTS.items()
        if f"${name} " in body or f"${name})" in body or f"${name}\n" in body
    ]
    return wat(f"(module {' '.join(imports)} {body})")


def compile_c(source: str) -> bytes:
    """The wasm bytes of one C file, which may use the Extism functions of `C_HEADER`.

    Compiled by zig's clang without a C library, and kept by the hash of source and flags in the system's temporary
    folder.
    """
    text = f"{C_HEADER}\n{source}"
    key = hashlib.sha256("\0".join((text, *_C_FLAGS)).encode()).hexdigest()
    kept = _CACHE / f"{key}.wasm"
    if not kept.exists():
        _CACHE.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
            file, out = Path(folder, "guest.c"), Path(folder, "guest.wasm")
            file.write_text(text)
            command = (sys.executable, "-m", "ziglang", "cc", *_C_FLAGS, str(file), "-o", str(out))
            environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(_CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": folder}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
            out.replace(kept)
    return kept.read_bytes()


@functools.cache
def guest(name: str) -> bytes:
    """The wasm bytes of a guest by its name in `guest_sources`; `guest_names()` lists them."""
    if name in C_SOURCES:
        return compile_c(C_SOURCES[name])
    return extism_wat(WAT_SOURCES[name])


def guest_names() -> tuple[str, ...]:
    """Every name that `guest` knows."""
    return (*C_SOURCES, *WAT_SOURCES)


def digest_of(wasm: bytes) -> str:
    """The name of these bytes in an artifact store: SHA-256, hexadecimal."""
    return hashlib.sha256(wasm).hexdigest()
