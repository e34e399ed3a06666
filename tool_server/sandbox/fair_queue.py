"""A bounded queue that serves callers in turn, each caller's items in their order."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Round robin over callers, first in first out within one: a flood from one caller delays no other.

    Args:
        bound: most items in all.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._callers: OrderedDict[str, deque[Item]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, caller: str, item: Item) -> bool:
        """Add at the end of the caller's own line; False when the queue is full."""
        if self._size >= self._bound:
            return False
        self._callers.setdefault(caller, deque()).append(item)
        self._size += 1
        return True

    def pop(self) -> Item | None:
        """The next item, whose caller then goes to the end of the round; None when empty."""
        if not self._callers:
            return None
        caller, items = next(iter(self._callers.items()))
        item = items.popleft()
        self._size -= 1
        if items:
            self._callers.move_to_end(caller)
        else:
            del self._callers[caller]
        return item

    def remove(self, caller: str, item: Item) -> bool:
        """Take an item out of the line; False when it is not there (any more)."""
        items = self._callers.get(caller)
        if items is None or item not in items:
            return False
        items.remove(item)
        self._size -= 1
        if not items:
            del self._callers[caller]
        return True
