"""One exchange with one worker: the frames of a start, a trial load, or a call with its host calls."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from tool_server.errors import CallFailed, InvalidInput, ToolServerError, Unavailable
from tool_server.model.call import Call, GuestOutput, Timings
from tool_server.sandbox.folders import FOLDER_UNAVAILABLE
from tool_server.sandbox.guest_log import forward_log
from tool_server.sandbox.host_calls import MAX_ERROR, HostCall, HostFunctions
from tool_server.sandbox.outcome import STORAGE_ERROR
from tool_server.sandbox.process import WORKER_LOST, NotSentError, WorkerProcess, worker_lost
from tool_server.sandbox.programs import Loading
from tool_server.sandbox.protocol import Frame, FrameType

START_S = 30.0
GRACE_S = 0.25
"""How much longer than the guest's own timeout the server waits before it kills."""

_LONGEST_US = 2**53
"""The database counts that far, and so does everybody who reads JSON."""

_CALL_CODES = frozenset(
    {
        *("guest_error", "trap", "timeout", "out_of_memory", "out_of_fuel"),
        *("output_too_large", "missing_export", "host_function"),
    }
)

ArtifactReader = Callable[[str], Awaitable[bytes]]
"""Gives the wasm bytes of a digest."""


@dataclass(frozen=True, slots=True)
class Services:
    """What an exchange may turn to."""

    read_artifact: ArtifactReader
    host_functions: HostFunctions
    compile_timeout_s: float
    ensure_compiled: Callable[[Loading, bytes], Awaitable[None]]
    """Compiles a program, in a process of its own, unless its compiled code is there."""
    admit: Callable[[Mapping[str, Any]], None]
    """Judges a worker by the header of its READY frame; raises `Unavailable` where a protection is missing."""


class Session:
    """An exchange; afterwards `finished` says whether the worker is at rest and may be used again."""

    __slots__ = ("_services", "_worker", "begun", "cpu_s", "finished", "supplied")

    def __init__(self, worker: WorkerProcess, services: Services) -> None:
        self._worker = worker
        self._services = services
        self.finished = False
        self.begun = False
        """Whether the worker has answered, so that the guest may have run."""
        self.supplied = False
        """Whether the worker had to be given the program first."""
        self.cpu_s: float | None = None
        """CPU that the worker says it spent on the call; None where it was not asked or did not live to say."""

    async def start(self) -> None:
        """Wait until a new worker is ready.

        Raises:
            CallFailed: `worker_lost`, it did not start.
            Unavailable: `protection_missing`.
        """
        if not self._worker.ready:
            self._allow(START_S)
            frame = await self._worker.receive()
            if frame.type is not FrameType.READY:
                raise worker_lost()
            self._services.admit(frame.header)
            self._worker.ready = True

    async def compile(self, loading: Loading, wasm: bytes) -> None:
        """Compile a module, running nothing of it.

        Raises:
            InvalidInput: `invalid_wasm`; `compile_limit` for the time limit.
            Unavailable: `storage_error`.
            CallFailed: `worker_lost`.
        """
        await self._compile(loading, wasm, instantiate=False)
        self._rest()

    async def load(self, loading: Loading, wasm: bytes) -> None:
        """Load a module, then make one instance as a trial.

        Raises:
            InvalidInput: `invalid_wasm`; `compile_limit` for the time limit.
            CallFailed: `worker_lost`.
        """
        await self._compile(loading, wasm, instantiate=True)
        milliseconds = loading.limits.timeout_ms
        self._allow(milliseconds / 1000 + GRACE_S)
        hanging = InvalidInput("invalid_wasm", f"the module's start function did not finish within {milliseconds} ms")
        ending = await self._receive(hanging)
        if ending.type is FrameType.ERROR:
            raise InvalidInput("invalid_wasm", _text(ending.header, "message"))
        if ending.type is not FrameType.RESULT:
            raise worker_lost()
        self._rest()

    async def _compile(self, loading: Loading, wasm: bytes, *, instantiate: bool) -> None:
        seconds = self._services.compile_timeout_s
        self._allow(seconds)
        await self._worker.send(FrameType.LOAD, loading.header(instantiate=instantiate), wasm)
        too_slow = InvalidInput("compile_limit", f"compiling the module took longer than {seconds:g} s")
        self._expect_loaded(await self._receive(too_slow), loading)

    async def call(self, call: Call, loading: Loading, queue_us: int = 0) -> GuestOutput:
        """Run a call, loading the program first when the worker does not hold it.

        `queue_us` is only passed on to the output's timings.

        Raises:
            CallFailed: see its codes.
            Unavailable: `folder_unavailable`, `storage_error`; the worker is of no use any more.
            ToolServerError: what the artifact reader raises.
        """
        worker, milliseconds = self._worker, call.limits.timeout_ms
        worker.deadline = time.monotonic() + milliseconds / 1000 + GRACE_S
        header = {
            "key": loading.key,
            "export": call.export,
            "config": call.config,
            "output_bytes": call.limits.output_bytes,
            "owner": call.caller if call.reuse else "",
            "prepare": loading.prepare,
        }
        await worker.send(FrameType.CALL, header, call.input)
        load_us = 0
        while True:
            try:
                frame = await worker.receive()
            except CallFailed:
                raise self._loss(milliseconds) from None
            if not self.begun:
                self.begun = True
                worker.last = loading
            if frame.type is FrameType.RESULT:
                return self._output(call, frame, queue_us, load_us)
            if frame.type is FrameType.ERROR:
                if "us" in frame.header:  # not where the program could not be loaded
                    self.cpu_s = _microseconds(frame.header)[2] / 1e6
                _refuse_folders(frame.header)
                self._rest()
                raise _call_failed(frame.header, milliseconds)
            if frame.type is FrameType.LOG:
                forward_log(call, frame.header)
            elif frame.type is FrameType.HOST_CALL:
                await self._answer(call, frame)
            elif frame.type is FrameType.NEED:
                load_us += await self._supply(loading, milliseconds)
                self._allow(milliseconds / 1000 + GRACE_S)
            else:
                raise worker_lost()

    async def _supply(self, loading: Loading, milliseconds: int) -> int:
        """Send the module that the worker needs; microseconds it took to load."""
        seconds = self._services.compile_timeout_s
        self.supplied = True
        self._allow(seconds)
        started = time.monotonic()
        too_slow = CallFailed("timeout", f"loading the plugin took longer than {seconds:g} s")
        wasm: bytes | None = None
        with anyio.move_on_after(seconds):
            wasm = await self._services.read_artifact(loading.program.digest)
        if wasm is None:
            raise too_slow
        self._worker.deadline = float("inf")  # it waits for the one that compiles, which has a deadline of its own
        try:
            await self._services.ensure_compiled(loading, wasm)
            self._allow(seconds)
            await self._send(FrameType.LOAD, loading.header(), wasm, milliseconds)
            self._expect_loaded(await self._receive(too_slow), loading)
        except InvalidInput as error:  # no mistake of this call's: the module was accepted when it was published
            raise CallFailed("trap", f"the plugin cannot be loaded any more: {error.message}") from error
        return int((time.monotonic() - started) * 1e6)

    def _loss(self, milliseconds: int) -> CallFailed:
        """Why the worker of a call went away."""
        if self._worker.overdue:
            return _timeout(milliseconds)
        if self._worker.left_unread and not self.begun:
            self._worker.died_idle()
            return NotSentError("worker_lost", WORKER_LOST)
        return worker_lost()

    async def _answer(self, call: Call, frame: Frame) -> None:
        header: dict[str, Any]
        data = b""
        deadline = self._worker.deadline - GRACE_S
        with anyio.move_on_at(anyio.current_time() + self._worker.deadline - time.monotonic()):
            try:
                question = HostCall.from_frame(call, frame.header, bytes(frame.body), deadline)
                reply = await self._services.host_functions.answer(question)
                header, data = reply.header(), reply.data
            except ToolServerError as error:
                header = {"error": error.message[:MAX_ERROR]}
            # What comes too late must not be weighed against the guest's own timer, whichever fires first.
            if time.monotonic() < deadline:
                await self._send(FrameType.HOST_RESULT, header, data, call.limits.timeout_ms)
                return
        self._worker.expire(float("inf"))
        raise _timeout(call.limits.timeout_ms)

    async def _send(self, frame_type: FrameType, header: dict[str, Any], body: bytes, milliseconds: int) -> None:
        try:
            await self._worker.send(frame_type, header, body)
        except CallFailed:
            if self._worker.overdue:
                raise _timeout(milliseconds) from None
            raise

    async def _receive(self, too_late: ToolServerError) -> Frame:
        try:
            return await self._worker.receive()
        except CallFailed:
            if self._worker.overdue:
                raise too_late from None
            raise

    def _expect_loaded(self, frame: Frame, loading: Loading) -> None:
        if frame.type is FrameType.ERROR:
            _refuse_folders(frame.header)
            # A worker sees the cache's folder that was there when it started: only a new one sees another.
            if frame.header.get("code") == STORAGE_ERROR:
                raise Unavailable(STORAGE_ERROR, _text(frame.header, "message"), {"retry_after_ms": 1_000})
            self._rest()
            code = "compile_limit" if frame.header.get("code") == "compile_limit" else "invalid_wasm"
            raise InvalidInput(code, _text(frame.header, "message"))
        if frame.type is not FrameType.LOADED:
            raise worker_lost()
        self._worker.loaded.add(loading.key)

    def _output(self, call: Call, frame: Frame, queue_us: int, load_us: int) -> GuestOutput:
        limit, body = call.limits.output_bytes, frame.body
        if len(body) > limit:  # the worker checks too, but a guest may have taken the worker over
            raise CallFailed("output_too_large", f"the plugin answered {len(body)} bytes; at most {limit} are accepted")
        self._rest()
        instantiate_us, run_us, cpu_us = _microseconds(frame.header)
        self.cpu_s = cpu_us / 1e6
        return GuestOutput(bytes(body), Timings(queue_us, load_us + instantiate_us, run_us))

    def _allow(self, seconds: float) -> None:
        self._worker.deadline = time.monotonic() + seconds

    def _rest(self) -> None:
        self._worker.deadline = float("inf")
        self.finished = True


def _call_failed(header: dict[str, Any], timeout_ms: int) -> CallFailed:
    code, message = _text(header, "code"), _text(header, "message")
    if code == "timeout":
        return _timeout(timeout_ms)
    return CallFailed(code if code in _CALL_CODES else "trap", message)


def _timeout(milliseconds: int) -> CallFailed:
    return CallFailed("timeout", f"the plugin did not finish within {milliseconds} ms")


def _refuse_folders(header: dict[str, Any]) -> None:
    # A worker is given its folders when it starts: only a new one can have those that are there now.
    if header.get("code") == FOLDER_UNAVAILABLE:
        raise Unavailable(FOLDER_UNAVAILABLE, _text(header, "message"), {"retry_after_ms": 1_000})


def _text(header: dict[str, Any], name: str) -> str:
    value = header.get(name)
    return value[:16_384] if isinstance(value, str) else "unknown"


def _microseconds(header: dict[str, Any]) -> tuple[int, int, int]:
    """What a worker says to have spent on making the instance, running it, and CPU; nothing where that is nonsense."""
    match header.get("us"):
        case [int(instantiating), int(running), int(cpu)] if (
            0 <= instantiating < _LONGEST_US and 0 <= running < _LONGEST_US and 0 <= cpu < _LONGEST_US
        ):
            return instantiating, running, cpu
        case _:
            return 0, 0, 0
