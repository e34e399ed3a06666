"""The tools that were called lately, with all that a call needs: bounded in number and in size."""

from __future__ import annotations

from collections import OrderedDict

from tool_server.model.catalog import Catalog, CatalogEntry, OfferedTool

MAX_ENTRIES = 4_096
MAX_SIZE = 6 * 2**20
"""Bytes of definitions as JSON. Parsed, with compiled validators, they take about twenty times as many."""


class EntryCache:
    """Least recently used entries go first; the one added last always stays.

    An entry belongs to one `OfferedTool`, the very object: after a change of its plugin there is another.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_size: int = MAX_SIZE) -> None:
        self._max_entries = max_entries
        self._max_size = max_size
        self._size = 0
        self._entries: OrderedDict[str, tuple[OfferedTool, CatalogEntry, int]] = OrderedDict()

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._entries)

    def get(self, tool: OfferedTool) -> CatalogEntry | None:
        """The entry of a tool, where it is here."""
        found = self._entries.get(tool.name)
        if found is None or found[0] is not tool:
            return None
        self._entries.move_to_end(tool.name)
        return found[1]

    def add(self, tool: OfferedTool, entry: CatalogEntry, size: int) -> CatalogEntry:
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

    def keep(self, catalog: Catalog) -> None:
        """Forget the entries of tools that are not offered any more as they were."""
        for name, (tool, _, _) in list(self._entries.items()):
            if catalog.find(name) is not tool:
                self._remove(name)

    def _remove(self, name: str) -> None:
        found = self._entries.pop(name, None)
        if found is not None:
            self._size -= found[2]
