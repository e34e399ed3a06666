"""Runs the official conformance suite against a server and reads what it reports.

What counts is read twice: from the summary that the tool prints, and from the `checks.json` that it writes for every
scenario. Where the two disagree the run is not understood, and nothing is concluded from it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.node import run_node

SECONDS = 300
"""Longest time for one run of the suite."""

PASSED, FAILED, WARNED, SKIPPED, NOTED = "SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"

_SUMMARY = "=== SUMMARY ==="
_COUNTS = re.compile(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed$", re.MULTILINE)
_TOTAL = re.compile(r"^Total: (\d+) passed, (\d+) failed$", re.MULTILINE)
_LISTED = re.compile(r"^\s+- (\S+)(?: \[(.*)\])?$")


class SuiteError(RuntimeError):
    """What the tool wrote is not what a run of it writes."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a scenario."""

    scenario: str
    id: str
    status: str
    """`PASSED`, `FAILED`, `WARNED`, `SKIPPED` or `NOTED`."""
    says: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.status} {self.scenario} {self.id}: {self.says}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the suite that was understood."""

    exit_code: int
    scenarios: tuple[str, ...]
    """Those that were run, in order."""
    checks: tuple[Check, ...]

    @property
    def counts(self) -> Counter[str]:
        """How many checks there are of each status."""
        return Counter(check.status for check in self.checks)

    def of(self, *statuses: str) -> tuple[Check, ...]:
        """The checks of these statuses."""
        return tuple(check for check in self.checks if check.status in statuses)


@dataclass(frozen=True, slots=True)
class Suite:
    """One version of the tool."""

    script: Path

    def scenarios(self, *options: str) -> frozenset[str]:
        """The scenarios for servers that the tool itself lists."""
        done = run_node(self.script, "list", *options, timeout=60)
        if done.returncode != 0:
            raise SuiteError(f"the list ended with {done.returncode}: {done.stderr[-2_000:]}")
        return read_list(done.stdout)

    def run(self, url: str, results: Path, *options: str) -> Run:
        """Run scenarios against the server at `url`, in the empty folder `results`."""
        results.mkdir(parents=True)
        done = run_node(
            self.script, "server", "--url", url, "--output-dir", str(results), *options, timeout=SECONDS, cwd=results
        )
        return read_run(done.returncode, done.stdout, results)


def suite(node_modules: Path, alias: str) -> Suite:
    """The version of the tool that package.json calls `alias`."""
    return Suite(node_modules / alias / "dist" / "index.js")


def read_list(text: str) -> frozenset[str]:
    """The scenarios for servers in what `list` printed: those under the heading for servers, and those marked so.

    Raises:
        SuiteError: there are none.
    """
    found: set[str] = set()
    heading = ""
    for line in text.splitlines():
        listed = _LISTED.match(line)
        if listed is None:
            heading = line if line and not line.startswith(" ") else heading
        elif heading.startswith("Server scenarios") or listed[2] == "server":
            found.add(listed[1])
    if not found:
        raise SuiteError(f"no scenarios are listed:\n{text[:2_000]}")
    return frozenset(found)


def read_run(exit_code: int, text: str, results: Path) -> Run:
    """What a run printed and wrote.

    Raises:
        SuiteError: the summary is missing, or it is not what the files say.
    """
    _, found, summary = text.partition(_SUMMARY)
    total = _TOTAL.search(summary)
    if not found or total is None:
        raise SuiteError(f"the run ended with {exit_code} and without a summary:\n{text[-4_000:]}")
    printed = {name: (int(passed), int(failed)) for name, passed, failed in _COUNTS.findall(summary)}
    checks = tuple(check for scenario in printed for check in _checks(scenario, results))
    run = Run(exit_code, tuple(printed), checks)
    for scenario, counted in (*printed.items(), (None, (int(total[1]), int(total[2])))):
        counts = Counter(check.status for check in checks if scenario in (None, check.scenario))
        if (counts[PASSED], counts[FAILED]) != counted:
            where = scenario or "the total"
            raise SuiteError(f"{where}: {counted} passed and failed as printed, {dict(counts)} in the files")
    return run


def _checks(scenario: str, results: Path) -> Sequence[Check]:
    files = [path for path in results.glob("*/checks.json") if _scenario_of(path) == scenario]
    if len(files) != 1:
        raise SuiteError(f"{len(files)} files of checks for the scenario {scenario}")
    found: list[dict[str, Any]] = json.loads(files[0].read_text())
    return [
        Check(scenario, check["id"], check["status"], check.get("errorMessage") or check.get("description") or "")
        for check in found
    ]


_FOLDER = re.compile(r"^(?:server-)?(.+?)-\d{4}-\d\d-\d\dT[\d-]+Z$")


def _scenario_of(path: Path) -> str | None:
    named = _FOLDER.match(path.parent.name)
    return None if named is None else named[1]
