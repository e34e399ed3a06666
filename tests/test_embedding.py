"""Plugins and the whole server inside a Python program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from mcp import Client

import tool_server
from tests.services.publishing import ADD, offer, publish, until
from tests.support.guests import guest
from tests.support.http_server import serving
from tests.support.plugins import NOTE, trial_plugins, write_plugin
from tool_server import ToolServer, load_plugin
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.errors import CallFailed, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.model.caller import LOCAL
from tool_server.model.limits import Limits
from tool_server.model.permission import Permissions

BAD_ADD = {**ADD, "input": {"type": "string"}}
BOTH: dict[str, Any] = {"a": 40, "b": 2}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin `trial`: tools that work, fail and crash."""
    return trial_plugins(tmp_path_factory.mktemp("embedding"))[0]


def write(folder: Path, guest_name: str, **fields: object) -> Path:
    """A plugin folder around a guest that takes any arguments."""
    return write_plugin(folder, folder.name, guest(guest_name), {guest_name: {"input": {"type": "object"}}}, **fields)


@pytest.mark.parametrize("spelling", ["folder", "plugin.json", "text"])
async def test_a_folder_is_loaded_and_its_tools_are_called_by_their_own_names(
    folder: Path, config: Config, spelling: str
) -> None:
    path = {"folder": folder, "plugin.json": folder / "plugin.json", "text": str(folder)}[spelling]
    async with load_plugin(path, config=config) as plugin:
        assert (plugin.name, plugin.version) == ("trial", "1.0.0")
        assert {"add", "echo", "words"} <= plugin.tools.keys()
        assert plugin.tools["echo"].input_schema == NOTE
        assert await plugin.call("add", BOTH) == {"sum": 42}
        assert await plugin.call("words", {"text": "one two"}) == "2 words"
        assert await plugin.call("echo", {"text": "x"}) == {"text": "x", "count": 3}
        image = await plugin.call_tool("image")
    assert image.content[0]["mimeType"] == "image/png"
    assert not (config.data_dir / "tool-server.db").exists()


async def test_a_bare_module_is_loaded_with_text_tools(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "Big Echo.wasm"
    await anyio.Path(path).write_bytes(guest("echo"))
    async with load_plugin(path, config=config) as plugin:
        assert (plugin.name, plugin.version) == ("big-echo", "0.0.0-local")
        assert await plugin.call("echo", {"input": "as it is"}) == "as it is"


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        ("sums", "2.0.0"),
        ("sums@^1", "1.1.0"),
        ("sums@1.0.0", "1.0.0"),
        ("sums@latest", "2.0.0"),
        ("@acme/sums", "1.0.0"),
    ],
)
async def test_a_published_plugin_is_loaded_by_name_and_range(config: Config, requirement: str, version: str) -> None:
    async with build(config) as services:
        for published in ("1.0.0", "1.1.0", "2.0.0"):
            await publish(services, "sums", published)
        await publish(services, "@acme/sums")
    async with load_plugin(requirement, config=config) as plugin:
        assert (plugin.name, plugin.version) == (requirement[0] + requirement[1:].partition("@")[0], version)
        assert await plugin.call("add", BOTH) == {"sum": 42}


@pytest.mark.parametrize(
    ("tool", "arguments", "error", "code"),
    [
        ("add", {"a": "forty", "b": 2}, InvalidInput, "invalid_arguments"),
        ("add", {}, InvalidInput, "invalid_arguments"),
        ("add", {"a": {1}, "b": object()}, InvalidInput, "invalid_arguments"),
        ("error", {}, CallFailed, "guest_error"),
        ("trap", {}, CallFailed, "trap"),
        ("not_json", {}, CallFailed, "bad_output"),
        ("trial_add", BOTH, NotFound, "unknown_tool"),
        ("", BOTH, NotFound, "unknown_tool"),
    ],
)
async def test_errors_come_out_as_themselves_and_the_plugin_goes_on(
    folder: Path, config: Config, tool: str, arguments: dict[str, Any], error: type[ToolServerError], code: str
) -> None:
    async with load_plugin(folder, config=config) as plugin:
        with pytest.raises(error) as inside:
            await plugin.call(tool, arguments)
        assert inside.value.code == code
        assert await plugin.call("add", BOTH) == {"sum": 42}

    async def uncaught() -> None:
        async with load_plugin(folder, config=config) as plugin:
            await plugin.call(tool, arguments)

    with pytest.raises(error) as outside:
        await uncaught()
    assert outside.value.code == code


async def test_an_error_that_the_tool_answers_is_raised_by_call_and_returned_by_call_tool(
    tmp_path: Path, config: Config
) -> None:
    await anyio.Path(tmp_path / "servlet.wasm").write_bytes(guest("servlet"))
    async with load_plugin(tmp_path / "servlet.wasm", config=config) as plugin:
        result = await plugin.call_tool("refuse")
        assert (result.is_error, result.content[0]["text"]) == (True, "refused on purpose")
        with pytest.raises(CallFailed) as failed:
            await plugin.call("refuse")
        assert (failed.value.code, failed.value.message) == ("tool_error", "refused on purpose")


async def test_what_the_program_itself_raises_is_not_wrapped(folder: Path, config: Config) -> None:
    async def run(name: str | Path) -> None:
        async with load_plugin(name, config=config):
            raise KeyError("mine")

    async with build(config) as services:
        await publish(services, "sums")
    for name in (folder, "sums"):
        with pytest.raises(KeyError):
            await run(name)


@pytest.mark.parametrize(
    ("limits", "guest_name", "arguments", "error", "code"),
    [
        (Limits(timeout_ms=100), "spin", {}, CallFailed, "timeout"),
        (Limits(memory_bytes=2**20), "memory_bomb", {}, CallFailed, "out_of_memory"),
        (Limits(fuel=10_000), "spin", {}, CallFailed, "out_of_fuel"),
        (Limits(output_bytes=10), "echo", {"text": "more than ten bytes"}, CallFailed, "output_too_large"),
        (Limits(input_bytes=10), "echo", {"text": "more than ten bytes"}, InvalidInput, "input_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_limits_bound_each_call(
    tmp_path: Path,
    config: Config,
    limits: Limits,
    guest_name: str,
    arguments: dict[str, Any],
    error: type[ToolServerError],
    code: str,
) -> None:
    path = write(tmp_path / "bounded", guest_name, limits={"timeout": "30s"})
    async with load_plugin(path, limits=limits, config=config) as plugin:
        with anyio.fail_after(20), pytest.raises(error) as failed:
            await plugin.call(guest_name, arguments)
    assert failed.value.code == code


@pytest.mark.parametrize(
    ("granted", "seen"),
    [(None, "none"), (Permissions(), "none"), (Permissions(environment=("COLOUR", "SHAPE")), "blue")],
)
async def test_a_plugin_gets_what_it_requests_and_the_program_grants(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch, granted: Permissions | None, seen: str
) -> None:
    monkeypatch.setenv("COLOUR", "blue")
    monkeypatch.setenv("SHAPE", "round")
    path = write_plugin(
        tmp_path / "reader", "reader", guest("config"), {}, permissions={"environment": ["COLOUR", "HOME"]}
    )
    async with load_plugin(path, permissions=granted, config=config) as plugin:
        read = {name: await plugin.call("config", {"input": name}) for name in ("COLOUR", "SHAPE", "HOME")}
    assert read == {"COLOUR": seen, "SHAPE": "none", "HOME": "none"}


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("absent", NotFound, "unknown_plugin"),
        ("sums@^9", NotFound, "no_matching_version"),
        ("sums@one", InvalidInput, "invalid_range"),
        ("No Such Name", InvalidInput, "invalid_name"),
        ("", InvalidInput, "missing_file"),
        ("absent.wasm", InvalidInput, "missing_file"),
        ("absent/plugin.json", InvalidInput, "missing_file"),
    ],
)
async def test_a_plugin_that_cannot_be_found_is_told_before_anything_runs(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: type[ToolServerError], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with build(config) as services:
        await publish(services, "sums")

    async def load() -> None:
        async with load_plugin(name, config=config):
            pytest.fail("it was loaded")

    with pytest.raises(error) as refused:
        await load()
    assert refused.value.code == code
    assert refused.value.message


@pytest.mark.parametrize(
    ("manifest", "wasm", "code"),
    [
        ({"name": "Bad Name", "version": "1.0.0"}, guest("add"), "invalid_manifest"),
        ({"name": "good", "version": "1.0.0", "colour": "blue"}, guest("add"), "invalid_manifest"),
        (
            {"name": "good", "version": "1.0.0", "tools": {"add": {**ADD, "input": {"type": "string"}}}},
            guest("add"),
            "lint",
        ),
        ({"name": "good", "version": "1.0.0", "wasm": "../plugin.wasm"}, guest("add"), "unsafe_path"),
        ({"name": "good", "version": "1.0.0"}, b"not wasm", "not_wasm"),
        ({"name": "good", "version": "1.0.0"}, guest("add")[:-7], "invalid_wasm"),
    ],
    ids=["name", "field", "lint", "path", "bytes", "truncated"],
)
async def test_a_plugin_that_breaks_a_rule_is_refused_unwrapped(
    tmp_path: Path, config: Config, manifest: Mapping[str, object], wasm: bytes, code: str
) -> None:
    (tmp_path / "plugin.json").write_text(json.dumps(manifest))
    (tmp_path / "plugin.wasm").write_bytes(wasm)

    async def load() -> None:
        async with load_plugin(tmp_path, config=config):
            pytest.fail("it was loaded")

    with pytest.raises(InvalidInput) as refused:
        await load()
    assert refused.value.code == code


async def test_cancelling_a_call_stops_its_guest_and_the_next_one_works(tmp_path: Path, config: Config) -> None:
    spin = write(tmp_path / "endless", "spin", limits={"timeout": "60s"})
    with anyio.fail_after(30):
        async with load_plugin(spin, config=config) as plugin:
            for _ in range(2):
                with anyio.move_on_after(0.2) as patience:
                    await plugin.call("spin")
                assert patience.cancelled_caught


async def test_a_plugin_is_of_no_use_after_its_block(folder: Path, config: Config) -> None:
    async with load_plugin(folder, config=config) as plugin:
        await plugin.call("add", BOTH)
    with pytest.raises(Unavailable) as refused:
        await plugin.call("add", BOTH)
    assert refused.value.code == "shutting_down"


async def test_calls_run_side_by_side(folder: Path, config: Config) -> None:
    sums: dict[int, object] = {}
    async with load_plugin(folder, config=config) as plugin, anyio.create_task_group() as tasks:

        async def add(number: int) -> None:
            sums[number] = await plugin.call("add", {"a": number, "b": 1})

        for number in range(50):
            tasks.start_soon(add, number)
    assert sums == {number: {"sum": number + 1} for number in range(50)}


async def test_the_whole_server_is_an_application_with_a_lifespan(config: Config) -> None:
    app = ToolServer(config)
    with pytest.raises(Unavailable) as early:
        _ = app.services
    assert early.value.code == "not_running"
    async with serving(app) as url:
        await offer(app.services, "sums")
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            assert (await client.get("/readyz")).status_code == 200
            called = await client.post("/api/v1/tools/sums_add/call", json=BOTH)
            assert called.json()["structuredContent"] == {"sum": 42}
        async with Client(f"{url}/mcp") as client:
            assert (await client.call_tool("sums_add", BOTH)).structured_content == {"sum": 42}
        pids = app.services.pool.pids
        assert pids
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    with pytest.raises(Unavailable):
        _ = app.services
    async with build(config) as services:
        assert len(await services.call_log.recent()) == 2
        assert [item.plugin for item in (await services.browse.installed(LOCAL)).items] == ["sums"]


async def test_a_request_without_the_lifespan_is_refused_by_name(config: Config) -> None:
    transport = httpx.ASGITransport(app=ToolServer(config))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        with pytest.raises(Unavailable) as refused:
            await client.get("/readyz")
    assert refused.value.code == "not_running"
    assert "lifespan" in refused.value.message


@pytest.mark.parametrize("lifespan", ["auto", "on"])
async def test_a_server_that_cannot_open_its_data_folder_does_not_start(
    tmp_path: Path, lifespan: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    app = ToolServer(Config(data_dir=tmp_path / "file" / "data"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan=lifespan))
    with anyio.fail_after(20), pytest.raises(SystemExit):
        await server.serve()
    assert not server.started
    assert "cannot make the data folder" in caplog.text


def test_the_package_names_what_it_offers() -> None:
    for name in tool_server.__all__:
        assert getattr(tool_server, name) is not None
    with pytest.raises(AttributeError):
        _ = tool_server.nothing_like_it
