"""Tries to escape from a worker's confinement: `python -m tests.hostile.intruder JOBS`, a JSON object.

One process plays the server; for every job it forks a child that confines itself as a worker does and then makes one
attempt. Started by root it can become nobody first, as servers mostly are.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.attempts import ATTEMPTS, SECRET, Scene, listen
from tool_server.model.protection import Protection
from tool_server.sandbox.confinement import confine

DONE = "done"
_MEMORY = 2**31
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt under some protections."""

    attempt: str
    protections: tuple[str, ...]
    compiles: bool
    """Whether `cache/mine` may be written, as a compile worker's entry may."""


def main(arguments: list[str]) -> None:
    """Print a JSON list: for each job `"done"` or the name of the error number."""
    order: dict[str, Any] = json.loads(arguments[0])
    folder = Path(order["folder"])
    if order["user"] != os.geteuid():
        _become(order["user"])
    secret = ctypes.create_string_buffer(SECRET)
    _sockets, port = listen(folder)
    scene = Scene(folder, os.getpid(), port, ctypes.addressof(secret))
    print(json.dumps([_outcome(Job(**job), scene) for job in order["jobs"]]))  # noqa: T201 - to the test


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # Without it /proc belongs to root, as after any change of user.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _outcome(job: Job, scene: Scene) -> str:
    _lay_out(scene.folder)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _try(job, scene, writer)
    os.close(writer)
    with os.fdopen(reader) as file:
        told = file.read()
    _, status = os.waitpid(pid, 0)
    if told:
        return told
    # Another program took over, which is what it had wanted, or a signal ended it.
    return DONE if status == 0 else f"status {status}"


def _try(job: Job, scene: Scene, report: int) -> None:
    try:
        confine(
            scene.server,
            _MEMORY,
            protections=frozenset(Protection(name) for name in job.protections),
            read_folders=[str(scene.folder / "cache")],
            write_folders=[str(scene.folder / "cache" / "mine")] if job.compiles else [],
        )
        ATTEMPTS[job.attempt](scene)
    except OSError as error:
        os.write(report, errno.errorcode[error.errno or 0].encode())
    except BaseException as error:  # noqa: BLE001 - a child must never go on as its parent would
        os.write(report, repr(error).encode())
    else:
        os.write(report, DONE.encode())
    os._exit(0)


def _lay_out(folder: Path) -> None:
    for file in ("cache/mine/code", "cache/mine/a", "cache/other/code", "data/secret"):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"secret")
    for made in ("cache/mine/c", "cache/mine/d", "cache/mine/large", "cache/new", "data/new"):
        (folder / made).unlink(missing_ok=True)
    if (folder / "data/sub").exists():
        (folder / "data/sub").rmdir()


if __name__ == "__main__":
    main(sys.argv[1:])
