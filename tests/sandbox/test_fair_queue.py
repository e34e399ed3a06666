"""The queue serves callers in turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tool_server.sandbox.fair_queue import FairQueue


def _drain(queue: FairQueue[tuple[str, int]]) -> list[tuple[str, int]]:
    items: list[tuple[str, int]] = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_no_caller_gets_a_second_turn_while_another_waits_for_its_first(callers: list[str]) -> None:
    queue = FairQueue[tuple[str, int]](100)
    for number, caller in enumerate(callers):
        assert queue.push(caller, (caller, number))
    assert len(queue) == len(callers)
    served = _drain(queue)
    assert sorted(served) == sorted((caller, number) for number, caller in enumerate(callers))
    for caller in set(callers):
        own = [number for name, number in served if name == caller]
        assert own == sorted(own)
    for position, (caller, _) in enumerate(served):
        turns = {name: sum(name == other for other, _ in served[:position]) for name in set(callers)}
        waiting = [name for name in turns if turns[name] < callers.count(name)]
        assert turns[caller] == min(turns[name] for name in waiting)


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=20), st.data())
def test_what_is_removed_is_not_served(callers: list[str], data: st.DataObject) -> None:
    queue = FairQueue[tuple[str, int]](100)
    items = [(caller, number) for number, caller in enumerate(callers)]
    for item in items:
        queue.push(item[0], item)
    gone = data.draw(st.sampled_from(items))
    assert queue.remove(gone[0], gone)
    assert not queue.remove(gone[0], gone)
    assert sorted(_drain(queue)) == sorted(item for item in items if item != gone)


def test_a_full_queue_takes_nothing_until_something_left() -> None:
    queue = FairQueue[tuple[str, int]](2)
    assert queue.push("a", ("a", 1))
    assert queue.push("b", ("b", 2))
    assert not queue.push("c", ("c", 3))
    assert queue.pop() == ("a", 1)
    assert queue.push("c", ("c", 3))
    assert len(queue) == 2
    assert _drain(queue) == [("b", 2), ("c", 3)]
    assert queue.pop() is None
    assert not queue.remove("nobody", ("nobody", 0))
