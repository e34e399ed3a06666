"""What was called lately, with all that a call needs: bounded in number and in size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from tool_server.model.catalog import OfferedTool
from tool_server.model.item_kind import OfferedItem

MAX_ENTRIES = 4_096
MAX_SIZE = 6 * 2**20
"""Bytes of definitions as JSON. Parsed, with compiled validators, they take about twenty times as many."""


Offered = TypeVar("Offered", OfferedTool, OfferedItem)
Entry = TypeVar("Entry")


class EntryCache(Generic[Offered, Entry]):
    """Least recently used entries go first; the one added last always stays.

    An entry belongs to one `OfferedTool` or `OfferedItem`, the very object: after a change of its plugin there is
    another.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_size: int = MAX_SIZE) -> None:
        self._max_entries = max_entries
        self._max_size = max_size
        self._size = 0
        self._entries: OrderedDict[str, tuple[Offered, Entry, int]] = OrderedDict()

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._entries)

    def get(self, tool: Offered) -> Entry | None:
        """The entry of a tool or item, where it is here."""
        found = self._entries.get(tool.name)
        if found is None or found[0] is not tool:
            return None
        self._entries.move_to_end(tool.name)
        return found[1]

    def add(self, tool: Offered, entry: Entry, size: int) -> Entry:
        """Keep an entry of `size` bytes; where the tool has one already, that one stays. Returns what is kept."""
        known = self.get(tool)
        if known is not None:
            return known
        self._remove(tool.name)
        self._entries[tool.name] = (tool, entry, size)
        self._size += size
        while len(self._entries) > 1 and (len(self._entries) > self._max_entries or self._size > self._max_size):
            self._remove(next(iter(self._entries)))
        return entry

    def keep(self, find: Callable[[str], Offered | None]) -> None:
        """Forget the entries of what is not offered any more as it was, by what is found under its name now."""
        for name, (tool, _, _) in list(self._entries.items()):
            if find(name) is not tool:
                self._remove(name)

    def _remove(self, name: str) -> None:
        found = self._entries.pop(name, None)
        if found is not None:
            self._size -= found[2]
