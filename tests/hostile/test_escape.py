"""What a worker that a guest has taken over can still do: each protection alone, all of them, and none.

Every attempt is shown to succeed without protection, so that a refusal is the protection's doing.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.attempts import ATTEMPTS
from tests.hostile.intruder import DONE
from tool_server.model.protection import Protection

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="system calls of Linux on x86_64"
)

_NOBODY = 65_534
_ALL = tuple(str(protection) for protection in Protection)
_USERS = ("root", "nobody") if os.geteuid() == 0 else ("self",)

_SECCOMP = {("seccomp",): "EPERM"}
_LANDLOCK = {("landlock",): "EACCES"}
_BOTH = _LANDLOCK | _SECCOMP
_TRACING = {("user",): "EPERM", ("landlock",): "EPERM", ("seccomp",): "EPERM"}
_READING_PROC = {("user",): "EACCES", ("landlock",): "EACCES"}
_LIMITED = {("limits", "privileges"): "EPERM"}

REFUSED: dict[str, dict[tuple[str, ...], str]] = {
    "write own code": _BOTH,
    "rename own code": _BOTH,
    "write another's code": _BOTH,
    "add to the cache": _BOTH,
    "link to own code": _BOTH,
    "symlink in own code": _BOTH,
    "truncate the cache": _BOTH,
    "remove from the cache": _BOTH,
    "read /etc/passwd": _LANDLOCK,
    "read the data folder": _LANDLOCK,
    "list /": _LANDLOCK,
    "write a file": _BOTH,
    "make a folder": {("landlock",): "EACCES", ("seccomp",): "EEXIST"},
    "make a socket": _SECCOMP,
    "connect over TCP": {**_BOTH, ("user", "network"): "ENETUNREACH"},
    "send over UDP": {**_SECCOMP, ("user", "network"): "ENETUNREACH"},
    "listen on TCP": _BOTH,
    "connect to an abstract socket": {
        **{("user", "network"): "ECONNREFUSED"},
        **{("landlock",): "EPERM", ("seccomp",): "EPERM"},
    },
    "connect to a socket file": _SECCOMP,
    "run a program": _BOTH,
    "fork": _SECCOMP,
    "trace the server": _TRACING,
    "read the server's memory": _READING_PROC,
    "copy the server's memory": _TRACING,
    "read the server's environment": _READING_PROC,
    "signal the server": {("landlock",): "EPERM", ("seccomp",): "EPERM"},
    "signal everybody": _SECCOMP,
    "raise a limit": _LIMITED,
    "open very many descriptors": {("limits",): "EMFILE"},
    "take very much memory": {("limits",): "ENOMEM"},
    "write a very large file": {("limits",): "EFBIG"},
    "dump core": {("limits",): "EPERM"},
    "own users": {("user",): "ENOSPC", ("seccomp",): "EPERM"},
    "mount": _SECCOMP,
    "set up io_uring": _SECCOMP,
    "watch performance": _SECCOMP,
    "ask for keys": _SECCOMP,
    "clone with arguments in memory": {("seccomp",): "ENOSYS"},
    "open with arguments in memory": {("seccomp",): "ENOSYS"},
    "call by an x32 number": _SECCOMP,
    "call as a 32-bit program": _SECCOMP,
}
"""The error that each of these protections alone answers an attempt with."""

OF_ROOT: dict[str, dict[tuple[str, ...], str]] = {
    "trace the server": {("privileges",): "EPERM"},
    "read the server's memory": {("privileges",): "EACCES"},
    "own mounts": {("privileges",): "EPERM", ("seccomp",): "EPERM"},
    "change the root": {("privileges",): "EPERM", ("seccomp",): "EPERM"},
    "become another user": {("privileges",): "EPERM", ("seccomp",): "EPERM", ("user",): "EINVAL"},
    "load a BPF program": {("privileges",): "EPERM", ("seccomp",): "EPERM"},
    "handle page faults": {("privileges",): "EPERM", ("seccomp",): "EPERM"},
}
"""What only root could do in the first place."""

OF_OTHERS: dict[str, dict[tuple[str, ...], str]] = {
    "start very many threads": {("user", "processes"): "EAGAIN"},
}
"""What the kernel never refuses to root."""

PERMITTED = ("read the cache", "list the cache")

COMPILING = {
    **dict.fromkeys(("write own code", "rename own code", "read the cache"), DONE),
    **dict.fromkeys(("write another's code", "add to the cache", "remove from the cache", "write a file"), "EACCES"),
    **dict.fromkeys(("read the data folder", "read /etc/passwd", "make a folder"), "EACCES"),
    **dict.fromkeys(
        ("link to own code", "symlink in own code", "truncate the cache", "make a socket", "fork"), "EPERM"
    ),
    "write a very large file": "EFBIG",
}
"""What becomes of an attempt in a worker that compiles, under all protections."""

Key = tuple[str, tuple[str, ...], bool]


def refusals(user: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Attempt, protections, error."""
    table = {name: dict(errors) for name, errors in REFUSED.items()}
    for name, errors in {"root": OF_ROOT, "nobody": OF_OTHERS}.get(user, {}).items():
        table.setdefault(name, {}).update(errors)
    return [(name, protections, error) for name, errors in table.items() for protections, error in errors.items()]


class Intrusion:
    """The outcomes of all attempts of one user, made in one go."""

    def __init__(self, user: str, folder: Path) -> None:
        keys: set[Key] = {(name, (), False) for name in ATTEMPTS} | {(name, _ALL, False) for name in ATTEMPTS}
        keys |= {(name, protections, False) for name, protections, _ in refusals(user)}
        keys |= {(name, _ALL, True) for name in COMPILING}
        order = {
            "folder": str(folder),
            "user": {"root": 0, "nobody": _NOBODY}.get(user, os.geteuid()),
            "jobs": [dict(zip(("attempt", "protections", "compiles"), key, strict=True)) for key in sorted(keys)],
        }
        run = subprocess.run(
            [sys.executable, "-m", "tests.hostile.intruder", json.dumps(order)],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        self._outcomes = dict(zip(sorted(keys), json.loads(run.stdout), strict=True))

    def outcome(self, attempt: str, protections: tuple[str, ...] = (), *, compiles: bool = False) -> str:
        """`"done"` or the name of the error."""
        return self._outcomes[attempt, protections, compiles]


@pytest.fixture(scope="module", params=_USERS)
def user(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def intrusion(user: str) -> Iterator[Intrusion]:
    # Not in pytest's own folder, which is closed to other accounts.
    folder = Path(tempfile.mkdtemp(prefix="intruder-"))
    if user == "nobody":
        os.chown(folder, _NOBODY, _NOBODY)
    yield Intrusion(user, folder)
    shutil.rmtree(folder)


def test_each_protection_alone_refuses_what_it_is_there_for(user: str, intrusion: Intrusion) -> None:
    expected = {(name, protections): error for name, protections, error in refusals(user)}
    assert {key: intrusion.outcome(*key) for key in expected} == expected


def test_every_attempt_that_is_refused_succeeds_without_protection(user: str, intrusion: Intrusion) -> None:
    tried = {name: intrusion.outcome(name) for name, _, _ in refusals(user)}
    # Calls whose arguments are no good, so that nothing happens: the kernel got as far as looking at them.
    looked_at = {
        **dict.fromkeys(("mount", "set up io_uring", "watch performance"), "EFAULT"),
        **dict.fromkeys(("clone with arguments in memory", "open with arguments in memory"), "EINVAL"),
        **{"load a BPF program": "E2BIG", "call by an x32 number": "ENOSYS"},
    }
    assert tried == {name: looked_at.get(name, DONE) for name in tried}


def test_under_all_protections_every_attempt_is_refused_but_reading_compiled_code(intrusion: Intrusion) -> None:
    done = {name for name in ATTEMPTS if intrusion.outcome(name, _ALL) == DONE}
    assert done == set(PERMITTED)


def test_a_worker_that_compiles_writes_its_own_entry_and_nothing_else(intrusion: Intrusion) -> None:
    assert {name: intrusion.outcome(name, _ALL, compiles=True) for name in COMPILING} == COMPILING
