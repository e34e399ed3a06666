"""The host folders of a worker's guests, opened once, by a walk that follows no symbolic link.

A folder below an operator's root may have been made, or replaced by a link to somewhere else, by a guest that may
write there. So the path is walked part by part with `O_NOFOLLOW`, and the engine is given the open descriptor: it
opens its path anew for every instance.

A hard link is the file itself, so no check of paths can tell one. The engine lets a guest make one only between
folders that it may write to, and never to anything outside; whoever else may write into a shared folder could already
read what he links to (`fs.protected_hardlinks`).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress

from tool_server.errors import Unavailable

FOLDER_UNAVAILABLE = "folder_unavailable"

_FLAGS = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)

FolderRow = Sequence[str | bool]
"""Host path, guest path, whether it may be written to: as in a LOAD frame."""


class FolderTable:
    """The open folders of one worker. All of its guests have the same ones, so there are few."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], int] = {}

    def allowed_paths(self, folders: Sequence[FolderRow]) -> dict[str, str]:
        """Extism's `allowed_paths`, from this process's paths to the guest's.

        Raises:
            Unavailable: `folder_unavailable`.
        """
        return {self._path(str(host), str(guest), bool(write)): str(guest) for host, guest, write in folders}

    def check(self, folders: Sequence[FolderRow]) -> None:
        """Do nothing while the paths still lead to the folders that are open.

        Raises:
            Unavailable: `folder_unavailable`.
        """
        for host, guest, _ in folders:
            try:
                now = os.lstat(str(host))
            except OSError as error:
                raise _unavailable(str(guest), error.strerror) from error
            if not os.path.samestat(now, os.fstat(self._open[str(host), str(guest)])):
                raise _unavailable(str(guest), "it was replaced by another one")

    def _path(self, host: str, guest: str, write: bool) -> str:
        descriptor = self._open.get((host, guest))
        if descriptor is None:
            try:
                descriptor = self._open[host, guest] = open_folder(host)
            except OSError as error:
                raise _unavailable(guest, error.strerror) from error
        # Elsewhere a descriptor has no path that leads into a folder.
        path = f"/proc/self/fd/{descriptor}" if sys.platform == "linux" else host
        return path if write else f"ro:{path}"


def open_folder(path: str) -> int:
    """A descriptor of the folder at an absolute path none of whose parts is a symbolic link.

    Raises:
        OSError: there is none.
    """
    descriptor = os.open("/", _FLAGS)
    for part in path.split("/"):
        if not part:
            continue
        try:
            inner = os.open(part, _FLAGS, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        with suppress(OSError):
            os.close(descriptor)
        raise NotADirectoryError(path)
    return descriptor


def _unavailable(guest: str, reason: str | None) -> Unavailable:
    return Unavailable(
        FOLDER_UNAVAILABLE,
        f"the folder {guest} that this plugin works in cannot be opened ({(reason or 'unknown reason').lower()}): ask "
        "the operator to look at 'filesystem.roots', and try again",
        {"folder": guest},
    )
