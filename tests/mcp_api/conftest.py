"""The product behind a real socket with a few tools, one for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.http_api.registry import Registry, running_registry
from tests.services.publishing import offer, offer_guest
from tests.support.guests import compile_c, guest
from tests.support.plugins import TRIAL_SOURCE, TRIAL_TOOLS


@pytest.fixture(scope="package")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Registry]:
    settings = {"limits": {"input": "256KiB", "reserve": 0}}
    async with running_registry(tmp_path_factory.mktemp("mcp") / "data", **settings) as running:
        trial = compile_c(f"{TRIAL_SOURCE}\nEXPORT(trap) {{ __builtin_trap(); }}")
        await offer(running.services, "trial", wasm=trial, tools=TRIAL_TOOLS)
        await offer(running.services, "servlet", wasm=guest("servlet"))
        await offer_guest(running.services, "brief", "spin", limits={"timeout": "100ms"})
        await offer_guest(running.services, "endless", "spin", limits={"timeout": "60s"})
        await offer_guest(running.services, "bomb", "memory_bomb")
        yield running
