"""Instances made ahead of the calls that will use them, and those an operator allows to be used again.

A worker makes them while it has nothing else to do. Every one serves a single call, unless its tool may keep its
instance: then it goes on to the next call of the same caller, until any of them fails.
"""

from __future__ import annotations

import signal
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tool_server.errors import ToolServerError
from tool_server.sandbox.capi import lib, text_of
from tool_server.sandbox.confinement.limits import MemoryMeter
from tool_server.sandbox.engine import CompiledGuest, Runner, free_instance
from tool_server.sandbox.guest_functions import CallContext

KEPT, KEPT_BYTES = 8, 128 * 2**20
"""Instances that a worker holds at most, and their private memory; the least recently used goes first."""
_HOT = 2
"""Calls of a program by which a worker expects more of them."""
_LONGEST_S = 0.25
"""What a guest's own start may take while nobody waits for it. The worker ends when it takes longer."""
_NO_EXPORT, _NOT_FOUND = b"tool-server: make ready", b"Function not found"
"""An export that there is not: asking for it makes Extism start the guest, which it otherwise does at the call, and
answer with these words. See `raw_call` in https://github.com/extism/extism/blob/main/runtime/src/plugin.rs
"""


@dataclass(slots=True)
class Instance:
    """A live instance, to be used by one caller with one configuration."""

    handle: Any
    config: Mapping[str, str]
    bytes: int = 0
    """Private memory that holding it takes."""


@dataclass(slots=True)
class _Heat:
    """How a program has been called."""

    calls: int = 0
    config: Mapping[str, str] | None = None
    refused: bool = False
    """Whether making it ready failed, or asked something of the server: then its calls start it themselves."""


_Key = tuple[int, str]
"""A program's key, and the caller who may use it again (empty: any caller, once)."""


class Instances:
    """What a worker holds beside its compiled guests.

    Args:
        context: shared with the host functions of every compiled guest.
        runner: makes the instances.
        meter: tells the memory in use.
    """

    def __init__(self, context: CallContext, runner: Runner, meter: MemoryMeter) -> None:
        self._context = context
        self._meter = meter
        self._runner = runner
        self._held: OrderedDict[_Key, Instance] = OrderedDict()
        self._heat: dict[int, _Heat] = {}
        self._wanted: int | None = None

    def take(self, key: int, owner: str, config: Mapping[str, str], *, prepare: bool) -> Instance | None:
        """An instance for this call, the caller's own where there is one, or None.

        Without `prepare` none is made ready for the next one.
        """
        heat = self._heat.get(key)
        if heat is None:
            heat = self._heat[key] = _Heat()
        heat.calls += 1
        heat.config = config
        if prepare and heat.calls >= _HOT and not heat.refused:
            self._wanted = key
        for name in (owner, "") if owner else ("",):
            instance = self._held.pop((key, name), None)
            if instance is not None:
                if instance.config == config:
                    return instance
                free_instance(instance.handle)
        return None

    def keep(self, key: int, owner: str, instance: Instance) -> None:
        """Hold an instance for the next call, of this owner alone where one is named."""
        self._free((key, owner))
        self._held[key, owner] = instance
        while len(self._held) > KEPT or sum(held.bytes for held in self._held.values()) > KEPT_BYTES:
            self._free(next(iter(self._held)))

    def drop(self, key: int) -> None:
        """Free what belongs to a program, before its compiled code goes."""
        for held in [held for held in self._held if held[0] == key]:
            self._free(held)
        self._heat.pop(key, None)
        if self._wanted == key:
            self._wanted = None

    @property
    def wanted(self) -> bool:
        """Whether `prepare` has something to do."""
        return self._wanted is not None

    def prepare(self, guests: Mapping[int, CompiledGuest]) -> None:
        """Make the program that was called last ready for its next call."""
        key, self._wanted = self._wanted, None
        if key is None or (key, "") in self._held or key not in guests:
            return
        heat = self._heat[key]
        before = self._meter.in_use()
        instance = self._start(guests[key], heat.config or {})
        if instance is not None:
            instance.bytes = max(0, self._meter.in_use() - before)
            self.keep(key, "", instance)
        heat.refused = (key, "") not in self._held

    def _start(self, guest: CompiledGuest, config: Mapping[str, str]) -> Instance | None:
        # The guest's own code may run here, while the server sees an idle worker: nothing it asks is answered, and
        # when it does not come to an end the process does. A call that waits for it then goes to another worker.
        self._context.begin(config, called=False)
        signal.setitimer(signal.ITIMER_REAL, _LONGEST_S)
        try:
            handle = self._runner.instantiate(guest, config)
            lib.extism_plugin_call(handle, _NO_EXPORT, b"", 0)
        except ToolServerError:
            return None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if self._context.error is None and text_of(lib.extism_plugin_error(handle)).startswith(_NOT_FOUND):
            return Instance(handle, config)
        free_instance(handle)
        return None

    def _free(self, key: _Key) -> None:
        instance = self._held.pop(key, None)
        if instance is not None:
            free_instance(instance.handle)
