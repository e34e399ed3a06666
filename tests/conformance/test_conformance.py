"""The official conformance suite against the server as its users run it, every fixture a plugin in the sandbox.

No failure is expected, no scenario is left out, and the counts are those of a run in which everything was tried: some
scenarios pass, or only remark, where their fixture or a feature is missing.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conformance.serve import OPTIONS, SETTINGS, prepare
from tests.conformance.suite import FAILED, PASSED, SKIPPED, WARNED, suite
from tests.support.node import CONFORMANCE, require_node_modules
from tests.support.server import RunningServer, running_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Requirement(NamedTuple):
    """What one run of the suite must come to."""

    alias: str
    """Of the tool's version in package.json."""
    options: tuple[str, ...]
    listing: tuple[str, ...]
    """What makes the tool list the scenarios of this run."""
    passed: int
    """Checks."""
    warned: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()


REQUIREMENTS = {
    "0.1.16": Requirement(
        "conformance-0.1",
        ("--suite", "all"),
        ("--server",),
        passed=44,
        # There it says that it speaks 2025-03-26, whose clients cannot read the empty events of 2025-11-25.
        warned=frozenset({"server-sse-priming-event", "server-sse-retry-field"}),
    ),
    "2025-11-25": Requirement(
        "conformance-0.2", ("--requirements", "2025-11-25"), ("--requirements", "2025-11-25"), passed=84
    ),
    "2026-07-28": Requirement(
        "conformance-0.2",
        ("--requirements", "2026-07-28"),
        ("--requirements", "2026-07-28"),
        passed=196,
        # A scenario of which nothing is written yet: it skips itself, whatever the server.
        skipped=frozenset({"tasks-status-notifications"}),
    ),
}


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """The installed suite, in both versions."""
    return require_node_modules(CONFORMANCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A running server with every fixture."""
    data_dir = prepare(tmp_path_factory.mktemp("conformance"))
    with running_server(data_dir, args=OPTIONS, env=SETTINGS) as running:
        yield running


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_official_conformance_suite_finds_nothing_to_complain_about(
    node_modules: Path, server: RunningServer, tmp_path: Path, name: str
) -> None:
    wanted = REQUIREMENTS[name]
    tool = suite(node_modules, wanted.alias)
    run = tool.run(server.mcp_url, tmp_path / "results", *wanted.options)
    told = "\n".join(str(check) for check in run.of(FAILED, WARNED, SKIPPED))
    assert run.of(FAILED) == (), told
    assert {check.id for check in run.of(WARNED)} == wanted.warned, told
    assert {check.id for check in run.of(SKIPPED)} == wanted.skipped, told
    assert run.counts[PASSED] == wanted.passed, sorted(run.counts.items())
    assert run.exit_code == 0
    assert frozenset(run.scenarios) == tool.scenarios(*wanted.listing)
    assert len(run.scenarios) == len(set(run.scenarios))
