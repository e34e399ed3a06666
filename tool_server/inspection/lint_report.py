"""Gathering findings about one tool."""

from __future__ import annotations

from tool_server.inspection.schema_graph import Pointer, json_path
from tool_server.model.tool import Finding, Severity

MAX_FINDINGS = 100
"""Findings kept for one tool; a schema can break rules in thousands of places."""


def tool_label(name: str) -> str:
    """How findings name a tool: its name, cut and made printable, since the name may itself be what is wrong."""
    return name[:200].encode("utf-8", "replace").decode("utf-8")


class Report:
    """The findings about one tool, in the order found."""

    def __init__(self, tool: str | None) -> None:
        self._tool = None if tool is None else tool_label(tool)
        self._findings: dict[tuple[str, str, str], Finding] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found."""
        return tuple(self._findings.values())

    @property
    def refused(self) -> bool:
        """Whether a finding stops the publish."""
        return any(finding.severity is Severity.REFUSE for finding in self._findings.values())

    def refuse(self, rule: str, path: str, message: str) -> None:
        """Add a finding that stops the publish."""
        self._add(Severity.REFUSE, rule, path, message)

    def warn(self, rule: str, path: str, message: str) -> None:
        """Add a finding that is only shown."""
        self._add(Severity.WARN, rule, path, message)

    def _add(self, severity: Severity, rule: str, path: str, message: str) -> None:
        path = path[:1_000].encode("utf-8", "replace").decode("utf-8")
        # A refusal is always kept: warnings never crowd it out.
        if severity is Severity.REFUSE or len(self._findings) < MAX_FINDINGS:
            message = message.encode("utf-8", "replace").decode("utf-8")
            found = Finding(severity=severity, rule=rule, message=message, tool=self._tool, path=path)
            if len(self._findings) < 2 * MAX_FINDINGS:
                self._findings.setdefault((rule, path, message), found)


class SchemaReport:
    """A view on a report for one of the tool's schemas: paths are pointers into it.

    Args:
        report: where findings go.
        field: `input_schema` or `output_schema`.
    """

    def __init__(self, report: Report, field: str) -> None:
        self._report = report
        self.field = field
        self.name = field.replace("_", " ")

    def path(self, pointer: Pointer = ()) -> str:
        """The JSON path of a pointer, inside the tool's definition."""
        return json_path(pointer, f"$.{self.field}")

    def refuse(self, rule: str, pointer: Pointer, message: str) -> None:
        """Add a finding that stops the publish."""
        self._report.refuse(rule, self.path(pointer), message)

    def warn(self, rule: str, pointer: Pointer, message: str) -> None:
        """Add a finding that is only shown."""
        self._report.warn(rule, self.path(pointer), message)
