"""The operator's roots, made sure of once, when the server starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from tool_server.errors import InvalidInput
from tool_server.model.folder_permission import FolderPermission, FolderRoot, FolderRoots, guest_path

_KERNELS = ("/proc", "/sys", "/dev")
"""Where the kernel's own files are: the environment of this process, memory, devices."""


def open_roots(roots: Mapping[str, str], private: Iterable[Path]) -> FolderRoots:
    """Resolve `filesystem.roots`.

    Args:
        roots: guest path to `HOST_FOLDER:read` or `HOST_FOLDER:write`.
        private: the server's own folders and files, which no guest ever sees.

    Raises:
        InvalidInput: `invalid_config`: a root is no folder, or overlaps a private one.
    """
    found: dict[PurePosixPath, FolderRoot] = {}
    closed = [Path(os.path.realpath(folder)) for folder in private]
    for guest, shared in roots.items():
        permission = FolderPermission.parse(shared)
        folder = Path(os.path.realpath(str(permission.path)))
        if not folder.is_dir():
            raise _refused(guest, f"{permission.path} is no folder on this machine: make it, or remove the root")
        kernel = next((name for name in _KERNELS if folder.is_relative_to(name)), None)
        if kernel is not None:
            raise _refused(guest, f"{kernel} shows the processes and devices of this machine: share another folder")
        for own in closed:
            if folder.is_relative_to(own) or own.is_relative_to(folder):
                raise _refused(
                    guest,
                    f"{folder} and the server's own {own} lie one in the other, so that plugins could reach what is "
                    "private: share another folder",
                )
        found[guest_path(guest)] = FolderRoot(PurePosixPath(folder), permission.write)
    return FolderRoots(MappingProxyType(found))


def _refused(guest: str, reason: str) -> InvalidInput:
    return InvalidInput(
        "invalid_config", f"filesystem.roots: {guest}: {reason}", {"setting": "filesystem.roots", "root": guest}
    )
