"""The first eight bytes: is this a core wasm module at all, and if not, what is it?"""

from __future__ import annotations

from tool_server.errors import InvalidInput
from tool_server.inspection.wasm.refusals import Cause, malformed

MAGIC = b"\0asm"
VERSION_1 = b"\x01\0\0\0"
PREAMBLE_SIZE = len(MAGIC) + len(VERSION_1)

_COMPONENT_LAYER = b"\x01\0"

_OTHER_FORMATS = (
    # Extism takes such a manifest in place of a module and grants what it says, host folders included.
    (b"{", "a JSON manifest and not a module: give the .wasm file that it points to"),
    (b"(module", "WebAssembly text: translate it first, for example with 'wasm-tools parse'"),
    (b"(component", "the WebAssembly text of a component: build a core module, target wasm32-wasip1"),
    (b"(;", "WebAssembly text: translate it first, for example with 'wasm-tools parse'"),
    (b";;", "WebAssembly text: translate it first, for example with 'wasm-tools parse'"),
    (b"\x7fELF", "a native ELF program: build for a wasm32 target"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed: unpack it first"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"!<arch>\n", "a static library: link it into a module first"),
    (b"BC\xc0\xde", "LLVM bitcode: link it into a module first"),
    (b"<", "HTML or XML, perhaps an error page in place of a download"),
)


def check_preamble(data: bytes, max_size: int) -> None:
    """Do nothing when `data` begins as a core wasm module and has at most `max_size` bytes.

    Raises:
        InvalidInput: `empty_wasm`, `wasm_too_large`, `not_wasm`, `component_wasm`, or `invalid_wasm` for another
            version or fewer than eight bytes. `data["offset"]` is the first byte that is wrong.
    """
    if not data:
        raise InvalidInput("empty_wasm", "the module is empty: 0 bytes, expected a wasm file", {"offset": 0})
    if len(data) > max_size:
        raise InvalidInput(
            "wasm_too_large",
            f"the module has {len(data)} bytes, and at most {max_size} are accepted: strip debug information, "
            f"or ask the operator to raise limits.wasm",
            {"offset": max_size, "size": len(data), "max_size": max_size},
        )
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise _not_wasm(data)
    if len(data) < PREAMBLE_SIZE:
        raise malformed(len(data), Cause.TRUNCATED, f"the file ends inside the first {PREAMBLE_SIZE} bytes")
    version = data[len(MAGIC) : PREAMBLE_SIZE]
    if version[2:] == _COMPONENT_LAYER:
        raise InvalidInput(
            "component_wasm",
            "this is a component, and plugins are core modules: build a core module, target wasm32-wasip1 or "
            "wasm32-unknown-unknown, not wasm32-wasip2",
            {"offset": 6},
        )
    if version != VERSION_1:
        found = int.from_bytes(version, "little")
        raise malformed(len(MAGIC), Cause.VERSION, f"binary format version {found}, expected 1")


def _not_wasm(data: bytes) -> InvalidInput:
    head = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    looks = next((looks for start, looks in _OTHER_FORMATS if head.startswith(start)), None)
    found = f"it looks like {looks}" if looks else f"it begins with 0x{data[:4].hex()}, a module with 0x{MAGIC.hex()}"
    wrong = next((at for at, byte in enumerate(data[: len(MAGIC)]) if byte != MAGIC[at]), 0)
    return InvalidInput("not_wasm", f"this is not a wasm module: {found}", {"offset": wrong})
