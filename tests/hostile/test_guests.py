"""Every hostile guest of the table, called: a typed error in time, and nobody else notices."""

from __future__ import annotations

import pytest

from tests.hostile.attacks import ATTACKS, Attack
from tests.hostile.support import TIMEOUT_MS, Arena, call_attack, memory_of
from tool_server.model.limits import Limits

CALLED = [attack for attack in ATTACKS if attack.call]


@pytest.mark.parametrize("attack", CALLED, ids=lambda attack: attack.name)
async def test_a_call_of_a_hostile_guest_ends_by_name_and_harms_nobody(arena: Arena, attack: Attack) -> None:
    limits = Limits(**{"timeout_ms": TIMEOUT_MS, **attack.limits})
    await arena.withstands(lambda: call_attack(arena.services, attack), memory=memory_of(limits))
