"""One exchange with a validator process: hand over a task, supply what it lacks, read the answer."""

from __future__ import annotations

import json
import marshal
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tool_server.errors import CallFailed, InvalidInput, ToolServerError
from tool_server.model.tool import ToolDefinition
from tool_server.sandbox.process import WorkerProcess, worker_lost
from tool_server.sandbox.protocol import FrameType

START_S = 30.0

_ERRORS: dict[str, type[ToolServerError]] = {"InvalidInput": InvalidInput, "CallFailed": CallFailed}


@dataclass(frozen=True, slots=True)
class Task:
    """What a validator is asked.

    Args:
        name: `arguments`, `output` or `lint`.
        body: marshalled arguments, an output as it came, or the marshalled plugin and tools.
        seconds: the most it may take.
        limit: makes the error of a task that takes too much, from a clause that says of what.
        key: a number of its own for each tool.
        tool: the tool of that key.
        call: the call's id.
        progress: whether the call's client wants to be told of its progress.
    """

    name: str
    body: bytes
    seconds: float
    limit: Callable[[str], ToolServerError]
    key: int = 0
    tool: ToolDefinition | None = None
    call: str = ""
    progress: bool = False

    def too_slow(self) -> ToolServerError:
        """The error of a task that runs over its time."""
        return self.limit(f"takes longer than {self.seconds:g} s")


class Exchange:
    """One task and one validator; afterwards `finished` says whether the validator is at rest."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self.finished = False

    async def start(self) -> None:
        """Wait until a new validator is ready.

        Raises:
            CallFailed: `worker_lost`, it did not start.
        """
        self._worker.deadline = time.monotonic() + START_S
        if (await self._worker.receive()).type is not FrameType.READY:
            raise worker_lost()
        self._worker.ready = True

    async def run(self, task: Task) -> bytes:
        """The body of the answer.

        Raises:
            CallFailed: `worker_lost`, also when the deadline killed it.
            ToolServerError: what the task ended in.
        """
        worker = self._worker
        worker.deadline = time.monotonic() + task.seconds
        header = {
            "task": task.name,
            "key": task.key,
            "call": task.call,
            "progress": task.progress,
            "cpu_s": math.ceil(task.seconds),
        }
        await worker.send(FrameType.CALL, header, task.body)
        while True:
            frame = await worker.receive()
            if frame.type is FrameType.NEED and task.tool is not None:
                await worker.send(FrameType.LOAD, {}, marshal.dumps(fields_of(task.tool)))
                worker.loaded.add(task.key)
                continue
            if frame.type not in (FrameType.RESULT, FrameType.ERROR):
                raise worker_lost()
            worker.deadline = float("inf")
            self.finished = True
            if frame.type is FrameType.ERROR:
                raise _error(bytes(frame.body))
            return bytes(frame.body)


def fields_of(tool: ToolDefinition) -> dict[str, Any]:
    """A tool as a validator reads it: plain values, the schemas not copied, however large."""
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
        "annotations": tool.annotations.model_dump(),
        "examples": [example.model_dump(exclude_unset=True) for example in tool.examples],
        "source": tool.source.value,
        "binding": tool.binding.model_dump(mode="json"),
    }


def _error(body: bytes) -> ToolServerError:
    name, code, message, data = json.loads(body.decode("utf-8", "surrogatepass"))
    return _ERRORS.get(name, CallFailed)(code, message, data)
