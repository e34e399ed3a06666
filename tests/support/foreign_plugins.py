"""Plugins of other hosts: what their guests call and get, and a data folder into which they were imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.guests import guest
from tests.support.server import extism_registry, server_environment

GENERATIONS = ["first", "second"]
"""Plugins with every import of hyper-mcp, v1 and v2."""
GUESTS = {"first": "hyper_v1_surface", "second": "hyper_v2_surface", "servlet": "mcp_run_surface"}
TOOLS = ["first_setting", "first_use", "second_setting", "second_use", "servlet_show"]
SECRET = "kept-by-the-server"
SETTING = "from the file"

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
"""Every import with an argument."""

NO_MESSAGE = {
    "role": "assistant",
    "content": {"type": "text", "text": "Peer does not support sampling"},
    "model": "",
    "stopReason": "error",
}
ANSWERS: dict[str, Any] = {
    "get_access_token": {"access_token": "[secret app.admin]", "expires_at": None, "scopes": None},
    "create_elicitation": {"action": "decline", "content": {"error": "Peer does not support form elicitation"}},
    "create_message": NO_MESSAGE,
    "list_roots": {"roots": []},
}
"""What those give that answer in JSON, with a client that cannot be asked."""

FORM: dict[str, Any] = {
    "message": "Name?",
    "requestedSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
DATED: dict[str, Any] = {
    "message": "When?",
    # As hyper-mcp's schema generator writes it.
    "requestedSchema": {"type": "object", "properties": {"at": {"type": "string", "format": "date_time"}}},
    "timeout": 60,
}
PAGE = {"mode": "url", "message": "Sign in", "url": "https://example.com/", "elicitationId": "e1"}
SAMPLE = {"messages": [{"role": "user", "content": {"type": "text", "text": "Say hello"}}], "maxTokens": 10}


def use(function: str, block: object = None) -> dict[str, Any]:
    """The arguments of the tool `use` of both generations; see `guest_sources`."""
    return {"function": function, **({} if block is None else {"block": json.dumps(block)})}


def answer_of(function: str, text: str) -> bool:
    """Whether a plugin got what it is to get from a function where its client cannot be asked."""
    if function in ANSWERS:
        return json.loads(text) == ANSWERS[function]
    return text == ("[secret app.admin]" if function == "get_keyring_secret" else "")


def import_foreign_plugins(folder: Path) -> Path:
    """Import the three plugins from one configuration file of their host; returns the data folder."""
    runtime = {
        "allowed_secrets": [{"service": "app", "user": "admin"}],
        "env_vars": {"KEY": SETTING},
        "skip_tools": ["debug_.*"],
    }
    plugins: dict[str, object] = {}
    for name, source in GUESTS.items():
        (folder / f"{name}.wasm").write_bytes(guest(source))
        plugins[name] = {"url": (folder / f"{name}.wasm").as_uri(), "runtime_config": runtime}
    (folder / "config.json").write_text(json.dumps({"plugins": plugins}))
    data = folder / "data"
    extism_registry("import-config", str(folder / "config.json"), data_dir=data)
    command = (sys.executable, "-m", "tool_server", "secret", "set", "app.admin", "--data-dir", str(data))
    subprocess.run(command, input=SECRET, text=True, env=server_environment(), cwd=folder, timeout=60, check=True)
    return data
