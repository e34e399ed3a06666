"""The worker processes of a pool: who is idle, who is at work, who must be replaced."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

import anyio

from tool_server.errors import Unavailable
from tool_server.sandbox.gate import shutting_down
from tool_server.sandbox.process import NO_FOLDERS, Profile, WorkerProcess

_log = logging.getLogger("tool_server.sandbox")

_TICK_S = 0.05
_FAILURES_TOLERATED = 3
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 10.0


class Crew:
    """Hands out workers and takes them back.

    Args:
        spawn: starts a process of a profile.
        workers: most that work at once, the disposable ones not counted.
        spares: idle ones without folders to keep ready beyond those at work.
    """

    def __init__(self, spawn: Callable[[Profile], WorkerProcess], workers: int, spares: int) -> None:
        self._spawn = spawn
        self._workers = workers
        self._spares = spares
        self._most = workers + spares
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._dead: list[WorkerProcess] = []
        self._changed = anyio.Event()
        self._employed = anyio.Event()
        self._watched = False
        """Whether `_employed` is set."""
        self._least = 0
        self._closed = False
        self._failures = 0
        self._failed_at = 0.0
        self._retry_at = 0.0
        self._last_words = ""
        self.deaths: Counter[str] = Counter()
        """Workers that ended, by cause: `deadline`, `start_failed`, `out_of_memory`, `crashed`, and `discarded` for
        those that were ended on purpose, after a cancelled call or an inspection."""

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of all workers that are not known to be dead."""
        return frozenset(worker.pid for worker in (*self._idle, *self._busy))

    @property
    def busy(self) -> int:
        """How many are at work."""
        return len(self._busy)

    def take(self, key: int, profile: Profile = NO_FOLDERS) -> WorkerProcess:
        """An idle worker of this profile, if possible one that holds this program, else a new one.

        Where the crew is full, the new one takes the place of the one that has been idle for the longest time.

        Raises:
            Unavailable: `worker_start_failed`.
        """
        while (worker := self._pick(key, profile)) is not None:
            if worker.alive():
                return self._employ(worker)
            self.lost(worker)
        for worker in [idle for idle in self._idle if not idle.alive()]:
            self._idle.remove(worker)
            self.lost(worker)
        self.require_hiring()
        if self._idle and self._size() >= self._workers + self._spares:
            self.discard(self._idle.pop(0))
        return self._employ(self.hire(profile))

    def _pick(self, key: int, profile: Profile) -> WorkerProcess | None:
        """Take one from the idle ones."""
        fitting: int | None = None
        for index, worker in enumerate(self._idle):
            if worker.profile == profile:
                if key in worker.loaded:
                    return self._idle.pop(index)
                if fitting is None:
                    fitting = index
        return None if fitting is None else self._idle.pop(fitting)

    def hire(self, profile: Profile = NO_FOLDERS) -> WorkerProcess:
        """Start a process that may see these folders.

        Raises:
            Unavailable: `worker_start_failed`, the last ones did not start either; `shutting_down`.
        """
        self.require_hiring()
        return self._spawn(profile)

    def require_hiring(self) -> None:
        """Do nothing while processes can be started.

        Raises:
            Unavailable: as `hire`.
        """
        if self._closed:
            raise shutting_down()
        wait = self._retry_at - time.monotonic()
        if self._failures >= _FAILURES_TOLERATED and wait > 0:
            raise Unavailable(
                "worker_start_failed",
                f"the processes that run plugins do not start: {self._last_words or 'they end without a word'}. "
                "'tool-server doctor' says more.",
                {"retry_after_ms": int(wait * 1000) + 1},
            )

    def employ_extra(self, profile: Profile = NO_FOLDERS) -> WorkerProcess:
        """A new process beyond the crew's size, for one task; give it to `discard` afterwards."""
        return self._employ(self.hire(profile))

    def give_back(self, worker: WorkerProcess) -> None:
        """A worker at rest."""
        self._failures = 0
        self._busy.discard(worker)
        self._idle.append(worker)

    def dismiss_surplus(self) -> None:
        """End idle workers beyond twice the crew: what nested calls needed besides is kept for the next ones."""
        while self._idle and self._size() > 2 * self._workers + self._spares:
            self.discard(self._idle.pop(0))

    def discard(self, worker: WorkerProcess) -> None:
        """Kill a worker, whatever it does."""
        self.deaths[_cause(worker)] += 1
        self._busy.discard(worker)
        worker.kill()
        self._dead.append(worker)
        self._changed.set()

    def renew(self) -> None:
        """Discard everyone idle: what they were started with is not what is there now."""
        while self._idle:
            self.discard(self._idle.pop())

    def lost(self, worker: WorkerProcess) -> None:
        """A worker that ended by itself; one that never got ready counts as a failed start."""
        worker.read_stderr()
        if worker.ready:
            worker.died_idle()
        else:
            self._count_failure(worker)
            self._last_words = worker.last_words
            _log.error("worker %d did not start: %s", worker.pid, worker.stderr_tail)
        self.discard(worker)

    def _count_failure(self, worker: WorkerProcess) -> None:
        """One that was starting when another failed may have died of the same cause, and tells nothing more."""
        if worker.started_at < self._failed_at:
            return
        self._failed_at = time.monotonic()
        self._failures += 1
        self._retry_at = self._failed_at + min(_BACKOFF_S * 2 ** min(self._failures, 10), _LONGEST_BACKOFF_S)

    def grow(self) -> None:
        """Keep the full crew from now on.

        Raises:
            Unavailable: `worker_start_failed`.
        """
        self._least = self._workers + self._spares
        self._fill()

    async def tend(self) -> None:
        """Bury the dead and keep spares ready, for ever."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            try:
                self._fill()
            except Unavailable as error:
                _log.error("no spare worker: %s", error.message)
            await self._bury()

    async def watch(self) -> None:
        """Kill workers whose deadline has passed, for ever.

        One clock for all calls: a timer for each would cost a tenth of a short call.
        """
        late = False
        while True:
            due = time.monotonic() + _TICK_S
            await anyio.sleep(_TICK_S)
            now = time.monotonic()
            # Where this process was held up itself, as by a flood, answers that came in time are read first.
            late = not late and now - due > _TICK_S
            if late:
                continue
            for worker in tuple(self._busy):
                worker.read_stderr()
                if worker.expire(now):
                    _log.warning("worker %d ran over its deadline and was killed", worker.pid)
            if not self._busy:
                self._employed, self._watched = anyio.Event(), False
                await self._employed.wait()

    async def close(self) -> None:
        """Kill everyone, wait for their ends, and start nobody any more."""
        self._closed = True
        for worker in (*self._idle, *self._busy):
            worker.kill()
            self._dead.append(worker)
        self._idle.clear()
        await self._bury()

    def _size(self) -> int:
        return len(self._idle) + len(self._busy)

    def _wanted(self) -> int:
        return max(self._least, min(self._workers, len(self._busy)) + self._spares)

    def _fill(self) -> None:
        # Not after a failed start: then only a call that needs a worker tries again.
        while self._size() < self._wanted() and self._failures == 0 and not self._closed:
            self._idle.append(self.hire())

    async def _bury(self) -> None:
        while self._dead:
            await self._dead.pop().reap()

    def _employ(self, worker: WorkerProcess) -> WorkerProcess:
        self._busy.add(worker)
        if not self._watched:
            self._watched = True
            self._employed.set()
        # A crew that is whole, as it is for most calls, lacks nobody.
        if len(self._busy) + len(self._idle) < self._most and self._size() < self._wanted():
            self._changed.set()
        return worker


def _cause(worker: WorkerProcess) -> str:
    if worker.overdue:
        return "deadline"
    if worker.alive():
        return "discarded"
    if not worker.ready:
        return "start_failed"
    return "out_of_memory" if worker.ran_out_of_memory else "crashed"
