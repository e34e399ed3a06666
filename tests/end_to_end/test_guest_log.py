from __future__ import annotations

import re
from pathlib import Path

import httpx

from tests.support.guests import guest
from tests.support.plugins import write_plugin
from tests.support.server import publish_and_install, running_server


def test_what_a_guest_logs_stands_in_the_servers_log_with_its_plugin_and_the_calls_id(tmp_path: Path) -> None:
    tools = {"logs": {"description": "Writes log lines", "input": {"type": "object"}}}
    publish_and_install(write_plugin(tmp_path / "chatty", "chatty", guest("logs"), tools), tmp_path / "data")
    with running_server(tmp_path / "data", args=["--no-bundled"]) as server:
        answer = httpx.post(f"{server.url}/api/v1/tools/chatty_logs/call", json={}, trust_env=False)
        assert answer.json()["content"] == [{"type": "text", "text": "logged"}]
        log = server.log_tail()
    lines = re.findall(r"(\w+) tool_server\.guest chatty call [0-9a-f]{32}: (.*)", log)
    assert lines == [("INFO", "an info line"), ("WARNING", "a warning"), ("ERROR", "an error line")]
