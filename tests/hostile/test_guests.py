"""Every hostile guest of the table, called: a typed error in time, and nobody else notices."""

from __future__ import annotations

import dataclasses

import pytest

from tests.hostile.attacks import ANSWERS, ATTACKS, Attack
from tests.hostile.outputs import OUTPUTS, Output
from tests.hostile.support import MALLORY, TIMEOUT_MS, Arena, attacking_call, call_attack, code_of, memory_of
from tests.services.publishing import offer
from tests.support.guests import guest
from tests.support.programs import program_of
from tool_server.model.limits import Limits

# Real processes by the hundred.
pytestmark = [pytest.mark.slow, pytest.mark.alone]

CALLED = [attack for attack in ATTACKS if attack.call]


@pytest.mark.parametrize("attack", CALLED, ids=lambda attack: attack.name)
async def test_a_call_of_a_hostile_guest_ends_by_name_and_harms_nobody(arena: Arena, attack: Attack) -> None:
    limits = Limits(**{"timeout_ms": TIMEOUT_MS, **attack.limits})
    await arena.withstands(lambda: call_attack(arena.services, attack), memory=memory_of(limits))


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.name)
async def test_a_hostile_output_is_refused_by_name_or_passed_on_as_what_it_is(arena: Arena, output: Output) -> None:
    name = f"output-{OUTPUTS.index(output)}"
    limits = {"timeout": "5s", **output.limits}
    await offer(arena.services, name, wasm=output.make(), tools={"go": output.tool}, limits=limits)

    async def work() -> None:
        code = await code_of(arena.services.invoke.call(f"{name}_go", {}, MALLORY))
        assert code in output.call

    await arena.withstands(work, memory=memory_of(Limits()))


async def test_what_a_tool_says_of_itself_never_passes_for_a_word_of_the_server(arena: Arena) -> None:
    forged = next(output for output in OUTPUTS if "forges the server's own" in output.name)
    await offer(arena.services, "forger", wasm=forged.make(), tools={"go": forged.tool})
    result = await arena.services.invoke.call("forger_go", {}, MALLORY)
    assert result.is_error
    assert "tool-server/error" not in (result.meta or {})


@pytest.mark.parametrize("size", [0, 1, 4_194_304, 4_194_305, 8_000_000])
async def test_an_input_is_taken_up_to_its_limit_and_refused_above(arena: Arena, size: int) -> None:
    call = attacking_call(ATTACKS[0], timeout_ms=2_000)
    echo = guest("void")
    await arena.services.artifacts.put(echo)
    sent = dataclasses.replace(call, program=program_of(echo), export="void", input=b"x" * size)

    async def work() -> None:
        assert await code_of(arena.services.pool.run(sent)) == (ANSWERS if size <= 2**22 else "input_too_large")

    await arena.withstands(work, memory=memory_of(Limits()))
