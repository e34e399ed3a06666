"""Pools on machines that give more and less protection, and what the server makes of it."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import MakePool, Modules, call_of, is_reaped, program_of, until
from tests.support.guests import guest, guest_names
from tool_server.errors import ToolServerError, Unavailable
from tool_server.model.call import Probe
from tool_server.model.protection import Protection, ProtectionState
from tool_server.sandbox.confinement.seccomp import Instruction, assemble
from tool_server.sandbox.confinement.system_calls import Check, Rule, allowed, answers
from tool_server.sandbox.protections import ProtectionCheck, read_report
from tool_server.sandbox.settings import NO_FOLDERS, PoolSettings, WorkerSetup

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the protections are Linux's")

_ALL = tuple(Protection)


@pytest.mark.parametrize(
    "protections", [(), *((protection,) for protection in _ALL), _ALL], ids=lambda names: "+".join(names) or "none"
)
async def test_a_pool_works_with_whatever_protections_there_are(
    make_pool: MakePool, modules: Modules, tmp_path: Path, protections: tuple[Protection, ...]
) -> None:
    modules.add_guests("echo", "sleep")
    async with make_pool(compile_cache=tmp_path, protections=protections) as pool:
        assert await pool.inspect(program_of("echo"), guest("echo"), [Probe("echo", b"x")]) == (b"x",)
        assert (await pool.run(call_of("echo", b"y"))).data == b"y"
        with pytest.raises(ToolServerError, match="200 ms"):
            await pool.run(call_of("sleep", timeout_ms=200))
        report = await pool.protections()
    left_out = {name for name, state in report.items() if "sandbox.protections" in state.detail}
    assert left_out == set(_ALL) - set(protections)
    assert not any(report[name].in_force for name in left_out)


async def test_no_guest_ends_differently_for_being_confined(make_pool: MakePool, modules: Modules) -> None:
    hanging = {"spin", "sleep", "start_loop", "initialize_loop", "forged_block"}
    names = [name for name in guest_names() if "config" not in name and "host_function" not in name]
    names = [name for name in names if name not in hanging]
    modules.add_guests(*names)

    async def endings(protections: tuple[Protection, ...]) -> dict[str, str]:
        found: dict[str, str] = {}
        async with make_pool(protections=protections, loaded=100) as pool:
            for name in names:
                try:
                    found[name] = (await pool.run(call_of(name, b"5"))).data.hex()[:100]
                except ToolServerError as error:
                    found[name] = error.code
        return found

    assert await endings(_ALL) == await endings((Protection.LIMITS,))


async def test_required_protections_are_looked_at_when_the_pool_opens(
    make_pool: MakePool, modules: Modules, caplog: pytest.LogCaptureFixture
) -> None:
    modules.add_guests("echo")
    required = (Protection.LIMITS, Protection.PRIVILEGES)
    with caplog.at_level(logging.INFO, "tool_server.sandbox"):
        async with make_pool(require=required) as pool:
            (pid,) = pool.pids
            assert (await pool.run(call_of("echo", b"x"))).data == b"x"
            assert pool.pids == {pid}
            await pool.inspect(program_of("echo"), guest("echo"))
    assert caplog.text.count("workers are confined by limits (") == 1


@pytest.mark.parametrize(
    "missing", [(Protection.LANDLOCK,), (Protection.SECCOMP, Protection.NETWORK)], ids=lambda names: "+".join(names)
)
async def test_a_pool_without_what_is_required_does_not_open_and_says_what_is_missing(
    make_pool: MakePool, missing: tuple[Protection, ...], caplog: pytest.LogCaptureFixture
) -> None:
    offered = tuple(name for name in _ALL if name not in missing)
    pool = make_pool(protections=offered, require=(Protection.LIMITS, *missing), spares=1)
    with pytest.raises(Unavailable) as caught:
        async with pool:
            pytest.fail("the pool opened")
    assert caught.value.code == "protection_missing"
    assert set(caught.value.data["missing"]) == set(missing)
    assert all(word in caught.value.message for word in (*missing, "left out", "sandbox.require"))
    assert "limits:" not in caught.value.message
    assert pool.pids == frozenset()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    with pytest.raises(Unavailable, match="shutting down"):
        await pool.warm()


async def test_each_worker_has_namespaces_of_its_own(make_pool: MakePool) -> None:
    async with make_pool(require=(Protection.LIMITS,), workers=2) as pool:
        first = pool.pids
        await pool.warm()
        await until(lambda: len(pool.pids) == 2)
        pids, report = pool.pids, await pool.protections()

        def namespaces(kind: str) -> set[str]:
            return {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids}

        assert first < pids
        for protection, kinds in ((Protection.USER, ["user"]), (Protection.NETWORK, ["net", "ipc", "uts"])):
            if report[protection].in_force:
                for kind in kinds:
                    await until(lambda kind=kind: len(namespaces(kind) | {os.readlink(f"/proc/self/ns/{kind}")}) == 3)
    assert all(is_reaped(pid) for pid in pids)


_SHOWING_WORKER = textwrap.dedent(
    """
    import ctypes, json, os, sys
    from tool_server.sandbox import worker

    class Shown(worker.Worker):
        def serve(self, report):
            environment = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
            left = bool(environment) and environment[0] is not None
            descriptors = []
            for number in range(120):
                try:
                    os.fstat(number)
                except OSError:
                    continue
                descriptors.append(number)
            os.write(1, json.dumps([left, dict(os.environ), descriptors]).encode())

    worker.Worker = Shown
    worker.main(sys.argv[1:])
    """
)


def test_a_confined_worker_has_an_empty_environment_and_no_descriptors_but_its_own(tmp_path: Path) -> None:
    setup = WorkerSetup.prepare(PoolSettings(workers=1, spares=0, compile_cache=tmp_path / "cache"), tmp_path)
    ours, theirs = socket.socketpair()
    with ours, theirs, open(os.devnull, "rb") as extra:
        handed = (theirs.fileno(), extra.fileno())
        shown = subprocess.run(
            [sys.executable, "-c", _SHOWING_WORKER, setup.argument(theirs.fileno(), None, os.getpid(), NO_FOLDERS)],
            pass_fds=handed,
            capture_output=True,
            text=True,
            check=False,
        )
    assert shown.stderr == ""
    in_libc, in_python, descriptors = json.loads(shown.stdout)
    assert (in_libc, in_python) == (False, {})
    # The standard ones, the socket, and the one that tells the memory in use.
    assert len(descriptors) == 5
    assert {0, 1, 2, handed[0]} < set(descriptors)
    assert handed[1] not in descriptors


def _filtered(program: list[Instruction], number: int, arguments: tuple[int, ...], architecture: int) -> int:
    """Runs a filter as the kernel does; what it returns."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments)
    accumulator = position = 0
    while True:
        code, if_true, if_false, constant = program[position]
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, constant)
            case 0x54:
                accumulator &= constant
            case 0x15:
                position += if_true if accumulator == constant else if_false
            case 0x35:
                position += if_true if accumulator >= constant else if_false
            case 0x06:
                return constant
            case _:
                raise AssertionError(code)


_ALLOW, _ERROR, _X86_64 = 0x7FFF0000, 0x00050000, 0xC000003E
_numbers = st.integers(0, 460)
_words = st.integers(0, 2**32 - 1)
_checks = st.builds(Check, st.integers(0, 5), st.integers(0, 7), st.sampled_from([7, 2**32 - 1]))
_rules = st.lists(st.builds(Rule, _numbers, st.lists(_checks, max_size=3).map(tuple)), max_size=40)


def _allows(rules: Iterable[Rule], number: int, arguments: tuple[int, ...]) -> bool:
    return any(
        rule.number == number and all((arguments[c.argument] & 0xFFFFFFFF & c.mask) == c.value for c in rule.checks)
        for rule in rules
    )


@given(_rules, _numbers, st.tuples(*[st.integers(0, 8) | st.integers(0, 2**64 - 1)] * 6), st.booleans())
def test_the_filter_allows_exactly_what_some_rule_allows(
    rules: list[Rule], number: int, arguments: tuple[int, ...], known: bool
) -> None:
    number = rules[0].number if rules and known else number
    program = assemble(rules, {461: 38})
    expected = _ALLOW if _allows(rules, number, arguments) else _ERROR | 1
    assert _filtered(program, number, arguments, _X86_64) == expected
    assert _filtered(program, 461, arguments, _X86_64) == _ERROR | 38
    assert _filtered(program, number | 0x40000000, arguments, _X86_64) == _ERROR | 1
    assert _filtered(program, number, arguments, 0x40000003) == _ERROR | 1


@pytest.mark.parametrize("writes", [False, True])
def test_the_rules_fit_a_filter_and_leave_out_what_makes_processes_and_sockets(writes: bool) -> None:
    program = assemble(rules := allowed(1234, writes=writes), answers(writes=writes))
    assert len(program) < 4096
    assert all(0 <= jump < 256 for _, *jumps, _ in program for jump in jumps)
    forbidden = (2, 41, 42, 49, 53, 57, 58, 59, 101, 165, 272, 308, 310, 311, 321, 322, 323, 425, 426)
    assert not {rule.number for rule in rules} & set(forbidden)
    assert (82 in {rule.number for rule in rules}) is writes


_UNREADABLE: list[Any] = [
    *({}, {"protections": None}, {"protections": []}, {"protections": {"landlock": "yes"}}),
    *({"protections": {"landlock": [1, "x"]}}, {"protections": {"landlock": [True]}}),
    *({"protections": {"landlock": [True, 2]}}, {"protections": {"landlock": {"in_force": True}}}),
]


@pytest.mark.parametrize("header", _UNREADABLE)
def test_a_report_that_cannot_be_read_counts_as_no_protection(header: dict[str, Any]) -> None:
    assert not read_report(header)[Protection.LANDLOCK].in_force
    with pytest.raises(Unavailable, match="landlock: the worker says nothing about it"):
        ProtectionCheck([Protection.LANDLOCK]).admit(header)


def test_a_report_is_kept_within_bounds() -> None:
    report = read_report({"protections": {"seccomp": [True, "x" * 10_000], "unheard-of": [True, "y"]}})
    assert report[Protection.SECCOMP] == ProtectionState(True, "x" * 300)
    assert set(report) == set(Protection)
