"""The gate's decisions as a state machine: bounds, no idle permits, no starvation, nothing left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tool_server.errors import Unavailable
from tool_server.sandbox.accounts import Accounts, Allowance
from tool_server.sandbox.admission import STALLED_S, Admission, Bounds
from tool_server.sandbox.fair_queue import LONGEST_DEBT_S, QUANTUM_S, Ticket

CALLERS, PLUGINS = "abc", "xyz"


class Hall:
    """An admission with a clock that stands until it is moved."""

    def __init__(self, bounds: Bounds) -> None:
        self.now = 1_000.0
        self.told: list[Ticket] = []
        self.admission = Admission(bounds, lambda: self.now, self.told.append)

    def enter(self, caller: str = "a", plugin: str = "x") -> Ticket:
        return self.admission.enter(caller, plugin)

    def over(self, ticket: Ticket, seconds: float = 0.0, cpu_s: float | None = None) -> None:
        """The call took so long, and ends."""
        self.now += seconds
        ticket.cpu_s = cpu_s
        self.admission.leave(ticket)


def runs(ticket: Ticket) -> bool:
    return ticket.admitted_at is not None


def refused(enter: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        enter()
    assert caught.value.code == "busy"
    return caught.value


class Gatekeeping(RuleBasedStateMachine):
    """Calls come, run for a while, end, are cancelled; after every step the promises hold."""

    tickets = Bundle[Ticket]("tickets")
    bounds = Bounds(2, 6, 2, Allowance(calls=3, queue=4), Allowance(calls=2, queue=5))

    def __init__(self) -> None:
        super().__init__()
        self.hall = Hall(self.bounds)
        self.live: list[Ticket] = []
        self.refusals: list[Unavailable] = []

    @rule(target=tickets, caller=st.sampled_from(CALLERS), plugin=st.sampled_from(PLUGINS))
    def call(self, caller: str, plugin: str) -> MultipleResults[Ticket]:
        try:
            ticket = self.hall.enter(caller, plugin)
        except Unavailable as error:
            self.refusals.append(error)
            return multiple(*list[Ticket]())
        self.live.append(ticket)
        return multiple(ticket)

    @rule(ticket=consumes(tickets), seconds=st.sampled_from([0.0, 0.005, 0.02]))
    def end(self, ticket: Ticket, seconds: float) -> None:
        if ticket.refusal is not None:
            return
        self.live.remove(ticket)
        self.hall.over(ticket, seconds)

    @rule(seconds=st.sampled_from([STALLED_S / 2, 2 * STALLED_S]))
    def time_passes(self, seconds: float) -> None:
        self.hall.now += seconds
        self.hall.admission.overtake()

    def could_run(self, ticket: Ticket) -> bool:
        return all(account.running < account.most_running for account in (ticket.caller, ticket.plugin))

    @invariant()
    def nothing_is_forgotten(self) -> None:
        self.refusals += [ticket.refusal for ticket in self.live if ticket.refusal is not None]
        self.live = [ticket for ticket in self.live if ticket.refusal is None]
        running = [ticket for ticket in self.live if runs(ticket)]
        assert self.hall.admission.running == len(running)
        assert self.hall.admission.waiting == len(self.live) - len(running)
        for party in ("caller", "plugin"):
            of_running = Counter(getattr(ticket, party).name for ticket in running)
            of_waiting = Counter(getattr(ticket, party).name for ticket in self.live if not runs(ticket))
            for ticket in self.live:
                account = getattr(ticket, party)
                assert (account.running, account.waiting) == (of_running[account.name], of_waiting[account.name])

    @invariant()
    def every_refusal_says_when_to_come_back(self) -> None:
        for error in self.refusals:
            assert (error.code, error.data["retry_after_ms"] >= 1_000) == ("busy", True)
        self.refusals.clear()

    @invariant()
    def bounds_hold(self) -> None:
        assert sum(runs(ticket) and not ticket.in_reserve for ticket in self.live) <= self.bounds.permits
        assert sum(ticket.in_reserve for ticket in self.live) <= self.bounds.reserve
        assert self.hall.admission.waiting <= self.bounds.queue
        for ticket in self.live:
            assert ticket.caller.running <= 3
            assert ticket.caller.waiting <= 4
            assert ticket.plugin.running <= 2
            assert ticket.plugin.waiting <= 5

    @invariant()
    def no_permit_is_idle_while_somebody_may_have_it(self) -> None:
        if sum(runs(ticket) and not ticket.in_reserve for ticket in self.live) < self.bounds.permits:
            assert not any(self.could_run(ticket) for ticket in self.live if not runs(ticket))

    def teardown(self) -> None:
        while self.live:
            ticket = next((ticket for ticket in self.live if runs(ticket)), self.live[0])
            self.end(ticket, 0.0)
            self.nothing_is_forgotten()
        assert (self.hall.admission.running, self.hall.admission.waiting) == (0, 0)


def test_the_promises_hold_whatever_comes() -> None:
    run_state_machine_as_test(Gatekeeping, settings=settings(max_examples=150, stateful_step_count=60))


@given(
    costs=st.dictionaries(st.sampled_from("abcd"), st.floats(0.0005, 5.0), min_size=2),
    permits=st.integers(1, 3),
    shared=st.booleans(),
)
def test_callers_that_always_want_more_get_equal_time_whatever_their_calls_cost(
    costs: dict[str, float], permits: int, shared: bool
) -> None:
    hall, used = Hall(Bounds(permits, 100)), dict.fromkeys(costs, 0.0)
    running: list[tuple[float, Ticket]] = []
    plugins = {name: "shared" if shared else name for name in costs}
    waiting = [hall.enter(name, plugins[name]) for name in costs for _ in range(permits + 1)]

    def start() -> None:
        for ticket in [ticket for ticket in waiting if runs(ticket)]:
            waiting.remove(ticket)
            running.append((hall.now + costs[ticket.caller.name], ticket))

    start()
    for _ in range(600):
        running.sort(key=lambda entry: entry[0])
        at, ticket = running.pop(0)
        name = ticket.caller.name
        hall.over(ticket, max(at - hall.now, 0.0))
        used[name] += costs[name] + QUANTUM_S
        waiting.append(hall.enter(name, plugins[name]))
        start()
    # Within the calls under way, what nobody could know before the first calls were over, and, where callers of one
    # plugin differ much, what the expectation is wrong by while calls of several run.
    slack = (2 * permits + 2) * (max(costs.values()) + QUANTUM_S)
    assert max(used.values()) - min(used.values()) <= slack + (0.25 if shared else 0.02) * max(used.values())


@given(
    quanta=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    permits=st.integers(1, 3),
    own_quanta=st.integers(0, 4),
)
def test_a_call_is_served_after_a_bounded_number_of_others_whatever_they_cost(
    quanta: list[int], permits: int, own_quanta: int
) -> None:
    hall = Hall(Bounds(permits, 1_000))
    flood = [hall.enter(name, f"{name}-{number % 3}") for name in ("b", "c") for number in range(20)]
    hall.over(hall.enter("a"), own_quanta * QUANTUM_S)
    for turn in range(40):
        waits, ended = hall.enter("a"), 0
        while not runs(waits):
            ticket = next(ticket for ticket in flood if runs(ticket))
            flood.remove(ticket)
            flood.append(hall.enter(ticket.caller.name, ticket.plugin.name))
            hall.over(ticket, quanta[(turn + ended) % len(quanta)] * QUANTUM_S)
            ended += 1
            # Its own debt is four calls' worth or less, and each of theirs is worth a quantum or more.
            assert ended <= 2 * 5 + 2 * permits
        hall.over(waits, own_quanta * QUANTUM_S)


def test_a_caller_of_long_calls_is_served_before_others_have_used_more_than_its_debt() -> None:
    hall = Hall(Bounds(1, 100))
    long = hall.enter("long")
    again = hall.enter("long")
    short = [hall.enter("short") for _ in range(2)]
    hall.over(long, 3_600)
    used = 0.0
    while not runs(again):
        ticket = next(ticket for ticket in short if runs(ticket))
        short = [other for other in short if other is not ticket] + [hall.enter("short")]
        hall.over(ticket, 0.5)
        used += 0.5
    assert LONGEST_DEBT_S - 1 <= used <= LONGEST_DEBT_S + 1


def test_what_was_used_while_nobody_else_wanted_anything_is_not_held_against_a_caller() -> None:
    hall = Hall(Bounds(1, 100))
    for _ in range(20):
        hall.over(hall.enter("early"), 5.0)
    last = hall.enter("late")
    early, late = hall.enter("early"), hall.enter("late")
    hall.over(last, 0.1)
    assert runs(early)
    assert not runs(late)


def test_the_plugins_of_one_caller_share_by_time_too() -> None:
    hall = Hall(Bounds(1, 100))
    seconds = {"slow": 2.0, "quick": 0.01}
    tickets = [hall.enter("a", plugin) for plugin in ("slow", "quick") for _ in range(2)]
    used = Counter[str]()
    for _ in range(500):
        ticket = next(ticket for ticket in tickets if runs(ticket))
        tickets.remove(ticket)
        plugin = ticket.plugin.name
        tickets.append(hall.enter("a", plugin))
        hall.over(ticket, seconds[plugin])
        used[plugin] += 1
    assert used["quick"] > 50 * used["slow"]
    assert used["slow"] >= 2


def test_the_reserve_is_for_callers_and_plugins_of_whom_nothing_runs_while_others_hold_everything() -> None:
    hall = Hall(Bounds(2, 100, reserve=2))
    first, second = hall.enter("flood", "slow"), hall.enter("flood", "slow")
    waits = hall.enter("flood", "slow")
    early = hall.enter("quiet", "quick")
    assert not runs(early), "calls that have only just begun may be over in a moment"
    hall.now += 2 * STALLED_S
    hall.admission.overtake()
    assert runs(early)
    assert early.in_reserve
    assert not runs(waits)
    assert not runs(hall.enter("flood", "other")), "the last place is for callers"
    assert runs(hall.enter("third", "quick"))
    assert not runs(hall.enter("fourth", "fourth"))
    hall.over(first)
    assert hall.admission.running == 4
    assert runs(second)


def test_another_plugin_of_the_same_caller_finds_room_beside_long_calls() -> None:
    hall = Hall(Bounds(2, 100, reserve=2))
    held = [hall.enter("flood", "slow") for _ in range(2)]
    hall.now += 2 * STALLED_S
    assert runs(hall.enter("flood", "quick"))
    assert not runs(hall.enter("flood", "slow"))
    assert all(runs(ticket) for ticket in held)


def test_short_calls_of_others_do_not_open_the_reserve() -> None:
    hall = Hall(Bounds(1, 100, reserve=2))
    running = hall.enter("a")
    for _ in range(50):
        mine, theirs = hall.enter("a"), hall.enter("b")
        hall.over(running, STALLED_S / 3)
        running, other = (mine, theirs) if runs(mine) else (theirs, mine)
        assert hall.admission.running == 1
        hall.over(running, STALLED_S / 3)
        running = other


def test_a_full_queue_takes_from_the_longest_line_for_those_who_have_less() -> None:
    hall = Hall(Bounds(1, 4))
    running = hall.enter("flood")
    line = [hall.enter("flood") for _ in range(4)]
    error = refused(lambda: hall.enter("flood"))
    assert "4 calls are waiting already" in error.message
    quiet = hall.enter("quiet")
    assert line[3].refusal is not None
    assert line[3].refusal.code == "busy"
    assert hall.enter("quiet")
    assert (line[2].refusal is not None, line[1].refusal) == (True, None)
    refused(lambda: hall.enter("quiet"))
    hall.over(running)
    assert [runs(quiet), runs(line[0])].count(True) == 1


def test_a_full_line_of_one_caller_leaves_room_for_its_other_plugins() -> None:
    hall = Hall(Bounds(1, 100, caller=Allowance(queue=3)))
    hall.enter("a", "slow")
    line = [hall.enter("a", "slow") for _ in range(3)]
    refused(lambda: hall.enter("a", "slow"))
    hall.enter("a", "quick")
    assert [ticket.refusal is None for ticket in line] == [True, True, False]
    assert "of this caller" in str(refused(lambda: hall.enter("a", "quick")))
    assert hall.enter("b", "slow")


def test_a_full_line_of_one_plugin_is_shared_by_callers() -> None:
    hall = Hall(Bounds(1, 100, plugin=Allowance(queue=3)))
    hall.enter("a", "p")
    line = [hall.enter("a", "p") for _ in range(3)]
    assert "of this plugin" in str(refused(lambda: hall.enter("a", "p")))
    hall.enter("b", "p")
    assert [ticket.refusal is None for ticket in line] == [True, True, False]
    assert hall.enter("a", "other")


def test_a_cpu_budget_refuses_until_it_has_filled_up_and_says_when() -> None:
    hall = Hall(Bounds(1, 100, caller=Allowance(cpu_s=6.0)))
    running = hall.enter("a")
    waiting = hall.enter("a")
    other = hall.enter("b")
    hall.over(running, 10.0, cpu_s=7.0)
    assert waiting.refusal is not None
    assert "6 CPU seconds a minute" in waiting.refusal.message
    assert runs(other)
    error = refused(lambda: hall.enter("a"))
    wait_ms = error.data["retry_after_ms"]
    assert 10_000 <= wait_ms <= 11_000
    assert f"Try again in {-(-wait_ms // 1000)} seconds" in error.message
    hall.now += wait_ms / 1000
    assert not runs(hall.enter("a"))
    hall.over(other)
    assert hall.admission.waiting == 0


@pytest.mark.parametrize(("said", "spent"), [(None, 5.0), (1e9, 5.0), (0.25, 0.25), (0.0, 0.0)])
def test_what_a_worker_says_counts_up_to_the_time_it_took(said: float | None, spent: float) -> None:
    hall = Hall(Bounds(1, 1, plugin=Allowance(cpu_s=60.0)))
    ticket = hall.enter()
    plugin = ticket.plugin
    hall.over(ticket, 5.0, cpu_s=said)
    plugin.spend(60.0, hall.now)
    assert plugin.seconds_until_funded(hall.now) == pytest.approx(0.6 + spent if spent else 0.6, abs=1e-6)


def test_those_who_are_idle_are_forgotten_and_those_in_debt_are_not() -> None:
    accounts = Accounts(Allowance(cpu_s=1.0))
    debtor = accounts.get("debtor", 0.0)
    debtor.spend(100.0, 0.0)
    for number in range(10_000):
        accounts.get(f"caller-{number}", 0.0)
    assert len(accounts) < 1_000
    assert accounts.get("debtor", 0.0) is debtor
    for number in range(10_000):
        accounts.get(f"later-{number}", 10_000.0)
    assert accounts.get("debtor", 10_000.0) is not debtor


def test_those_who_have_waited_too_long_are_turned_away_and_the_others_stay() -> None:
    hall = Hall(Bounds(1, 10))
    running = hall.enter()
    early = [hall.enter("a", "x"), hall.enter("a", "x"), hall.enter("a", "y"), hall.enter("b", "x")]
    hall.now += 3
    late = [hall.enter("a", "x"), hall.enter("c", "x")]
    hall.admission.give_up(5.0)
    assert not any(ticket.refusal for ticket in (*early, *late))
    hall.now += 2
    hall.admission.give_up(5.0)
    refusals = [ticket.refusal for ticket in early]
    assert [refusal.code if refusal else None for refusal in refusals] == ["busy"] * 4
    assert all(refusal and "no worker became free within 5 s" in refusal.message for refusal in refusals)
    assert {id(ticket) for ticket in hall.told} == {id(ticket) for ticket in early}
    assert hall.admission.waiting == 2
    hall.over(running)
    assert [runs(ticket) for ticket in late] == [False, True]  # c has used less than a, whose call took five seconds


def test_a_closed_gate_turns_everyone_away() -> None:
    hall = Hall(Bounds(1, 10))
    running, waiting = hall.enter(), hall.enter()
    hall.admission.close()
    assert waiting.refusal is not None
    assert waiting.refusal.code == "shutting_down"
    with pytest.raises(Unavailable, match="shutting down"):
        hall.enter()
    hall.over(running)
    assert (hall.admission.running, hall.admission.waiting) == (0, 0)
