"""One pool for all tests of the bundled plugins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plugins.running import BundledPlugins, bundled_plugins


@pytest.fixture(scope="package")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BundledPlugins]:
    """The bundled plugins, in the product's own sandbox."""
    with bundled_plugins(tmp_path_factory.mktemp("compiled")) as running:
        yield running
