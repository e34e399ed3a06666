"""The validator process: `python -m tool_server.sandbox.validator SETUP`, a JSON object.

It does for the server what takes long on hostile schemas and values: compile schemas, check arguments and results,
lint tools. A blocking loop, one task in flight, under limits on memory and on the CPU time of each task. No guest's
code runs here, only guests' data.

The server's requests are marshalled Python values, which is the fastest way to hand over large ones. Answers are JSON,
since marshalled values are not safe to read for a server that should not trust them.
"""

from __future__ import annotations

import gc
import json
import marshal
import os
import resource
import sys
from collections import OrderedDict
from typing import Any

from tool_server.errors import ToolServerError
from tool_server.inspection.checked_tool import CheckedTool
from tool_server.inspection.lint import lint_tool
from tool_server.model.call import ToolResult
from tool_server.model.protection import Protection
from tool_server.model.tool import ToolDefinition
from tool_server.sandbox.channel import Channel
from tool_server.sandbox.confinement import close_descriptors, confine
from tool_server.sandbox.protocol import Body, Frame, FrameType

_NICENESS = 10


class Validator:
    """Serves frames until the server is gone.

    Frames as for workers: LOAD holds a tool; CALL names a task in its header, `arguments` or `output` for a loaded
    tool, or `lint`. RESULT and ERROR end it. What this process does not hold it asks for with NEED.

    Args:
        channel: to the server.
        kept: tools that stay compiled, the least recently used going first.
    """

    def __init__(self, channel: Channel, kept: int) -> None:
        self._channel = channel
        self._kept = kept
        self._tools: OrderedDict[int, CheckedTool] = OrderedDict()

    def serve(self) -> None:
        """One frame after another, for ever."""
        self._channel.send(FrameType.READY)
        while True:
            frame = self._channel.receive()
            _allow_cpu(frame.header["cpu_s"])
            try:
                ending, answer = FrameType.RESULT, self._run(frame)
            except ToolServerError as error:
                words = json.dumps([type(error).__name__, error.code, error.message, error.data])
                ending, answer = FrameType.ERROR, words.encode()
            self._channel.send(ending, {}, answer)
            gc.collect(0)

    def _run(self, frame: Frame) -> bytes:
        match frame.header["task"]:
            case "arguments":
                arguments: Any = _loaded(frame.body)
                return self._tool(frame.header["key"]).encode(arguments, frame.header["call"], frame.header["progress"])
            case "output":
                data = bytes(frame.body)  # before the tool, which may come through the same memory
                return _written(self._tool(frame.header["key"]).decode(data))
            case _:
                return _linted(frame.body)

    def _tool(self, key: int) -> CheckedTool:
        tool = self._tools.get(key)
        if tool is None:
            self._channel.send(FrameType.NEED)
            while len(self._tools) >= self._kept:
                self._tools.popitem(last=False)
            definition = ToolDefinition.model_validate(_loaded(self._channel.receive().body))
            tool = self._tools[key] = CheckedTool(definition)
        self._tools.move_to_end(key)
        return tool


def _loaded(body: Body) -> Any:
    return marshal.loads(body)  # noqa: S302 - written by the server that started this process


def _written(result: ToolResult) -> bytes:
    parts = [list(result.content), result.structured, result.is_error, result.meta]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _linted(body: Body) -> bytes:
    plugin, tools = _loaded(body)
    findings = [finding for tool in tools for finding in lint_tool(plugin, ToolDefinition.model_validate(tool))]
    return json.dumps([finding.model_dump(mode="json") for finding in findings]).encode()


def _allow_cpu(seconds: int) -> None:
    """Let this process use so many further seconds of CPU time before the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def main(arguments: list[str]) -> None:
    """Confine this process, then serve."""
    setup = json.loads(arguments[0])
    channel = Channel(setup["channel"], setup["shared"])
    close_descriptors(setup["channel"])
    # Calls that need no such check go first.
    os.nice(_NICENESS)
    confine(
        setup["parent"],
        setup["memory_bytes"],
        protections=frozenset(Protection(name) for name in setup["protections"]),
        read_folders=setup["read_folders"],
    )
    # Values are trees without cycles: the collector would only look through them again and again while they grow.
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    Validator(channel, setup["loaded"]).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
