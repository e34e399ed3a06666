"""Two workplaces for the same tests: one on its own data folder, one logged in to a running server."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.workplace import Workplace
from tests.support.server import running_server


@dataclass(frozen=True, slots=True)
class Site:
    """A running server and its operator, who works on its data folder."""

    url: str
    operator: Workplace

    def token(self, name: str, scope: str) -> str:
        """Make a token and return what is to be sent."""
        made = self.operator.tool_server("token", "create", name, "--scope", scope, "--json")
        return made.json["secret"]


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    operator = Workplace(tmp_path_factory.mktemp("operator"))
    with running_server(operator.data, args=["--no-bundled"], env={"TOOL_SERVER_WORKERS": "1"}) as server:
        yield Site(server.url, operator)


@pytest.fixture(scope="package")
def remote(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Generator[Workplace]:
    """Logged in as an administrator; nothing may ever be written to the data folder of this machine."""
    workplace = Workplace(tmp_path_factory.mktemp("remote"))
    login = workplace.extism_registry("login", site.url, "--token-stdin", stdin=f"{site.token('remote', 'admin')}\n")
    assert f"logged in to {site.url} as remote (admin)" in login.stdout
    yield workplace
    assert not workplace.data.exists()


@pytest.fixture(scope="package")
def local(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("local"))


@pytest.fixture(params=["local", "remote"])
def place(request: pytest.FixtureRequest) -> Workplace:
    """Each test with this fixture runs twice: on the local data folder and, after `login`, on a server."""
    workplace: Workplace = request.getfixturevalue(request.param)
    return workplace


@pytest.fixture
def alone(tmp_path: Path) -> Workplace:
    """A workplace for one test."""
    return Workplace(tmp_path)
