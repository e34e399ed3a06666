"""Pools, calls and published plugins for tests that work below the commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from tests.support.guests import guest
from tool_server.bootstrap.services import Services
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.inspection.wasm import host_imports, needs_wasi, parse_module
from tool_server.model.call import Call
from tool_server.model.caller import LOCAL
from tool_server.model.json_value import JsonObject, sha256_hex
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program, Release
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.settings import PoolSettings


def program_of(wasm: bytes) -> Program:
    """What the sandbox must know of a module."""
    module = parse_module(wasm)
    return Program(digest=module.digest, size=module.size, wasi=needs_wasi(module), imports=host_imports(module))


def call_of(wasm: bytes, export: str, data: bytes, *, caller: str = "test", limits: Limits | None = None) -> Call:
    """One call of an export with everything else at its default."""
    return Call(
        id=uuid4().hex,
        tool=export,
        plugin=export,
        caller=caller,
        program=program_of(wasm),
        permissions=Permissions(),
        limits=limits or Limits(),
        export=export,
        input=data,
    )


def pool_for(folder: Path, modules: Mapping[str, bytes], *, workers: int) -> WorkerPool:
    """A pool that serves these modules' bytes; its compile cache is in `folder`."""
    by_digest = {sha256_hex(wasm): wasm for wasm in modules.values()}

    async def read(digest: str) -> bytes:
        return by_digest[digest]

    return WorkerPool(PoolSettings(workers=workers, spares=1, compile_cache=folder / "compiled"), read)


ECHO_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"text": {"type": "string", "description": "What to return."}},
    "required": ["text"],
    "additionalProperties": False,
}


async def publish_and_install(
    services: Services,
    name: str,
    *,
    version: str = "1.0.0",
    tools: int = 1,
    guest_name: str = "echo",
    manifest: JsonObject | None = None,
) -> Release:
    """Publish a plugin whose tools all echo their arguments (or run `guest_name`), install it, return the version."""
    declared: JsonObject = {
        "name": name,
        "version": version,
        "description": f"The plugin {name}",
        "tools": {
            guest_name if number == 0 else f"{guest_name}_{number}": {
                "description": "Returns its arguments.",
                "input": ECHO_SCHEMA,
                "output": ECHO_SCHEMA,
            }
            for number in range(tools)
        },
        **(manifest or {}),
    }
    wasm = guest(guest_name) if tools == 1 else _with_aliases(guest(guest_name), guest_name, tools)
    parsed, findings = parse_manifest(declared)
    published = await services.publish.publish(parsed, wasm, LOCAL, findings)
    await services.install.install(name, "", LOCAL)
    return published.release


def _with_aliases(wasm: bytes, export: str, count: int) -> bytes:
    """The module with its export under further names, `export_1` and so on."""
    module = parse_module(wasm)
    index = next(found.index for found in module.exports if found.name == export)
    entries = b"".join(_name(found.name) + bytes([_KINDS[found.kind]]) + _leb(found.index) for found in module.exports)
    aliases = b"".join(_name(f"{export}_{number}") + b"\x00" + _leb(index) for number in range(1, count))
    content = _leb(len(module.exports) + count - 1) + entries + aliases
    position, result = 8, wasm[:8]
    while position < len(wasm):
        size, start = _read_leb(wasm, position + 1)
        section = wasm[position : start + size]
        result += b"\x07" + _leb(len(content)) + content if wasm[position] == 7 else section
        position = start + size
    return result


_KINDS = {"function": 0, "func": 0, "table": 1, "memory": 2, "global": 3, "tag": 4}


def _name(text: str) -> bytes:
    return _leb(len(text.encode())) + text.encode()


def _leb(number: int) -> bytes:
    result = b""
    while number > 0x7F:
        result += bytes([number & 0x7F | 0x80])
        number >>= 7
    return result + bytes([number])


def _read_leb(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
