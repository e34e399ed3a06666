"""Appends to a call journal and prints the number of each record that was taken, until it is killed or refused.

Usage: `python -m tests.storage.processes.journalist FOLDER [LARGEST_FILE]`.
"""

from __future__ import annotations

import itertools
import resource
import signal
import sys
from pathlib import Path

from tests.storage.examples import make_call
from tool_server.errors import Unavailable
from tool_server.storage.journal import FileCallJournal


def main(folder: Path) -> None:
    journal = FileCallJournal(folder)
    for number in itertools.count():
        try:
            journal.append(make_call(number))
        except Unavailable as error:
            sys.stdout.write(f"{error.code}\n")
            return
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    main(Path(sys.argv[1]))
