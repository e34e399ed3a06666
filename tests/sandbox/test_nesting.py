"""Room for nested calls: bounded, shared out fairly, and never a circle of calls that wait for one another."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_server.errors import Unavailable
from tool_server.model.nesting import MAX_DEPTH, CallTree
from tool_server.sandbox.nesting import Nesting


class Stacks:
    """Trees of calls that go deeper and deeper while they hold what they have."""

    def __init__(self, places: int) -> None:
        self.nesting = Nesting(places)
        self.running = self.most = 0
        self.finished: list[str] = []

    async def go_down(self, tree: CallTree, caller: str, depth: int) -> None:
        """Nested calls on top of one another, as many as `depth` says."""
        if depth == 0:
            await anyio.lowlevel.checkpoint()
            return
        async with self.nesting.place(tree, caller):
            self.running += 1
            self.most = max(self.most, self.running)
            await anyio.lowlevel.checkpoint()
            await self.go_down(tree, caller, depth - 1)
            self.running -= 1

    async def run(self, caller: str, depth: int) -> None:
        """One client's call with all that follows from it."""
        await self.go_down(CallTree(100), caller, depth)
        self.finished.append(caller)


@settings(deadline=None)
@given(
    st.integers(min_value=0, max_value=4),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(min_value=0, max_value=MAX_DEPTH - 1)), max_size=30),
)
def test_whatever_the_stacks_all_of_them_end_within_the_bound(places: int, stacks: Sequence[tuple[str, int]]) -> None:
    async def run() -> Stacks:
        room = Stacks(places)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for caller, depth in stacks:
                    tasks.start_soon(room.run, caller, depth)
        return room

    room = anyio.run(run)
    assert len(room.finished) == len(stacks)
    assert room.most <= places + MAX_DEPTH - 1
    assert (room.nesting.waiting, room.running) == (0, 0)


async def test_the_next_place_goes_to_the_caller_who_has_the_fewest() -> None:
    nesting = Nesting(2)
    order: list[str] = []

    async def call(caller: str) -> None:
        async with nesting.place(CallTree(1), caller):
            order.append(caller)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            async with AsyncExitStack() as last:
                async with nesting.place(CallTree(1), "greedy"):
                    for holder in ("greedy", "privileged"):
                        await last.enter_async_context(nesting.place(CallTree(1), holder))
                    for caller in ("greedy", "greedy", "modest"):
                        tasks.start_soon(call, caller)
                    await anyio.wait_all_tasks_blocked()
                    assert (nesting.waiting, order) == (3, [])
                await anyio.wait_all_tasks_blocked()
    assert order == ["modest", "greedy", "greedy"]


async def test_calls_that_are_cancelled_while_they_wait_take_no_place() -> None:
    nesting = Nesting(1)
    with anyio.fail_after(10):
        async with AsyncExitStack() as held:
            for caller in ("common", "privileged"):
                await held.enter_async_context(nesting.place(CallTree(1), caller))

            async def wait() -> None:
                async with nesting.place(CallTree(1), "late"):
                    pytest.fail("it was let in")

            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                assert nesting.waiting == 3
                tasks.cancel_scope.cancel()
            assert nesting.waiting == 0
        for _ in range(2):
            async with nesting.place(CallTree(1), "a"), nesting.place(CallTree(1), "b"):
                assert nesting.waiting == 0


async def test_a_call_that_is_cancelled_just_when_it_is_let_in_gives_its_place_back() -> None:
    nesting = Nesting(0)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            late = anyio.CancelScope()

            async def wait() -> None:
                with late:
                    async with nesting.place(CallTree(1), "late"):
                        await anyio.lowlevel.checkpoint()

            async with nesting.place(CallTree(1), "privileged"):
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
            late.cancel()
        async with nesting.place(CallTree(1), "next"):
            assert nesting.waiting == 0


async def test_closing_turns_away_who_waits_and_who_comes_later() -> None:
    nesting = Nesting(0)
    codes: list[str] = []

    async def refused() -> None:
        with pytest.raises(Unavailable) as caught:
            async with nesting.place(CallTree(1), "late"):
                pytest.fail("it was let in")
        codes.append(caught.value.code)

    with anyio.fail_after(10):
        async with nesting.place(CallTree(1), "first"), anyio.create_task_group() as tasks:
            tasks.start_soon(refused)
            await anyio.wait_all_tasks_blocked()
            nesting.close()
        await refused()
    assert codes == ["shutting_down", "shutting_down"]


async def test_what_nested_calls_use_is_added_up_for_the_one_that_pays() -> None:
    nesting, tree = Nesting(1), CallTree(5)
    async with nesting.place(tree, "a") as place:
        place.cpu_s = 0.25
    async with nesting.place(tree, "a") as place:
        place.cpu_s = 0.5
    assert tree.cpu_s == 0.75
    async with nesting.place(tree, "a"):
        pass  # nobody can say: the time it took counts
    assert tree.cpu_s > 0.75
