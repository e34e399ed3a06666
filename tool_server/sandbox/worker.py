"""The worker process: `python -m tool_server.sandbox.worker SOCKET PARENT MEMORY COMPILE_MEMORY LOADED`.

A blocking loop, one call in flight. It imports little (no pydantic, no event loop), since its start is what a caller
waits for after a kill.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from collections import OrderedDict
from typing import Any

os.environ["RUST_BACKTRACE"] = "0"  # before the engine is loaded: backtraces made every call four times slower

from tool_server.errors import ToolServerError
from tool_server.sandbox.confinement import confine, memory_with, set_memory
from tool_server.sandbox.engine import CompiledGuest, Options, Progress, Runner, free_instance
from tool_server.sandbox.guest_functions import CallContext
from tool_server.sandbox.protocol import MAX_MODULE, Decoder, Frame, FrameType, encode

_READ = 2**16
"""Bytes asked for at once: larger ones would be allocated by mmap for every frame."""


class Channel:
    """The worker's end of the socket. The process ends when the server closes its own."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._decoder = Decoder(MAX_MODULE)

    def send(self, data: bytes) -> None:
        """Write all of it."""
        try:
            self._socket.sendall(data)
        except OSError:
            os._exit(0)

    def receive(self) -> Frame:
        """Wait for the next frame."""
        while (frame := self._decoder.next_frame()) is None:
            try:
                data = self._socket.recv(_READ)
            except OSError:
                os._exit(0)
            if not data:
                os._exit(0)
            self._decoder.feed(data)
        return frame

    def ask(self, header: dict[str, Any], body: bytes) -> Frame:
        """One host call."""
        self.send(encode(FrameType.HOST_CALL, header, body))
        return self.receive()


class Worker:
    """Serves frames until the server is gone.

    Args:
        channel: to the server.
        compile_memory: private memory that this process may have while it compiles, bytes.
        loaded: how many compiled guests are kept, the least recently used going first.
    """

    def __init__(self, channel: Channel, compile_memory: int, loaded: int) -> None:
        self._compile_memory = compile_memory
        self._channel = channel
        self._context = CallContext(channel.ask)
        self._runner = Runner(self._context)
        self._loaded = loaded
        self._guests: OrderedDict[int, CompiledGuest] = OrderedDict()
        self._memory = 0
        self._cpu_before = 0

    def serve(self) -> None:
        """Answer LOAD and CALL for ever."""
        self._channel.send(encode(FrameType.READY))
        while True:
            frame = self._channel.receive()
            if frame.type is FrameType.CALL:
                self._call(frame)
            elif frame.type is FrameType.LOAD:
                self._load(frame)
            else:
                os._exit(1)

    def _load(self, frame: Frame) -> bool:
        header, started = frame.header, time.perf_counter()
        options = Options(**{field: header[field] for field in Options.__match_args__})
        set_memory(self._compile_memory)
        self._memory = 0
        self._context.begin({})
        try:
            guest = CompiledGuest(self._context, frame.body, options)
        except ToolServerError as failure:
            self._send_failure(failure)
            return False
        self._keep(header["key"], guest)
        self._channel.send(encode(FrameType.LOADED, {"us": int((time.perf_counter() - started) * 1e6)}))
        if header["instantiate"]:
            self._try_out(guest)
        return True

    def _allow_memory(self, guest_bytes: int) -> None:
        # What is in use is looked up only where the limit changes: most calls follow one of the same program.
        if guest_bytes != self._memory:
            set_memory(memory_with(guest_bytes))
            self._memory = guest_bytes

    def _try_out(self, guest: CompiledGuest) -> None:
        self._allow_memory(guest.options.memory)
        try:
            free_instance(guest.instantiate())
        except ToolServerError as failure:
            self._send_failure(failure)
        else:
            self._channel.send(encode(FrameType.RESULT))

    def _send_failure(self, failure: ToolServerError) -> None:
        self._channel.send(encode(FrameType.ERROR, {"code": failure.code, "message": failure.message}))

    def _keep(self, key: int, guest: CompiledGuest) -> None:
        self._drop(key)
        while len(self._guests) >= self._loaded:
            self._drop(next(iter(self._guests)))
        self._guests[key] = guest

    def _drop(self, key: int) -> None:
        if (guest := self._guests.pop(key, None)) is not None:
            guest.close()

    def _call(self, frame: Frame) -> None:
        header = frame.header
        key = header["key"]
        self._cpu_before = time.process_time_ns()
        if key not in self._guests:
            self._channel.send(encode(FrameType.NEED))
            if not self._load(self._channel.receive()):
                return
        self._guests.move_to_end(key)
        progress = Progress()
        self._channel.send(self._run(self._guests[key], header, frame.body, progress))
        # Only now, while the answer is on its way: freeing takes a fifth of a short call.
        self._runner.finish()
        if not progress.reusable:
            self._drop(key)

    def _run(self, guest: CompiledGuest, header: dict[str, Any], data: bytes, progress: Progress) -> bytes:
        context = self._context
        self._allow_memory(guest.options.memory)
        context.begin(header["config"])
        try:
            output = self._runner.run(guest, header["export"], data, header["output_bytes"], progress)
            ending, outcome = FrameType.RESULT, dict[str, Any]()
        except ToolServerError as failure:
            output = b""
            ending, outcome = FrameType.ERROR, {"code": failure.code, "message": failure.message}
        cpu_us = (time.process_time_ns() - self._cpu_before) // 1_000
        outcome |= {"instantiate_us": progress.instantiate_us, "run_us": progress.run_us, "cpu_us": cpu_us}
        answer = encode(ending, outcome, output)
        if context.lines or context.dropped:
            return encode(FrameType.LOG, {"lines": context.lines, "dropped": context.dropped}) + answer
        return answer


def main(arguments: list[str]) -> None:
    """Confine this process, then serve."""
    descriptor, parent, memory_bytes, compile_memory, loaded = (int(argument) for argument in arguments)
    confine(parent, memory_bytes)
    # Calls leave no cycles behind: what the collector would look through is modules alone.
    gc.freeze()
    gc.set_threshold(50_000)
    Worker(Channel(descriptor), compile_memory, loaded).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
