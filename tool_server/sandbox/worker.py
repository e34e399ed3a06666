"""The worker process: `python -m tool_server.sandbox.worker SETUP`, a JSON object.

A blocking loop, one call in flight. It imports little (no pydantic, no event loop), since its start is what a caller
waits for after a kill.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import OrderedDict
from typing import Any

os.environ["RUST_BACKTRACE"] = "0"  # before the engine is loaded: backtraces made every call four times slower

import orjson

from tool_server.errors import ToolServerError
from tool_server.model.protection import Protection, ProtectionReport
from tool_server.sandbox.channel import Channel
from tool_server.sandbox.confinement import close_descriptors, confine
from tool_server.sandbox.confinement.limits import MemoryMeter, set_memory
from tool_server.sandbox.engine import CompiledGuest, Options, Progress, Request, Runner, free_instance
from tool_server.sandbox.folders import FolderTable
from tool_server.sandbox.guest_functions import CallContext
from tool_server.sandbox.instances import Instance, Instances
from tool_server.sandbox.protocol import Body, Frame, FrameType


class Worker:
    """Serves frames until the server is gone.

    Args:
        channel: to the server.
        compile_memory: private memory that this process may have while it compiles, bytes.
        loaded: how many compiled guests are kept, the least recently used going first.
        meter: tells the memory in use.
    """

    def __init__(self, channel: Channel, compile_memory: int, loaded: int, meter: MemoryMeter) -> None:
        self._meter = meter
        self._compile_memory = compile_memory
        self._channel = channel
        self._context = CallContext(channel.ask)
        self._runner = Runner(self._context)
        self._instances = Instances(self._context, self._runner, meter)
        self._loaded = loaded
        self._folders = FolderTable()
        self._guests: OrderedDict[int, CompiledGuest] = OrderedDict()
        self._memory = 0
        self._cpu_before = 0

    def serve(self, report: ProtectionReport) -> None:
        """Say which protections are in force, then answer LOAD and CALL for ever."""
        states = {str(name): [state.in_force, state.detail] for name, state in report.items()}
        self._channel.send(FrameType.READY, {"protections": states})
        while True:
            if self._instances.wanted and self._channel.idle():
                self._instances.prepare(self._guests)
                # What is held now is no part of what the next call may take.
                set_memory(self._meter.with_guest(self._memory))
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
        os.environ["EXTISM_CACHE_CONFIG"] = header["cache"]  # the engine looks there whenever it compiles
        try:
            guest = CompiledGuest(self._context, bytes(frame.body), options, self._folders)
        except ToolServerError as failure:
            self._send_failure(failure)
            return False
        self._keep(header["key"], guest)
        self._channel.send(FrameType.LOADED, {"us": int((time.perf_counter() - started) * 1e6)})
        if header["instantiate"]:
            self._try_out(guest)
        return True

    def _allow_memory(self, guest_bytes: int) -> None:
        set_memory(self._meter.with_guest(guest_bytes))
        self._memory = guest_bytes

    def _try_out(self, guest: CompiledGuest) -> None:
        self._allow_memory(guest.options.memory)
        try:
            free_instance(guest.instantiate())
        except ToolServerError as failure:
            self._send_failure(failure)
        else:
            self._channel.send(FrameType.RESULT)

    def _send_failure(self, failure: ToolServerError) -> None:
        self._channel.send(FrameType.ERROR, {"code": failure.code, "message": failure.message})

    def _keep(self, key: int, guest: CompiledGuest) -> None:
        self._drop(key)
        while len(self._guests) >= self._loaded:
            self._drop(next(iter(self._guests)))
        self._guests[key] = guest

    def _drop(self, key: int) -> None:
        if (guest := self._guests.pop(key, None)) is not None:
            self._instances.drop(key)
            guest.close()

    def _call(self, frame: Frame) -> None:
        header, data = frame.header, frame.body
        key = header["key"]
        self._cpu_before = time.process_time_ns()
        if key not in self._guests:
            data = bytes(data)  # the module may come through the same memory
            self._channel.send(FrameType.NEED)
            if not self._load(self._channel.receive()):
                return
        self._guests.move_to_end(key)
        self._serve(key, header, data)

    def _serve(self, key: int, header: dict[str, Any], data: Body) -> None:
        guest, config, owner = self._guests[key], header["config"], header["owner"]
        # What is in use is looked up only where the limit changes: most calls follow one of the same program.
        if guest.options.memory != self._memory:
            self._allow_memory(guest.options.memory)
        self._context.begin(config)
        progress = Progress()
        instance = self._instances.take(key, owner, config, prepare=header["prepare"])
        request = Request(header["export"], data, header["output_bytes"])
        try:
            if instance is None:
                started = time.perf_counter()
                instance = Instance(self._runner.instantiate(guest, config), config)
                progress.instantiate_us = int((time.perf_counter() - started) * 1e6)
            output = self._runner.run(guest, instance.handle, request, progress)
        except ToolServerError as failure:
            self._answer(FrameType.ERROR, {"code": failure.code, "message": failure.message}, b"", progress)
            owner = ""
        else:
            self._answer(FrameType.RESULT, {}, output, progress)
        # Only now, while the answer is on its way: freeing takes a fifth of a short call.
        if instance is not None:
            if owner and progress.reusable:
                self._instances.keep(key, owner, instance)
            else:
                free_instance(instance.handle)
        if not progress.reusable:
            self._drop(key)

    def _answer(self, ending: FrameType, outcome: dict[str, Any], output: Body, progress: Progress) -> None:
        cpu_us = (time.process_time_ns() - self._cpu_before) // 1_000
        outcome["us"] = [progress.instantiate_us, progress.run_us, cpu_us]
        context = self._context
        if context.lines or context.dropped:
            self._channel.send(FrameType.LOG, {"lines": context.lines, "dropped": context.dropped})
        self._channel.send(ending, outcome, output)
        # Sending wakes the server on this very core, in the belief that this process is going to wait.
        os.sched_yield()


def main(arguments: list[str]) -> None:
    """Confine this process, then serve."""
    setup = orjson.loads(arguments[0])
    channel, meter = Channel(setup["channel"], setup["shared"]), MemoryMeter()
    close_descriptors(setup["channel"], meter.descriptor)
    worker = Worker(channel, setup["compile_memory"], setup["loaded"], meter)
    report = confine(
        setup["parent"],
        setup["memory_bytes"],
        protections=frozenset(Protection(name) for name in setup["protections"]),
        read_folders=setup["read_folders"],
        write_folders=setup["write_folders"],
    )
    os.environ.clear()
    # Calls leave no cycles behind: what the collector would look through is modules alone.
    gc.freeze()
    gc.set_threshold(50_000)
    worker.serve(report)


if __name__ == "__main__":
    main(sys.argv[1:])
