"""What the server makes of the protections that its workers report."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from tool_server.errors import Unavailable
from tool_server.model.protection import Protection, ProtectionReport, ProtectionState

_log = logging.getLogger("tool_server.sandbox")

_LONGEST_DETAIL = 300
_EXPECTED = frozenset(Protection) - {Protection.PROCESSES}
"""What an ordinary Linux gives to root and to others; threads are bounded by the memory they take, too."""


class ProtectionCheck:
    """Keeps the first report, logs it, and turns away workers that lack what is required.

    Args:
        require: protections that every worker must have in force.
    """

    def __init__(self, require: Collection[Protection]) -> None:
        self._require = tuple(require)
        self.report: ProtectionReport | None = None
        """Of the first worker; None before."""

    @property
    def required(self) -> bool:
        """Whether any protection is."""
        return bool(self._require)

    def admit(self, ready: Mapping[str, Any]) -> None:
        """Look at the header of a worker's READY frame.

        Raises:
            Unavailable: `protection_missing`, naming each that is missing and why.
        """
        report = read_report(ready)
        if self.report is None:
            self.report = report
            _log_report(report)
        missing = [name for name in self._require if not report[name].in_force]
        if missing:
            reasons = "; ".join(f"{name}: {report[name].detail}" for name in missing)
            raise Unavailable(
                "protection_missing",
                f"plugins are not run: the setting sandbox.require asks for what this machine does not give its "
                f"worker processes ({reasons}). Run the server where these are offered, or take them out of "
                "sandbox.require.",
                {"missing": {str(name): report[name].detail for name in missing}},
            )


def read_report(ready: Mapping[str, Any]) -> dict[Protection, ProtectionState]:
    """The report in the header of a READY frame; what it leaves out is not in force."""
    states = ready.get("protections")
    given: dict[str, Any] = states if isinstance(states, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    return {name: _state(given.get(name)) for name in Protection}


def _state(value: object) -> ProtectionState:
    match value:
        case [bool() as in_force, str() as detail]:
            return ProtectionState(in_force, detail[:_LONGEST_DETAIL])
        case _:
            return ProtectionState(False, "the worker says nothing about it")


def _log_report(report: ProtectionReport) -> None:
    on = ", ".join(f"{name} ({state.detail})" for name, state in report.items() if state.in_force)
    _log.info("workers are confined by %s", on or "nothing")
    for name, state in report.items():
        if not state.in_force:
            _log.log(
                logging.WARNING if name in _EXPECTED else logging.INFO,
                "workers are not confined by %s: %s",
                name,
                state.detail,
            )
