"""Plugins of hyper-mcp v1 and v2 and an mcp.run servlet, unchanged, by way of the SDK's client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client

from tests.support.guests import guest
from tests.support.server import RunningServer, extism_registry, running_server, server_environment

pytestmark = pytest.mark.timeout(300)

GUESTS = {"first": "hyper_v1_surface", "second": "hyper_v2_surface", "servlet": "mcp_run_surface"}
ERAS = ["2026-07-28", "legacy"]
SECRET = "kept-by-the-server"
BLOCKS: dict[str, Any] = {
    "get_keyring_secret": {"service": "app", "user": "admin"},
    "get_access_token": {"client_id": "admin", "token_endpoint_url": "https://app/token"},
    "create_elicitation": {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}},
    "create_message": {"messages": [], "maxTokens": 1},
    "list_roots": {},
    "notify_logging_message": {"level": "info", "data": "from the guest"},
    "notify_progress": {"progressToken": "p", "progress": 1},
    "notify_resource_updated": {"uri": "file:///a"},
    "notify_url_elicitation_completed": {"elicitationId": "e"},
    "notify_tool_list_changed": {},
    "notify_prompt_list_changed": {},
    "notify_resource_list_changed": {},
}
ANSWERS: dict[str, Any] = {
    "get_access_token": {"access_token": "[secret app.admin]", "expires_at": None, "scopes": None},
    "create_elicitation": {"action": "decline", "content": {"error": "Peer does not support form elicitation"}},
    "create_message": {
        "role": "assistant",
        "content": {"type": "text", "text": "Peer does not support sampling"},
        "model": "",
        "stopReason": "error",
    },
    "list_roots": {"roots": []},
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A server with the three plugins, imported from one configuration file."""
    folder = tmp_path_factory.mktemp("foreign")
    runtime = {
        "allowed_secrets": [{"service": "app", "user": "admin"}],
        "env_vars": {"KEY": "from the file"},
        "skip_tools": ["debug_.*"],
    }
    plugins: dict[str, object] = {}
    for name, source in GUESTS.items():
        (folder / f"{name}.wasm").write_bytes(guest(source))
        plugins[name] = {"url": (folder / f"{name}.wasm").as_uri(), "runtime_config": runtime}
    (folder / "config.json").write_text(json.dumps({"plugins": plugins}))
    data = folder / "data"
    extism_registry("import-config", str(folder / "config.json"), data_dir=data)
    _set_secret(data)
    with running_server(data, args=["--no-bundled"]) as server:
        yield server


def _set_secret(data: Path) -> None:
    command = (sys.executable, "-m", "tool_server", "secret", "set", "app.admin", "--data-dir", str(data))
    subprocess.run(command, input=SECRET, text=True, env=server_environment(), cwd=data.parent, timeout=60, check=True)


@pytest.mark.parametrize("era", ERAS)
async def test_every_import_of_hyper_mcp_answers_in_its_shape(foreign: RunningServer, era: str) -> None:
    with anyio.fail_after(120):
        async with Client(foreign.mcp_url, mode=era) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            assert listed == ["first_setting", "first_use", "second_setting", "second_use", "servlet_show"]
            for plugin in ("first", "second"):
                for function, block in BLOCKS.items():
                    arguments = {"function": function, "block": json.dumps(block)}
                    result = await client.call_tool(f"{plugin}_use", arguments)
                    assert not result.is_error, (function, result)
                    (content,) = result.content
                    assert isinstance(content, types.TextContent)
                    assert SECRET not in content.text
                    if function in ANSWERS:
                        assert json.loads(content.text) == ANSWERS[function]
                    else:
                        assert content.text == ("[secret app.admin]" if function == "get_keyring_secret" else "")
                setting = await client.call_tool(f"{plugin}_setting", {"key": "KEY"})
                assert setting.content == [types.TextContent(text="from the file")]
    assert "from the guest" in foreign.log_tail()
    assert SECRET not in foreign.log_tail()


@pytest.mark.parametrize("era", ERAS)
async def test_a_servlet_of_mcp_run_shows_its_settings_and_every_kind_of_content(
    foreign: RunningServer, era: str
) -> None:
    with anyio.fail_after(120):
        async with Client(foreign.mcp_url, mode=era) as client:
            result = await client.call_tool("servlet_show", {"key": "KEY"})
            failed = await client.call_tool("servlet_show", {})
    text, image, resource = result.content
    assert text == types.TextContent(text="from the file|from the file")
    assert isinstance(image, types.ImageContent)
    assert (image.mime_type, image.data) == ("image/png", "aW1hZ2U=")
    assert isinstance(resource, types.EmbeddedResource)
    assert isinstance(resource.resource, types.TextResourceContents)
    assert (resource.resource.mime_type, resource.resource.text) == ("text/plain", "inside")
    assert failed.is_error
    assert "give a key" in str(failed.content)
