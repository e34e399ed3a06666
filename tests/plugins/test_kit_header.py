"""`extism.h`, which plugin authors include, does what it says: in C and in C++, with and without a C library."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.plugins.running import PLUGINS
from tool_server.bootstrap.host_functions import open_host_functions
from tool_server.bootstrap.services import SystemClock
from tool_server.config import EgressSettings
from tool_server.errors import CallFailed, NotFound
from tool_server.inspection.wasm import host_imports, parse_module
from tool_server.model.call import Call, ToolResult
from tool_server.model.caller import Caller
from tool_server.model.client import NO_CLIENT, ClientChannel
from tool_server.model.json_value import JsonObject
from tool_server.model.limits import Limits
from tool_server.model.nesting import ParentCall
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.sandbox.pool import WorkerPool
from tool_server.sandbox.settings import PoolSettings
from tool_server.services.nested_calls import NestedCalls

pytestmark = pytest.mark.slow

KIT = PLUGINS.parent / "tool_server" / "kits" / "c"

SOURCE = r"""
#include "extism.h"

static char bytes[5000];

EXTISM_EXPORT("echo") int32_t echo(void) {
    size_t length = extism_input_read(0, bytes, sizeof bytes);
    extism_log(EXTISM_LOG_INFO, "echo was called");
    return extism_output(bytes, length) ? 0 : 1;
}

EXTISM_EXPORT("tail") int32_t tail(void) {
    size_t length = extism_input_read(3, bytes, 10);
    if (extism_input_read(extism_input_length(), bytes, 10) != 0) return extism_fail("read behind the end");
    return extism_output(bytes, length) ? 0 : 1;
}

EXTISM_EXPORT("setting") int32_t setting(void) {
    size_t length = extism_config("colour", bytes, sizeof bytes);
    if (length == EXTISM_ABSENT) return extism_fail("no colour was set");
    return extism_output(bytes, length) ? 0 : 1;
}

EXTISM_EXPORT("remember") int32_t remember(void) {
    char short_value[4];
    if (extism_variable("word", bytes, sizeof bytes) != EXTISM_ABSENT) return extism_fail("set before");
    extism_variable_set("word", "extraordinary", 13);
    if (extism_variable("word", short_value, sizeof short_value) != 13) return extism_fail("wrong length");
    if (extism_variable("word", bytes, sizeof bytes) != 13) return extism_fail("wrong length");
    extism_variable_remove("word");
    if (extism_variable("word", bytes + 20, 20) != EXTISM_ABSENT) return extism_fail("not removed");
    extism_output_text("replaced");
    return extism_output(bytes, 13) ? 0 : 1;
}

EXTISM_EXPORT("ask") int32_t ask(void) {
    size_t length;
    extism_log_record("{\"level\":\"info\",\"message\":\"ask was called\"}");
    length = extism_current_time(bytes, sizeof bytes);
    if (length != 26 || bytes[0] != '"') return extism_fail("no time");
    if (extism_last_error(bytes, sizeof bytes) != EXTISM_ABSENT) return extism_fail("an error without a failure");
    if (extism_http_get("{}", bytes, sizeof bytes) != EXTISM_ABSENT) return extism_fail("a page of nowhere");
    if (extism_last_error(bytes, sizeof bytes) == EXTISM_ABSENT) return extism_fail("a failure without an error");
    extism_notify_client("{\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}");
    if (extism_last_error(bytes, sizeof bytes) != EXTISM_ABSENT) return extism_fail("nobody has to listen");
    if (extism_client(bytes, sizeof bytes) == EXTISM_ABSENT || bytes[0] != 0x7b) return extism_fail("no client");
    if (extism_ask_client("{\"requests\":{\"a\":{\"method\":\"roots/list\"}}}", bytes, sizeof bytes) != EXTISM_ABSENT)
        return extism_fail("an answer of nobody");
    if (extism_last_error(bytes, sizeof bytes) == EXTISM_ABSENT) return extism_fail("a failure without an error");
    if (extism_call_tool("{\"name\":\"other\"}", bytes, sizeof bytes) != EXTISM_ABSENT) return extism_fail("called");
    length = extism_last_error(bytes, sizeof bytes);
    return extism_output(bytes, length) ? 0 : 1;
}

EXTISM_EXPORT("refuse") int32_t refuse(void) { return extism_fail("nö, not like that"); }
"""

FREESTANDING = ("-target", "wasm32-freestanding", "-nostdlib", "-Wl,--no-entry")
WAYS = {
    "c99": ("cc", "probe.c", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fno-builtin", *FREESTANDING),
    "c++17": ("c++", "probe.cpp", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fno-builtin", *FREESTANDING),
}


@pytest.fixture(scope="module", params=WAYS)
def module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The probe above, compiled in one of the ways."""
    compiler, name, *flags = WAYS[str(request.param)]
    folder = tmp_path_factory.mktemp("probe")
    (folder / name).write_text(SOURCE)
    command = [sys.executable, "-m", "ziglang", compiler, *flags, "-O2", f"-I{KIT}", name, "-o", "probe.wasm"]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return (folder / "probe.wasm").read_bytes()


async def _no_secret(name: str) -> None:
    return None


async def _no_tool(
    name: str,
    arguments: JsonObject,
    caller: Caller,
    client: ClientChannel = NO_CLIENT,
    parent: ParentCall | None = None,
    /,
) -> ToolResult:
    raise NotFound("unknown_tool", f"there is no tool {name}")


async def run(module: bytes, cache: Path, export: str, data: bytes = b"", **config: str) -> bytes:
    async def read(digest: str) -> bytes:
        return module

    imports = host_imports(parse_module(module))
    nested = NestedCalls(1)
    settings = PoolSettings(workers=1, spares=0, compile_cache=cache)
    async with (
        open_host_functions(EgressSettings(), _no_secret, SystemClock(), nested) as functions,
        WorkerPool(settings, read, functions) as pool,
    ):
        nested.connect(_no_tool)
        call = Call(
            id=uuid4().hex,
            tool=export,
            plugin="probe",
            caller="test",
            program=Program(digest=hashlib.sha256(module).hexdigest(), size=len(module), imports=imports),
            permissions=Permissions(environment=tuple(config)),
            limits=Limits(timeout_ms=30_000),
            export=export,
            input=data,
            config=config,
        )
        return (await pool.run(call)).data


async def test_bytes_go_in_and_out_unchanged(module: bytes, tmp_path: Path) -> None:
    for length in (1, 7, 8, 9, 16, 4_999):
        data = bytes(index % 256 for index in range(length))
        assert await run(module, tmp_path, "echo", data) == data
    assert await run(module, tmp_path, "tail", b"0123456789abcdefgh") == b"3456789abc"


async def test_settings_and_variables_are_read_whole_or_reported_absent(module: bytes, tmp_path: Path) -> None:
    assert await run(module, tmp_path, "setting", colour="dark green") == b"dark green"
    assert await run(module, tmp_path, "remember") == b"extraordinary"
    with pytest.raises(CallFailed, match="no colour was set"):
        await run(module, tmp_path, "setting")


async def test_a_failure_reaches_the_caller_in_the_authors_words(module: bytes, tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="nö, not like that") as caught:
        await run(module, tmp_path, "refuse")
    assert caught.value.code == "guest_error"


async def test_the_host_interface_answers_and_says_why_it_does_not(module: bytes, tmp_path: Path) -> None:
    error = json.loads(await run(module, tmp_path, "ask"))
    assert error["code"] == "unknown_tool"
    assert "other" in error["message"]


def test_a_module_imports_only_what_it_uses(module: bytes) -> None:
    names = {item.name for item in parse_module(module).imports}
    assert not names & {"http_request", "http_headers", "log_error_text", "http_status_code"}
    assert {"input_length", "output_set", "error_set", "config_get", "var_get", "var_set"} <= names
