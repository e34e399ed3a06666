"""What one call may use: time, memory, fuel, bytes in and out."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from tool_server.errors import InvalidInput

MIN_TIMEOUT_MS = 20
"""Extism loses timers shorter than this, and the guest then runs for ever."""

MAX_FUEL = 2**63 - 1
"""The engine counts in 64 bits."""

WASM_PAGE = 65_536

_SIZE = re.compile(r"(\d{1,12})\s*(B|KB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_SIZE_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|m)", re.ASCII)
_DURATION_UNITS = {"ms": 1, "s": 1_000, "m": 60_000}


def parse_size(text: str | int) -> int:
    """Bytes of `"64MiB"`, `"1MB"`, `"512"` or a plain integer.

    Raises:
        InvalidInput: `invalid_size`.
    """
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise InvalidInput("invalid_size", f"{str(text)[:40]!r} is not a size: write bytes or a unit, such as '64MiB'")
    return int(match.group(1)) * _SIZE_UNITS[match.group(2) or "B"]


def parse_duration_ms(text: str | float) -> int:
    """Milliseconds of `"5s"`, `"250ms"`, `"1m"`; a plain number means milliseconds.

    Raises:
        InvalidInput: `invalid_duration`.
    """
    if isinstance(text, int | float) and not isinstance(text, bool) and 0 <= text < 10**12:
        return int(text)
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise InvalidInput("invalid_duration", f"{str(text)[:40]!r} is not a duration: write '250ms', '5s' or '1m'")
    return int(float(match.group(1)) * _DURATION_UNITS[match.group(2)])


class Limits(BaseModel):
    """Bounds of one call, all inclusive.

    `capped_by` takes the smaller of each bound: what a manifest asks for never exceeds what the operator allows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_bytes: int = Field(default=64 * 2**20, ge=WASM_PAGE, le=4 * 2**30)
    """Linear memory the guest may grow to, bytes."""
    timeout_ms: int = Field(default=10_000, ge=MIN_TIMEOUT_MS, le=3_600_000)
    """Wall time from instantiation to the guest's return, milliseconds."""
    fuel: int | None = Field(default=None, ge=1, le=MAX_FUEL)
    """Wasm instructions, roughly; None means that only time stops the guest."""
    input_bytes: int = Field(default=4 * 2**20, ge=1, le=64 * 2**20)
    output_bytes: int = Field(default=4 * 2**20, ge=1, le=64 * 2**20)

    def capped_by(self, ceiling: Limits) -> Self:
        """These limits with every bound lowered to `ceiling`'s."""
        fuels = [fuel for fuel in (self.fuel, ceiling.fuel) if fuel is not None]
        return type(self)(
            memory_bytes=min(self.memory_bytes, ceiling.memory_bytes),
            timeout_ms=min(self.timeout_ms, ceiling.timeout_ms),
            fuel=min(fuels, default=None),
            input_bytes=min(self.input_bytes, ceiling.input_bytes),
            output_bytes=min(self.output_bytes, ceiling.output_bytes),
        )
