"""What the sandbox's tests share: calls of ready guests, pools over one compile cache, looks at processes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.guests import digest_of, guest
from tool_server.errors import NotFound
from tool_server.model.call import Call
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import HostImport, Program
from tool_server.sandbox.host_calls import HostFunctions
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.settings import PoolSettings

PATIENCE = 60
"""Seconds until a test that waits for a condition gives up."""

_WASI = frozenset({"sleep", "wasi_exit"})
_USER_IMPORTS = {"user_config": "config_get", "host_function": "lookup", "host_function_then_spin": "lookup"}

MakePool = Callable[..., WorkerPool]


def program_of(name: str, wasm: bytes | None = None) -> Program:
    """The program of a ready guest, or of these bytes."""
    data = guest(name) if wasm is None else wasm
    user = _USER_IMPORTS.get(name)
    imports = (
        (HostImport(module="extism:host/user", name=user, params=("i64",), results=("i64",)),)
        if user is not None
        else ()
    )
    return Program(digest=digest_of(data), size=len(data), wasi=name in _WASI, imports=imports)


def call_of(
    name: str,
    data: bytes = b"",
    *,
    export: str | None = None,
    caller: str = "ann",
    config: dict[str, str] | None = None,
    wasm: bytes | None = None,
    **limits: Any,
) -> Call:
    """A call of a guest's export (the one with its name), under limits with 30 s of time."""
    return Call(
        id=f"call-{name}",
        tool=f"tool-{name}",
        plugin=f"plugin-{name}",
        caller=caller,
        program=program_of(name, wasm),
        permissions=Permissions(),
        limits=Limits(**{"timeout_ms": 30_000, **limits}),
        export=export or name,
        input=data,
        config=config or {},
    )


class Modules:
    """An artifact reader over the ready guests and whatever a test adds; it counts its reads."""

    def __init__(self) -> None:
        self.reads = 0
        self._bytes: dict[str, bytes] = {}

    def add(self, *modules: bytes) -> None:
        """Serve these bytes too."""
        self._bytes.update({digest_of(wasm): wasm for wasm in modules})

    def add_guests(self, *names: str) -> None:
        """Serve these guests."""
        self.add(*(guest(name) for name in names))

    async def read(self, digest: str) -> bytes:
        """The bytes of a digest."""
        self.reads += 1
        if digest not in self._bytes:
            raise NotFound("unknown_artifact", f"there is no artifact {digest}")
        return self._bytes[digest]


@pytest.fixture
def modules() -> Modules:
    return Modules()


@pytest.fixture(scope="session")
def compile_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def make_pool(modules: Modules, compile_cache: Path) -> MakePool:
    """A pool of one worker and no spares, unless settings say otherwise."""

    def make(host_functions: HostFunctions | None = None, **settings: Any) -> WorkerPool:
        usual = PoolSettings(workers=1, spares=0, compile_cache=compile_cache)
        return WorkerPool(dataclasses.replace(usual, **settings), modules.read, host_functions)

    return make


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another process brings about."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it is another process that changes, no event can tell
            await anyio.sleep(0.005)


def is_reaped(pid: int) -> bool:
    """Whether nothing is left of a process, not even a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
