"""Servers for all tests that only call tools: with the bundled and the trial plugins, and with those of other hosts."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.foreign_plugins import import_foreign_plugins
from tests.support.mastra import SCRIPT
from tests.support.node import NodeConversation, node_conversation, require_node_modules
from tests.support.plugins import trial_plugins, wide_plugin
from tests.support.server import RunningServer, publish_and_install, running_server


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The installed npm packages."""
    return require_node_modules()


@pytest.fixture(scope="session")
def node(node_modules: Path) -> Generator[NodeConversation]:
    """The one Node process in which Mastra runs."""
    with node_conversation(SCRIPT) as conversation:
        yield conversation


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the trial plugins installed."""
    folder = tmp_path_factory.mktemp("end-to-end")
    data = folder / "data"
    data.mkdir()
    for plugin in trial_plugins(folder / "plugins"):
        publish_and_install(plugin, data)
    return data


@pytest.fixture(scope="session")
def server(data_dir: Path) -> Generator[RunningServer]:
    """A running server on `data_dir`. Tests that install, restart or kill run a server of their own."""
    with running_server(data_dir) as running:
        yield running


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A server with plugins of other hosts, imported from one configuration file."""
    with running_server(import_foreign_plugins(tmp_path_factory.mktemp("foreign")), args=["--no-bundled"]) as running:
        yield running


@pytest.fixture(scope="session")
def wide_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A server of 1,200 tools: more than it puts on one page."""
    folder = tmp_path_factory.mktemp("wide")
    data = folder / "data"
    for name in ("wide-one", "wide-two"):
        publish_and_install(wide_plugin(folder / name, name, 600), data)
    with running_server(data, args=["--no-bundled"]) as running:
        yield running
