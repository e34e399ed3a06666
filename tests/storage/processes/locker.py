"""Holds the write lock of an SQLite file from the moment it prints `locked` until its input ends.

Usage: `python -m tests.storage.processes.locker FILE`.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing


def main(file: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        sys.stdout.write("locked\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
