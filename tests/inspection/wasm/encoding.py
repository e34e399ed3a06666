"""A small encoder of the binary format, so that tests can write modules that no toolchain would."""

from __future__ import annotations

HEADER = b"\0asm\x01\0\0\0"


def leb(value: int, size: int = 0) -> bytes:
    """Unsigned LEB128, padded to `size` bytes where that is more than it needs."""
    groups: list[int] = []
    while value >= 0x80 or len(groups) + 1 < size:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def name(text: str | bytes) -> bytes:
    """A length and the text."""
    raw = text.encode() if isinstance(text, str) else text
    return leb(len(raw)) + raw


def section(section_id: int, content: bytes) -> bytes:
    """One section with the size it has."""
    return bytes([section_id]) + leb(len(content)) + content


def custom(section_name: str | bytes, content: bytes = b"") -> bytes:
    """A custom section."""
    return section(0, name(section_name) + content)


def vector(*entries: bytes) -> bytes:
    """A count and the entries."""
    return leb(len(entries)) + b"".join(entries)


def module(*sections: bytes) -> bytes:
    """The header and the sections."""
    return HEADER + b"".join(sections)


VOID = b"\x60\0\0"
"""The type `() -> ()`."""

CODE = b"\x60\0\x01\x7f"
"""The type `() -> i32`."""

TYPES = section(1, vector(VOID, CODE))
"""Type 0 is `() -> ()` and type 1 `() -> i32`; a section after it has its id at byte 18, its content at byte 20."""

ONE_FUNCTION = section(3, vector(b"\0"))
ONE_BODY = section(10, vector(b"\x02\0\x0b"))
