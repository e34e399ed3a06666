"""A cursor over a module's bytes that cannot leave the section it stands in."""

from __future__ import annotations

from tool_server.errors import InvalidInput
from tool_server.inspection.wasm.caps import MAX_NAME
from tool_server.inspection.wasm.refusals import Cause, malformed


class Cursor:
    """Reads values of the binary format.

    Between `begin_section` and `end_section` nothing past the section's end can be read. `what` always names the
    value for the message of a refusal, as in "inside the name of an export".
    Every method raises `InvalidInput` (`invalid_wasm`) with the offset at which the value began.

    Args:
        data: the whole module.
        offset: where to start, bytes.
        end: where to stop; by default the end of `data`.
    """

    __slots__ = ("data", "end", "offset", "section")

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None) -> None:
        self.data = data
        self.offset = offset
        self.end = len(data) if end is None else end
        self.section: str | None = None

    @property
    def remaining(self) -> int:
        """Bytes up to the end of the section, or of the file outside sections."""
        return self.end - self.offset

    def refusal(self, cause: Cause, message: str, offset: int | None = None) -> InvalidInput:
        """The refusal of what was just read; `offset` is by default where the cursor stands."""
        return malformed(self.offset if offset is None else offset, cause, message, self.section)

    def begin_section(self, section: str, size: int) -> None:
        """Confine the cursor to the next `size` bytes, which must be there."""
        self.section = section
        if size > self.remaining:
            raise self.refusal(
                Cause.TRUNCATED, f"the section declares {size} bytes, but the file ends after {self.remaining}"
            )
        self.end = self.offset + size

    def end_section(self) -> None:
        """Check that the section was read up to its last byte, and leave it."""
        if self.remaining:
            raise self.refusal(Cause.LEFTOVER, f"the section goes on for {self.remaining} bytes after its last entry")
        self.section = None
        self.end = len(self.data)

    def byte(self, what: str) -> int:
        """One byte, 0 to 255."""
        offset = self.offset
        if offset >= self.end:
            raise self._too_short(1, what)
        self.offset = offset + 1
        return self.data[offset]

    def peek(self, what: str) -> int:
        """The next byte, left in place."""
        if self.offset >= self.end:
            raise self._too_short(1, what)
        return self.data[self.offset]

    def take(self, size: int, what: str) -> bytes:
        """`size` bytes, copied."""
        start = self.offset
        self.skip(size, what)
        return self.data[start : self.offset]

    def skip(self, size: int, what: str) -> None:
        """Move over `size` bytes without copying them."""
        if size > self.end - self.offset:
            raise self._too_short(size, what)
        self.offset += size

    def unsigned(self, what: str, bits: int = 32) -> int:
        """A LEB128 number of at most `bits` bits, in at most as many bytes as those need.

        Source: WebAssembly core specification 3.0, section 5.2.2 "Integers".
        """
        start = self.offset
        value = self.byte(what)
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in range(7, bits, 7):
            group = self.byte(what)
            value |= (group & 0x7F) << shift
            if group < 0x80:
                if value >> bits:
                    raise self.refusal(Cause.INTEGER, f"{what} does not fit in {bits} bits", start)
                return value
        raise self.refusal(Cause.INTEGER, f"{what} takes more bytes than a number of {bits} bits may", start)

    def signed(self, what: str, bits: int) -> int:
        """A signed LEB128 number of at most `bits` bits, sign included."""
        start = self.offset
        value = 0
        for shift in range(0, bits, 7):
            group = self.byte(what)
            value |= (group & 0x7F) << shift
            if group < 0x80:
                if group & 0x40:
                    value -= 1 << (shift + 7)
                if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
                    raise self.refusal(Cause.INTEGER, f"{what} does not fit in {bits} bits", start)
                return value
        raise self.refusal(Cause.INTEGER, f"{what} takes more bytes than a number of {bits} bits may", start)

    def count(self, what: str, *, cap: int, smallest: int) -> int:
        """How many entries of at least `smallest` bytes follow: never more than `cap`, nor than can be there.

        `what` is the entries' name in the plural, such as `"exports"`.
        """
        start = self.offset
        count = self.unsigned(f"the number of {what}")
        if count > cap:
            raise self.refusal(Cause.CAP, f"{count} {what} are declared, and at most {cap} are accepted", start)
        if count * smallest > self.remaining:
            raise self.refusal(
                Cause.COUNT,
                f"{count} {what} of at least {smallest} bytes each are declared, but {self.remaining} bytes follow",
                start,
            )
        return count

    def name(self, what: str, cap: int = MAX_NAME) -> str:
        """A length-prefixed UTF-8 string of at most `cap` bytes."""
        start = self.offset
        size = self.unsigned(f"the length of {what}")
        if size > cap:
            raise self.refusal(Cause.CAP, f"{what} has {size} bytes, and at most {cap} are accepted", start)
        content = self.offset
        raw = self.take(size, what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.refusal(Cause.NAME, f"{what} is not UTF-8", content + error.start) from error

    def _too_short(self, size: int, what: str) -> InvalidInput:
        if self.end == len(self.data):
            return self.refusal(Cause.TRUNCATED, f"{what} needs {size} more bytes, and the file has {self.remaining}")
        return self.refusal(Cause.OVERRUN, f"{what} needs {size} more bytes, and the section has {self.remaining}")
