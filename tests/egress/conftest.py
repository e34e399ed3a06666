"""One inhabited network for all tests of this folder."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.egress.place import Place, inhabited


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    with inhabited(tmp_path_factory.mktemp("place")) as ready:
        yield ready
