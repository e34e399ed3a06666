"""The operator's roots, made sure of once, when the server starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from tool_server.errors import InvalidInput
from tool_server.model.folder_permission import FolderPermission, FolderRoot, FolderRoots, guest_path


def open_roots(roots: Mapping[str, str], private: Path) -> FolderRoots:
    """Resolve `filesystem.roots`.

    Args:
        roots: guest path to `HOST_FOLDER:read` or `HOST_FOLDER:write`.
        private: the data folder, which no guest ever sees.

    Raises:
        InvalidInput: `invalid_config`: a root is no folder, or overlaps the data folder.
    """
    found: dict[PurePosixPath, FolderRoot] = {}
    closed = Path(os.path.realpath(private))
    for guest, shared in roots.items():
        permission = FolderPermission.parse(shared)
        folder = Path(os.path.realpath(str(permission.path)))
        if not folder.is_dir():
            raise _refused(guest, f"{permission.path} is no folder on this machine: make it, or remove the root")
        if folder.is_relative_to(closed) or closed.is_relative_to(folder):
            raise _refused(
                guest,
                f"{folder} and the data folder {closed} lie one in the other: plugins would reach the server's own "
                "files; share another folder",
            )
        found[guest_path(guest)] = FolderRoot(PurePosixPath(folder), permission.write)
    return FolderRoots(MappingProxyType(found))


def _refused(guest: str, reason: str) -> InvalidInput:
    return InvalidInput(
        "invalid_config", f"filesystem.roots: {guest}: {reason}", {"setting": "filesystem.roots", "root": guest}
    )
