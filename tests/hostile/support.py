"""An arena for attacks: an honest caller beside each of them, and a look at every process before, during and after."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from tests.hostile.attacks import ANSWERS, Attack
from tests.hostile.vitals import Vitals, descendants, peak_of, vitals
from tests.services.publishing import ADD, offer, until
from tests.support.programs import program_of
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.errors import ToolServerError
from tool_server.inspection.manifest_forms import parse_manifest
from tool_server.model.call import Call
from tool_server.model.caller import LOCAL, Caller, Scope
from tool_server.model.json_value import JsonObject, sha256_hex
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.storage.sqlite import READERS, WRITERS

MEBIBYTE = 2**20
HONEST = Caller("honest", frozenset({Scope.CALL}))
MALLORY = Caller("mallory", frozenset({Scope.CALL, Scope.PUBLISH}))
SETTINGS: dict[str, Any] = {
    "workers": 2,
    "spare_workers": 1,
    "limits": {
        "memory": "64MiB",
        "default_memory": "64MiB",
        "default_timeout": "400ms",
        "compile_timeout": "10s",
        "compile_memory": "1GiB",
    },
}
"""Two workers: while one is under attack, the other serves the honest caller."""

TIMEOUT_MS = 400
DEADLINE_S = 30
"""Beyond which a call or a publish hangs. Its own time limit is far shorter; the machine may be slow."""

_WORKER_SLACK = 224 * MEBIBYTE
"""What a worker may take beside its guest: the product's own slack, the interpreter and the engine."""
_SERVER_SLACK = 96 * MEBIBYTE
_DESCRIPTORS = 64
"""What the server may open beside what it had: two for each worker, the database's, an artifact's."""
_WORKER_DESCRIPTORS = 128
_STORED_DESCRIPTORS = 2 * (READERS + WRITERS) + 1 + 4
"""The most that is ever open on records: the database and its log for each pooled connection, their index, and two
journal files, each with its mapping. A connection is opened when so many work at once for the first time; it stays."""

FLOOR_S = 0.025
"""Below this a slower call is no harm done: beside an attack of a few milliseconds one start of a process is all there
is to measure. A caller who has to wait for the attacker's worker waits at least ten times as long."""
SLOWER = 2.0
_ATTEMPTS = 3
"""A neighbour on the machine may disturb one measurement; a worker that is taken away disturbs all of them."""
_CALLS = 9


@dataclass
class Arena:
    """A server in this process, and its honest caller."""

    services: Services
    strangers: frozenset[int]
    """Children that were there before: servers of other tests."""
    pid: int = field(default_factory=os.getpid)

    async def honest_call(self) -> float:
        """One call of the honest tool, whose answer must be right; its seconds."""
        started = time.perf_counter()
        result = await self.services.invoke.call("honest_add", {"a": 40, "b": 2}, HONEST)
        elapsed = time.perf_counter() - started
        assert result.structured == {"sum": 42}
        return elapsed

    async def undisturbed(self) -> float:
        """The honest caller's median, seconds."""
        return statistics.median([await self.honest_call() for _ in range(_CALLS)])

    async def withstands(
        self, attack: Callable[[], Awaitable[object]], *, memory: int, workers: int = 3, floor: float = FLOOR_S
    ) -> None:
        """Run an attack and assert that the server and the honest caller come out of it unharmed.

        Args:
            attack: ends in time, and asserts what it must end in.
            memory: bytes that its guests may take, all together.
            workers: processes that it may occupy.
            floor: seconds below which the honest caller's median is fine whatever it was before.
        """
        before = await self._settled()
        bound = before.private + memory + workers * _WORKER_SLACK + _SERVER_SLACK
        for attempt in range(_ATTEMPTS):
            undisturbed = await self.undisturbed()
            with peak_of(self.pid, self.strangers) as peak:
                during = await self._beside(attack)
            assert peak.private <= bound, f"{peak.private >> 20} MiB at the peak, {bound >> 20} allowed"
            assert peak.descriptors <= before.descriptors + _DESCRIPTORS
            assert peak.stored <= _STORED_DESCRIPTORS
            assert peak.worker_descriptors <= _WORKER_DESCRIPTORS
            await self._settled()
            # What a process that is just being started or buried holds goes away again; what is lost does not.
            await until(lambda: vitals(self.pid, self.strangers).descriptors <= before.descriptors)
            undisturbed = max(undisturbed, await self.undisturbed())
            if during <= max(SLOWER * undisturbed, floor):
                return
            assert attempt < _ATTEMPTS - 1, f"{during * 1e3:.1f} ms beside the attack, {undisturbed * 1e3:.1f} without"

    async def _beside(self, attack: Callable[[], Awaitable[object]]) -> float:
        """What the honest caller has to wait while the attack goes on."""
        taken: list[float] = []
        done = anyio.Event()

        async def honest() -> None:
            # Only calls that began beside the attack count: those after it would hide what it did to few.
            while not done.is_set():
                taken.append(await self.honest_call())
                await anyio.sleep(0.002)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(honest)
            with anyio.fail_after(DEADLINE_S):
                await attack()
            done.set()
        return _met_at_a_random_moment(taken)

    async def _settled(self) -> Vitals:
        """The server at rest: nobody works, waits or is dead, and no process is there that the pool does not know."""
        pool = self.services.pool

        def at_rest() -> bool:
            seen = vitals(self.pid, self.strangers)
            known = pool.pids | self.services.validation.pids
            return not (pool.busy or pool.waiting or seen.zombies) and seen.children == known

        await until(at_rest)
        seen = vitals(self.pid, self.strangers)
        config = self.services.config
        assert len(pool.pids) <= config.workers + config.spare_workers + config.limits.reserve
        return seen


@asynccontextmanager
async def arena(data_dir: Path) -> AsyncGenerator[Arena]:
    """A warm server with the honest plugin."""
    strangers = frozenset(descendants(os.getpid()))
    async with build(Config.model_validate({"data_dir": data_dir, **SETTINGS}), environment={}) as services:
        await offer(services, "honest", limits={"timeout": "30s"}, tools={"add": ADD})
        await services.pool.warm()
        opened = Arena(services, strangers)
        for _ in range(20):
            await opened.honest_call()
        yield opened


def _met_at_a_random_moment(seconds: list[float]) -> float:
    """The median weighted by time: a hundred quick calls do not hide one that took most of the attack."""
    left = sum(seconds) / 2
    for taken in sorted(seconds):
        left -= taken
        if left <= 0:
            return taken
    return 0.0


def attacking_call(attack: Attack, caller: str = "mallory", **limits: int) -> Call:
    """A call of the attack's `go`, as the sandbox gets it."""
    wasm = attack.wasm
    try:
        program = program_of(wasm)
    except ToolServerError:  # what no publish accepts may still lie in a store
        program = Program(digest=sha256_hex(wasm), size=len(wasm), wasi=False, imports=())
    return Call(
        id=f"attack-{sha256_hex(attack.name.encode())[:12]}",
        tool=attack.name,
        plugin=attack.name,
        caller=caller,
        program=program,
        permissions=Permissions(),
        limits=Limits(**{"timeout_ms": _timeout_of(attack), **attack.limits, **limits}),
        export="go",
        input=attack.input,
    )


def _timeout_of(attack: Attack) -> int:
    # Who is not to be stopped by time may take some, on a busy machine.
    return TIMEOUT_MS if "timeout" in attack.call else 10_000


def memory_of(limits: Limits) -> int:
    """What the product lets one call of these limits take beside its slack: see `sandbox.programs`."""
    return 2 * limits.memory_bytes + 3 * (limits.input_bytes + limits.output_bytes)


async def call_attack(services: Services, attack: Attack, caller: str = "mallory") -> None:
    """Put the module into the store as it is, call it, and assert how that ends."""
    await services.artifacts.put(attack.wasm)
    code = await code_of(services.pool.run(attacking_call(attack, caller)))
    assert code in attack.call, f"a call of {attack.name} ended in {code}"


async def publish_attack(services: Services, attack: Attack, name: str) -> None:
    """Publish the module under the name `name` with `go` as its tool, and assert how that ends."""
    tools: JsonObject = {"go": {"description": "Attacks.", "input": {"type": "object"}}}
    manifest, findings = parse_manifest({"name": name, "version": "1.0.0", "tools": tools})
    code = await code_of(services.publish.publish(manifest, attack.wasm, LOCAL, findings))
    assert code in attack.publish, f"publishing {attack.name} ended in {code}"
    if code == ANSWERS:
        await services.install.install(name, "", LOCAL)


async def code_of(work: Awaitable[object]) -> str:
    """The code of the typed error that something ended in, or `ANSWERS`; anything else comes out as it is."""
    error = await error_of(work)
    if error is None:
        return ANSWERS
    assert error.message
    assert "Traceback" not in error.message
    return error.code


async def error_of(work: Awaitable[object]) -> ToolServerError | None:
    """The typed error that something ended in, if it did."""
    try:
        await work
    except ToolServerError as error:
        return error
    return None
