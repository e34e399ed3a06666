"""`python -m tests.bench [NAME]`: run the benchmarks, print a table, write bench.json."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench import (
    catalogue,
    http_calls,
    http_throughput,
    parallel,
    sandbox_calls,
    search,
    stdio_calls,
    stdio_start,
)
from tests.bench.report import Figure, table, write

BENCHES: Mapping[str, Callable[[], Figure]] = {
    "sandbox": sandbox_calls.measure_fresh,
    "warm": sandbox_calls.measure_warm,
    "megabyte": sandbox_calls.measure_megabyte,
    "first": sandbox_calls.measure_first_call,
    "http": http_calls.measure,
    "http-throughput": http_throughput.measure,
    "stdio": stdio_start.measure,
    "stdio-calls": stdio_calls.measure,
    "parallel": parallel.measure,
    "catalogue_call": catalogue.measure_calls,
    "catalogue_start": catalogue.measure_start,
    "catalogue_page": catalogue.measure_page,
    "search": search.measure,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; the exit code says whether every bar holds."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(BENCHES)}\n")
        return 2
    figures: list[Figure] = []
    for name in names or BENCHES:
        sys.stderr.write(f"measuring {name} ...\n")
        figures.append(BENCHES[name]())
    sys.stdout.write(table(figures) + "\n")
    write(figures, Path("bench.json"))
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
