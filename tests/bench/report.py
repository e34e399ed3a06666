"""A figure, and how figures are shown and kept."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured ratio against its bar.

    `floor` says what was measured beside it, `spread` is the interquartile range of the ratio over the rounds.
    """

    name: str
    value: float
    bar: float
    at_most: bool
    """Whether the bar is a maximum (else a minimum)."""
    floor: str
    spread: float

    @property
    def holds(self) -> bool:
        """Whether the bar is kept."""
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def ratio_figure(
    name: str, ours: Sequence[float], floors: Sequence[float], *, bar: float, at_most: bool, floor: str
) -> Figure:
    """A figure from paired rounds: the median of the ratios, each pair measured one right after the other."""
    ratios = sorted(our / low for our, low in zip(ours, floors, strict=True))
    quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return Figure(
        name=name,
        value=round(statistics.median(ratios), 3),
        bar=bar,
        at_most=at_most,
        floor=floor,
        spread=round(quarters[2] - quarters[0], 3),
    )


def table(figures: Sequence[Figure]) -> str:
    """All figures as text."""
    lines = [f"{'figure':<28}{'value':>8}  {'bar':>8}  {'holds':<6}{'spread':>7}  floor"]
    for figure in figures:
        bar = f"{'<=' if figure.at_most else '>='} {figure.bar}"
        holds = "yes" if figure.holds else "NO"
        lines.append(f"{figure.name:<28}{figure.value:>8}  {bar:>8}  {holds:<6}{figure.spread:>7}  {figure.floor}")
    return "\n".join(lines)


def write(figures: Sequence[Figure], path: Path) -> None:
    """Keep the figures as JSON."""
    rows = [{**asdict(figure), "holds": figure.holds} for figure in figures]
    path.write_text(json.dumps({"figures": rows}, indent=2) + "\n", encoding="utf-8")
