"""Reading what the conformance suite reports: what is not understood is never taken for a success."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.fixtures import PLUGINS, groups
from tests.conformance.suite import FAILED, PASSED, WARNED, SuiteError, read_list, read_run

STAMP = "2026-11-29T08-00-00-000Z"
SUMMARY = "=== SUMMARY ===\n✓ ping: 2 passed, 0 failed\n✗ tools-list: 1 passed, 1 failed\n\nTotal: 3 passed, 1 failed\n"
WRITTEN = {"ping": ["SUCCESS", "SUCCESS", "INFO"], "tools-list": ["SUCCESS", "FAILURE", "WARNING"]}


def results(folder: Path, written: dict[str, list[str]] = WRITTEN, prefix: str = "server-") -> Path:
    for scenario, statuses in written.items():
        made = folder / f"{prefix}{scenario}-{STAMP}"
        made.mkdir(parents=True)
        checks = [{"id": f"{scenario}-{n}", "status": status} for n, status in enumerate(statuses)]
        (made / "checks.json").write_text(json.dumps(checks))
    return folder


@pytest.mark.parametrize("prefix", ["server-", ""])
def test_a_run_is_what_was_printed_and_written(tmp_path: Path, prefix: str) -> None:
    run = read_run(1, f"Running…\n{SUMMARY}", results(tmp_path, prefix=prefix))
    assert (run.exit_code, run.scenarios) == (1, ("ping", "tools-list"))
    assert (run.counts[PASSED], run.counts[FAILED], run.counts[WARNED]) == (3, 1, 1)
    assert [check.id for check in run.of(FAILED)] == ["tools-list-1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Total: 3 passed, 1 failed\n",
        "=== SUMMARY ===\n✓ ping: 2 passed, 0 failed\n",
        SUMMARY.replace("Total: 3", "Total: 4"),
        SUMMARY.replace("ping: 2 passed", "ping: 3 passed"),
        SUMMARY.replace("✓ ping", "✓ pong"),
        SUMMARY.replace("✓ ping: 2 passed, 0 failed\n", ""),
    ],
)
def test_a_summary_that_is_not_what_was_written_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(SuiteError):
        read_run(0, text, results(tmp_path))


def test_a_scenario_without_a_file_of_checks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="0 files of checks for the scenario tools-list"):
        read_run(0, SUMMARY, results(tmp_path, {"ping": WRITTEN["ping"]}))


PLAIN_LIST = """Server scenarios (test against a server):
  - ping [2025-06-18]
  - caching

Client scenarios (test against a client):
  - auth
"""
FROZEN_LIST = f"""Required for 2026-07-28:

{PLAIN_LIST}
Run and reported, but never scored:
  extension (2):
    - auth/dpop [client]
    - tasks-lifecycle [server]
"""


def test_the_scenarios_for_servers_are_read_from_either_kind_of_list() -> None:
    assert read_list(PLAIN_LIST) == {"ping", "caching"}
    assert read_list(FROZEN_LIST) == {"ping", "caching", "tasks-lifecycle"}


@pytest.mark.parametrize("text", ["", "Client scenarios (…):\n  - auth\n", "error: no such option"])
def test_a_list_without_scenarios_for_servers_is_an_error(text: str) -> None:
    with pytest.raises(SuiteError):
        read_list(text)


def test_every_group_of_fixtures_is_a_plugin_of_its_own_name() -> None:
    assert len(groups()) == 9
    for group in groups():
        manifest = json.loads((PLUGINS / group / "plugin.json").read_text())
        assert manifest["name"] == group
        assert {"tools", "prompts", "resources"} & manifest.keys()
