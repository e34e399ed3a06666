"""One worker process, seen from the server: start, talk, kill, reap."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any, Self

import anyio

from tool_server.errors import CallFailed, InvalidInput, Unavailable
from tool_server.sandbox.exchange import SharedMemory, make_descriptor
from tool_server.sandbox.outcome import OUT_OF_MEMORY, without_paths
from tool_server.sandbox.programs import Loading
from tool_server.sandbox.protocol import MAX_BODY, Decoder, Frame, FrameType, encode_long
from tool_server.sandbox.settings import NO_FOLDERS, Profile, WorkerSetup

_log = logging.getLogger("tool_server.sandbox")

_READ = 2**16
"""Bytes asked for at once: larger ones would be allocated by mmap for every frame."""
WORKER_LOST = "the process that ran the plugin ended unexpectedly: the plugin crashed it, or it was killed"

_STDERR_KEPT = 4_096
_REAP_S = 10.0
_LAST_BREATH_S = 0.5
"""How long a worker that has closed its socket may take to end by itself."""
_OUT_OF_MEMORY = (
    *(b"memory allocation of", b"MemoryError", b"Cannot allocate memory"),
    *(b"Resource temporarily unavailable", b"Cannot allocate write+execute memory"),
)
"""How Rust, Python, the kernel and cffi word it; threads that cannot get their stack say the fourth."""


class WorkerProcess:
    """A child process and its socket. Whoever spawns one reaps it.

    What it may touch is settled when it starts, so it serves calls of one profile alone.

    The socket is watched by asyncio's own `add_reader` for as long as the process lives: registering a wait for every
    frame costs as much as a short call, and this way the end of an idle worker is seen when it happens.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        channel: socket.socket,
        exchange: SharedMemory | None,
        profile: Profile = NO_FOLDERS,
    ) -> None:
        self.profile = profile
        self._process = process
        self._socket = channel
        self._exchange = exchange
        self._decoder = Decoder(MAX_BODY, exchange)
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] | None = None
        """Set while somebody waits for a frame."""
        self._ended = False
        self._paused = False
        """Whether bytes came that nobody waits for; no more are read before somebody does."""
        self._loop.add_reader(channel, self._read)
        self._stderr = b""
        self.started_at = time.monotonic()
        self.ready = False
        """Whether it has said that it is confined and waiting."""
        self.loaded: set[int] = set()
        """Keys of programs it was given; it may have dropped some since."""
        self.last: Loading | None = None
        """The program of its last call."""
        self.deadline = float("inf")
        """When it is to be killed, on the monotonic clock."""
        self.overdue = False
        """Whether the deadline killed it."""
        self._killed = False
        self.left_unread = False
        """Whether it ended before it had read all that it was sent."""

    @classmethod
    def spawn(cls, setup: WorkerSetup, profile: Profile = NO_FOLDERS) -> Self:
        """Start a worker. Must be called from the event loop's own thread: the worker dies with that thread.

        Args:
            setup: how every worker of the pool is started.
            profile: the folders that it may see, beside the compile cache.

        Raises:
            Unavailable: `worker_start_failed`.
        """
        with ExitStack() as finally_, ExitStack() as on_error:
            try:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
                finally_.callback(theirs.close)
                on_error.callback(ours.close)
                shared, exchange = make_descriptor(), None
                if shared is not None:
                    finally_.callback(os.close, shared)
                    exchange = SharedMemory(shared, copying=True)
                    on_error.callback(exchange.close)
                argument = setup.argument(theirs.fileno(), shared, os.getpid(), profile)
                process = _start(setup, argument, theirs.fileno(), shared)
            except OSError as error:  # such as that no descriptors are left
                raise _cannot_start(error) from error
            on_error.pop_all()
            ours.setblocking(False)
            if process.stderr is not None:
                os.set_blocking(process.stderr.fileno(), False)
            return cls(process, ours, exchange, profile)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def stderr_tail(self) -> str:
        """The last of what it wrote to standard error, for operators."""
        return self._stderr.decode("utf-8", errors="replace").strip()

    @property
    def last_words(self) -> str:
        """The last line of that, for callers: no paths of this machine."""
        return without_paths(self.stderr_tail.rpartition("\n")[2])

    def alive(self) -> bool:
        """Whether an idle worker can still be used."""
        if not self.ready:
            return self._process.poll() is None
        return not self._ended and not self._paused

    def died_idle(self) -> None:
        """Note that it ended without a call: perhaps by a guest that it was starting ahead of one."""
        if self.last is not None and self.last.prepare:
            self.last.prepare = False
            _log.warning("worker %d ended without a call: its last program is not started early again", self.pid)

    def read_stderr(self) -> None:
        """Take note of what it wrote to standard error, so that the pipe never fills up."""
        pipe = self._process.stderr
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(pipe.fileno(), 65_536):
                self._stderr = (self._stderr + chunk)[-_STDERR_KEPT:]

    async def send(self, frame_type: FrameType, header: dict[str, Any], body: bytes = b"") -> None:
        """Write a frame, all of it.

        Raises:
            NotSentError: `worker_lost`; the worker never got the frame as a whole.
        """
        data = encode_long(frame_type, header, body, self._exchange)
        try:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent < len(data):
                await self._send_rest(memoryview(data)[sent:])
        except (OSError, anyio.ClosedResourceError) as error:
            raise NotSentError("worker_lost", WORKER_LOST) from error

    async def receive(self) -> Frame:
        """Wait for the next frame.

        Raises:
            CallFailed: `worker_lost`, also for bytes that are no frame.
        """
        if self._paused and not self._ended:
            self._paused = False
            self._loop.add_reader(self._socket, self._read)
        try:
            while not self._decoder.pending or (frame := self._decoder.next_frame()) is None:
                if self._ended:
                    raise worker_lost()
                self._arrival = self._loop.create_future()
                try:
                    await self._arrival
                finally:
                    self._arrival = None
        except InvalidInput as error:
            _log.error("worker %d sent what is no frame: %s", self.pid, error.message)
            raise worker_lost() from error
        return frame

    async def _send_rest(self, view: memoryview) -> None:
        while view:
            await anyio.wait_writable(self._socket)
            with contextlib.suppress(BlockingIOError):
                view = view[self._socket.send(view) :]

    def expire(self, now: float) -> bool:
        """Kill it when its deadline has passed; says whether it did."""
        if now < self.deadline or self.overdue:
            return False
        self.overdue = True
        self.kill()
        return True

    def kill(self) -> None:
        """SIGKILL to its whole session. It stays a zombie until `reap`."""
        if self._process.poll() is None:
            # One that closed its socket is ending already, of what somebody else did.
            self._killed = self._killed or not self._ended
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def reap(self) -> None:
        """Kill, wait for the end and close everything. Runs to its end even when cancelled."""
        with anyio.CancelScope(shield=True):
            if self._ended:
                # Its socket is closed before it is dead: a kill now would hide what it dies of.
                await self._wait(_LAST_BREATH_S)
            self.kill()
            if self._socket.fileno() >= 0:
                self._end()
                anyio.notify_closing(self._socket)
                self._socket.close()
                if self._exchange is not None:
                    self._exchange.close()
            if not await self._wait(_REAP_S):
                _log.error("worker %d does not die", self.pid)
        self.read_stderr()
        pipe = self._process.stderr
        if pipe is None or pipe.closed:
            return
        pipe.close()
        if self._stderr:
            _log.warning("worker %d wrote: %s", self.pid, self.stderr_tail)

    @property
    def ran_out_of_memory(self) -> bool:
        """After `reap`: whether the engine gave up because its memory limit was reached."""
        return any(words in self._stderr for words in _OUT_OF_MEMORY)

    @property
    def ran_out_of_cpu_time(self) -> bool:
        """After `reap`: whether the kernel ended it at its limit of CPU time."""
        return self._process.returncode == -signal.SIGXCPU

    @property
    def killed_from_outside(self) -> bool:
        """After `reap`: whether somebody else sent SIGKILL, such as the kernel when the machine is out of memory."""
        return self._process.returncode == -signal.SIGKILL and not self._killed

    def _read(self) -> None:
        """Called by the event loop when there are bytes, or none will come any more."""
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError as error:
            # The kernel says so where bytes of ours were never read.
            self.left_unread = isinstance(error, ConnectionResetError)
            data = b""
        if not data:
            self._end()
            return
        self._decoder.feed(data)
        if self._arrival is None:
            self._paused = True
            self._loop.remove_reader(self._socket)
        elif not self._arrival.done():
            self._arrival.set_result(None)

    def _end(self) -> None:
        self._ended = True
        self._loop.remove_reader(self._socket)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def _wait(self, seconds: float) -> bool:
        """Poll, in steps that grow: portable, and a killed process is gone within a millisecond or two.

        Returns whether it has ended in that time.
        """
        pause, give_up = 0.001, time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() > give_up:
                return False
            await anyio.sleep(pause)
            pause = min(pause * 2, 0.1)
        return True


def _cannot_start(error: OSError) -> Unavailable:
    return Unavailable("worker_start_failed", f"a worker process cannot be started: {error.strerror}")


def _start(setup: WorkerSetup, argument: str, channel: int, shared: int | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-S", "-P", "-s", "-m", setup.module, argument]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        cwd=setup.folder,
        env=setup.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(channel,) if shared is None else (channel, shared),
        close_fds=True,
        start_new_session=True,
    )


class NotSentError(CallFailed):
    """A worker was gone before it could have begun: what was to be sent may go to another one."""


def worker_lost() -> CallFailed:
    """The error of a call whose worker went away."""
    return CallFailed("worker_lost", WORKER_LOST)


async def crash_of(worker: WorkerProcess) -> CallFailed:
    """Why a worker went away in the middle of a call, after its end."""
    await worker.reap()
    if worker.ran_out_of_memory:
        return CallFailed("out_of_memory", OUT_OF_MEMORY)
    return worker_lost()
