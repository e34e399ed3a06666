"""Which folders a permission opens to a guest: `PATH:read` or `PATH:write`; and where they are on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Self

from tool_server.model.permission_refusal import no_permission

GRAMMAR = (
    "'PATH:read' or 'PATH:write' (write includes read), PATH being absolute, with '/' between its parts and no '..', "
    "such as '/data/in:read'"
)

MAX_PATH = 1_024
"""Characters of a guest path."""


@dataclass(frozen=True, slots=True)
class FolderPermission:
    """A folder of the guest's own name space with all that is in it."""

    path: PurePosixPath
    """Absolute, without `.` and `..`."""
    write: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one item of `permissions.filesystem`.

        Raises:
            InvalidInput: `invalid_permission`, naming the item and the grammar.
        """
        path, _, mode = text.rpartition(":")
        try:
            if mode not in ("read", "write"):
                raise ValueError("it ends neither in ':read' nor in ':write'")
            return cls(guest_path(path), mode == "write")
        except ValueError as error:
            raise no_permission("filesystem", text, str(error), GRAMMAR) from error

    def __str__(self) -> str:
        return f"{self.path}:{'write' if self.write else 'read'}"

    def intersect(self, other: FolderPermission) -> FolderPermission | None:
        """What both open: the inner of the two folders, to write in only where both say so; else None."""
        if self.path.is_relative_to(other.path):
            path = self.path
        elif other.path.is_relative_to(self.path):
            path = other.path
        else:
            return None
        return FolderPermission(path, self.write and other.write)


def guest_path(text: str) -> PurePosixPath:
    """A folder as guests name it.

    Raises:
        ValueError: it is not absolute, has a part `..`, a control character, or is too long.
    """
    if not text.startswith("/"):
        raise ValueError("the path is not absolute")
    if len(text) > MAX_PATH:
        raise ValueError(f"the path is longer than {MAX_PATH} characters")
    if not text.isprintable():
        raise ValueError("the path holds a character that cannot be printed")
    if ".." in text.split("/"):
        raise ValueError("the path has a part '..'")
    # POSIX gives two leading slashes a meaning of their own, and so does PurePosixPath.
    return PurePosixPath("/" + text.lstrip("/"))


@dataclass(frozen=True, slots=True)
class Folder:
    """A host folder that one call may use."""

    host: str
    """Absolute path on this machine, without symbolic links when the server started."""
    guest: str
    """Absolute path that the guest sees it under."""
    write: bool


@dataclass(frozen=True, slots=True)
class FolderRoot:
    """What the operator shares: a host folder, and the most that anyone may do in it."""

    host: PurePosixPath
    write: bool


@dataclass(frozen=True, slots=True)
class FolderRoots:
    """The operator's roots by guest path. A root inside another one covers that part of it, as mounts do."""

    roots: Mapping[PurePosixPath, FolderRoot] = field(
        default_factory=lambda: MappingProxyType(dict[PurePosixPath, FolderRoot]())
    )

    def folders(self, permissions: Iterable[FolderPermission]) -> tuple[Folder, ...]:
        """The host folders that these permissions reach, by guest path; each only where a root says as much."""
        found: dict[PurePosixPath, Folder] = {}
        for permission in permissions:
            inside = [path for path in self.roots if path.is_relative_to(permission.path)]
            for path in {permission.path, *inside}:
                folder = self._folder(path, permission.write)
                if folder is not None and (path not in found or folder.write):
                    found[path] = folder
        return tuple(found[path] for path in sorted(found))

    def _folder(self, path: PurePosixPath, write: bool) -> Folder | None:
        owner = next((parent for parent in (path, *path.parents) if parent in self.roots), None)
        if owner is None:
            return None
        root = self.roots[owner]
        return Folder(str(root.host / path.relative_to(owner)), str(path), write and root.write)
