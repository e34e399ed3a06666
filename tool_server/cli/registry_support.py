"""What the commands of `extism-registry` share: reading `NAME@RANGE`."""

from __future__ import annotations


def split_requirement(text: str) -> tuple[str, str]:
    """Name and range of `NAME`, `NAME@RANGE`, `@scope/NAME` or `@scope/NAME@RANGE`."""
    name, _, requested = text[1:].partition("@")
    return text[:1] + name, requested
