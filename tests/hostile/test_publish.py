"""Hostile modules and descriptions, published: refused by name or held harmless, and nobody else notices."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.attacks import ANSWERS, ATTACKS, Attack
from tests.hostile.descriptions import DESCRIPTIONS, Description
from tests.hostile.support import MEBIBYTE, Arena, code_of, publish_attack
from tests.services.publishing import stored
from tests.support.guests import guest
from tool_server.errors import ToolServerError
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.inspection.wasm import parse_module
from tool_server.model.caller import LOCAL
from tool_server.model.release import Release
from tool_server.services.publish import Published

# Real processes by the hundred.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

COMPILE_MEMORY = 1_024 * MEBIBYTE
_numbers = itertools.count()


async def publish_bytes(arena: Arena, wasm: bytes, **fields: Any) -> Published:
    """Publish exactly these bytes under a name of their own."""
    manifest, findings = parse_manifest({"name": fresh_name(), "version": "1.0.0", **fields})
    return await arena.services.publish.publish(manifest, wasm, LOCAL, findings)


def fresh_name() -> str:
    """A plugin name that no other test of this module uses."""
    return f"attack-{next(_numbers)}"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_publishing_a_hostile_module_ends_by_name_and_harms_nobody(arena: Arena, attack: Attack) -> None:
    async def work() -> None:
        before = await stored(arena.services)
        name = fresh_name()
        await publish_attack(arena.services, attack, name)
        if ANSWERS not in attack.publish:
            assert await stored(arena.services) == before
        elif (await arena.services.plugins.get_installation(name)) is not None:
            await arena.services.install.uninstall(name, LOCAL)

    await arena.withstands(work, memory=COMPILE_MEMORY)


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda description: description.name)
async def test_a_plugin_that_describes_itself_with_malice_is_refused_or_held_back(
    arena: Arena, description: Description
) -> None:
    wasm = description.make()

    async def work() -> None:
        released: list[Release] = []

        async def publish() -> None:
            released.append((await publish_bytes(arena, wasm)).release)

        assert await code_of(publish()) in description.publish
        for release in released:
            assert len(release.tools) == description.offered

    await arena.withstands(work, memory=COMPILE_MEMORY)


REAL = ("echo", "servlet", "user_config", "sleep", "memory_bomb")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real plugin, with a few bytes changed, cut off, doubled or taken out."""
    data = bytearray(guest(draw(st.sampled_from(REAL))))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(8, len(data) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                data[at:at] = data[at : at + draw(st.integers(1, 32))]
            case 2:
                del data[at : at + draw(st.integers(1, 16))]
            case _:
                data[at:] = data[at : at + draw(st.integers(1, 4_096))]
        if len(data) < 10:
            break
    return bytes(data)


@settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wasm=damaged())
async def test_a_damaged_plugin_is_refused_by_name_or_is_one(arena: Arena, wasm: bytes) -> None:
    await code_of(publish_bytes(arena, wasm))
    await arena.honest_call()


async def test_a_plugin_cut_at_any_byte_is_refused_by_the_parser_or_cut_between_two_sections(arena: Arena) -> None:
    wasm = guest("counter")
    ends: list[int] = []
    for size in range(len(wasm)):
        try:
            parse_module(wasm[:size])
        except ToolServerError:
            continue
        ends.append(size)
    assert 0 < len(ends) < 10
    for size in ends:
        assert await code_of(publish_bytes(arena, wasm[:size], tools={})) in (ANSWERS, "no_tools", "invalid_wasm")
    await arena.honest_call()
