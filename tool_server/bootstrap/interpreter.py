"""How the interpreter of a process that serves is set."""

from __future__ import annotations

import gc
import sys

SWITCH_SECONDS = 0.0005
"""How long a thread, such as one that writes the call log, may hold the interpreter while the event loop wants it."""


def settle() -> None:
    """Set the interpreter for serving, once all that lives long is loaded. It holds for the whole process.

    That is taken out of every later garbage collection: each call makes some cyclic garbage, and looking for it among
    all modules and models costs more than the call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)
