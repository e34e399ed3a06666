"""Fixtures that every test may use."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code. What decides on a submission tries the same
# examples each time, so that it passes or fails for what was submitted; every other run looks for new ones.
settings.register_profile("any-machine", deadline=None, derandomize=os.environ.get("REQUIRE_ALL") == "1")
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The product runs on asyncio: the MCP SDK's HTTP stack and uvicorn do."""
    return "asyncio"


SLOW = (
    *("tests/cli/", "tests/end_to_end/", "tests/plugins/"),
    *(
        f"tests/mcp_api/test_{name}.py"
        for name in (
            *("asking_clients", "content", "lane_agreement", "request_states", "resumption", "search_view"),
            *("sessions", "tasks", "tracing"),
        )
    ),
    *(f"tests/services/test_{name}.py" for name in ("hyper_functions", "nested_calls", "plugin_content", "search")),
    *("tests/sandbox/test_confinement.py", "tests/sandbox/test_validation.py"),
    *("tests/test_embedding.py", "tests/test_host_functions.py", "tests/http_api/test_installations.py"),
    "tests/inspection/wasm/test_costs.py",
)
"""Folders and files that `make test-fast` has no time for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole systems, commands and bundled plugins are for the full run, whatever a test of them says about itself."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
