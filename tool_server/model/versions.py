"""Semantic versions and npm ranges, on `node-semver` (which agrees with npm's own fixtures)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cmp_to_key
from typing import Any, cast

import nodesemver  # pyright: ignore[reportMissingTypeStubs]

from tool_server.errors import InvalidInput

_valid_range = cast(Callable[[str, bool], str | None], cast(Any, nodesemver).valid_range)
_compare = cast(Callable[[str, str, bool], int], cast(Any, nodesemver).compare)
_satisfies = cast(Callable[[str, str, bool], bool], cast(Any, nodesemver).satisfies)

MAX_LENGTH = 256

# The grammar of semver.org 2.0.0, strict: no leading "v", no leading zeros.
_VERSION = re.compile(
    r"(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


def check_version(version: str) -> str:
    """Return `version` when it is a semantic version such as `1.2.0` or `2.0.0-rc.1`.

    Raises:
        InvalidInput: `invalid_version`.
    """
    if len(version) > MAX_LENGTH or not _VERSION.fullmatch(version):
        raise InvalidInput(
            "invalid_version",
            f"{version[:80]!r} is not a semantic version: write MAJOR.MINOR.PATCH, such as 1.2.0 or 2.0.0-rc.1",
            {"version": version[:200]},
        )
    return version


def check_range(text: str) -> str:
    """Return `text` when npm would accept it as a range (`^1.2`, `>=1 <3`, `1.x`, `*`, `latest`).

    Raises:
        InvalidInput: `invalid_range`.
    """
    if text in ("", "latest"):
        return text
    try:
        if len(text) <= MAX_LENGTH and _valid_range(text, False) is not None:
            return text
    except ValueError:
        pass
    raise InvalidInput(
        "invalid_range", f"{text[:80]!r} is not a version range: write 1.2.0, ^1.2.0, ~1.2, >=1 <3 or latest"
    )


def is_prerelease(version: str) -> bool:
    """Whether `version` carries a pre-release tag, as `2.0.0-rc.1` does."""
    match = _VERSION.fullmatch(version)
    return match is not None and match.group(4) is not None


def compare(left: str, right: str) -> int:
    """Negative, zero or positive by semver precedence; build metadata breaks ties so that order is total."""
    by_precedence = _compare(left, right, False)
    return by_precedence or (left > right) - (left < right)


def newest_first(versions: Iterable[str]) -> list[str]:
    """Versions in falling semver precedence."""
    return sorted(versions, key=cmp_to_key(compare), reverse=True)


def best_match(versions: Iterable[str], text: str) -> str | None:
    """The newest of `versions` that the range `text` takes, or None.

    An empty text or `latest` means the newest release, or the newest pre-release where nothing else was published.

    Raises:
        InvalidInput: `invalid_range`.
    """
    check_range(text)
    candidates = newest_first(versions)
    if text in ("", "latest", "*"):
        released = [version for version in candidates if not is_prerelease(version)]
        return next(iter(released or candidates), None)
    return next((version for version in candidates if _satisfies(version, text, False)), None)
