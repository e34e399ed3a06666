from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import soak
from tests.bench.report import Figure, ratio_figure, table, write
from tests.support.server import REPOSITORY


@pytest.mark.parametrize(
    ("value", "bar", "at_most", "holds"),
    [(1.5, 1.5, True, True), (1.501, 1.5, True, False), (1.7, 1.7, False, True), (1.69, 1.7, False, False)],
)
def test_a_figure_holds_up_to_and_with_its_bar(value: float, bar: float, at_most: bool, holds: bool) -> None:
    assert Figure("x", value, bar, at_most, "floor", 0.1).holds is holds


def test_a_ratio_is_the_median_of_paired_rounds(tmp_path: Path) -> None:
    figure = ratio_figure("x", [2.0, 30.0, 4.4], [2.0, 10.0, 4.0], bar=1.2, at_most=True, floor="a thing")
    assert figure.value == 1.1
    write([figure], tmp_path / "bench.json")
    (row,) = json.loads((tmp_path / "bench.json").read_text())["figures"]
    assert {"name", "value", "bar", "holds", "floor", "spread"} <= row.keys()
    assert (row["value"], row["holds"]) == (1.1, True)
    assert "a thing" in table([figure])


def test_an_unknown_benchmark_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["nothing"]) == 2
    assert "sandbox, warm, megabyte, first" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.alone
def test_memory_descriptors_and_processes_stay_flat_over_many_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["5000"]) == 0, capsys.readouterr().out


def test_the_readme_shows_every_benchmark() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for name in bench.BENCHES:
        assert f"| `{name}`: " in readme, name
