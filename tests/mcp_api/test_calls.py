"""tools/call over real HTTP: results, every kind of failure, and who may call."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.http_api.registry import Registry
from tests.mcp_api.wire import ERAS, HANDSHAKE, MODERN, call, call_body, error_of, post, text_of
from tests.support.http_server import serving
from tool_server.mcp_api.http_endpoint import HttpSettings
from tool_server.mcp_api.server import McpServer
from tool_server.model.call import ToolResult
from tool_server.model.caller import ANONYMOUS, Caller
from tool_server.model.client import ClientChannel
from tool_server.model.json_value import JsonObject

pytestmark = pytest.mark.parametrize("era", ERAS)

BOTH = {"a": 2, "b": 40}


async def test_structured_output_comes_as_json_and_as_text(registry: Registry, era: str) -> None:
    async with registry.client() as client:
        result = (await call(client, era, "trial_add", BOTH))["result"]
    assert result["structuredContent"] == {"sum": 42}
    assert result["content"] == [{"type": "text", "text": '{"sum":42}'}]
    assert result["isError"] is False
    assert result.get("resultType") == ("complete" if era == MODERN else None)


async def test_text_and_images_come_as_content_blocks(registry: Registry, era: str) -> None:
    async with registry.client() as client:
        words = (await call(client, era, "trial_words", {"text": "one two three"}))["result"]
        (image,) = (await call(client, era, "trial_image"))["result"]["content"]
    assert words["content"] == [{"type": "text", "text": "3 words"}]
    assert "structuredContent" not in words
    assert (image["type"], image["mimeType"], image["data"][:8]) == ("image", "image/png", "iVBORw0K")


@pytest.mark.parametrize(
    ("arguments", "path", "said"),
    [
        ({"a": "two", "b": 1}, "$.a", ("$.a", "an integer", '"two" (string)')),
        ({"a": 1}, "$.b", ("$.b", "required", "an integer")),
        ({"a": 1, "b": 1.5}, "$.b", ("$.b", "an integer", "1.5")),
    ],
)
async def test_invalid_arguments_say_path_expected_and_got_to_model_and_program(
    registry: Registry, era: str, arguments: JsonObject, path: str, said: tuple[str, ...]
) -> None:
    async with registry.client() as client:
        answer = await call(client, era, "trial_add", arguments)
    assert all(part in text_of(answer) for part in said)
    error = error_of(answer)
    assert (error["kind"], error["code"]) == ("invalid_input", "invalid_arguments")
    (problem,) = error["data"]["errors"]
    assert problem["path"] == path
    assert problem["expected"]
    assert problem["got"]


@pytest.mark.parametrize(
    ("tool", "code", "said"),
    [
        ("trial_error", "guest_error", "the thing is broken: bring a new one"),
        ("trial_trap", "trap", "other arguments"),
        ("trial_not_json", "bad_output", "not the arguments"),
        ("brief_spin", "timeout", "100 ms"),
        ("bomb_memory_bomb", "out_of_memory", "memory limit"),
    ],
)
async def test_a_failed_call_is_a_result_that_says_what_to_do(
    registry: Registry, era: str, tool: str, code: str, said: str
) -> None:
    async with registry.client() as client:
        answer = await call(client, era, tool)
        assert (await call(client, era, "trial_add", BOTH))["result"]["structuredContent"] == {"sum": 42}
    assert said in text_of(answer)
    assert (error_of(answer)["kind"], error_of(answer)["code"]) == ("call_failed", code)


async def test_an_error_of_the_tool_itself_keeps_the_tools_words(registry: Registry, era: str) -> None:
    async with registry.client() as client:
        answer = await call(client, era, "servlet_refuse")
    assert (answer["result"]["isError"], text_of(answer)) == (True, "refused on purpose")
    assert "tool-server/error" not in answer["result"].get("_meta", {})


@pytest.mark.parametrize("tool", ["trial_gone", "add", "", "trial add", "x" * 2_000])
async def test_an_unknown_tool_is_a_protocol_error(registry: Registry, era: str, tool: str) -> None:
    async with registry.client() as client:
        response = await post(client, era, "tools/call", {"name": tool, "arguments": {}})
    error = response.json()["error"]
    assert (error["code"], tool[:100] in error["message"]) == (-32602, True)
    assert len(error["message"]) < 300


@pytest.mark.parametrize("scope", ["read", "publish", "call", "admin", None])
async def test_who_may_read_may_list_and_only_who_may_call_calls(
    registry: Registry, era: str, scope: str | None
) -> None:
    async with registry.client(scope) as client:
        listed = (await post(client, era, "tools/list")).json()["result"]["tools"]
        answer = await call(client, era, "trial_add", BOTH)
    assert "trial_add" in {tool["name"] for tool in listed}
    if scope in ("read", "publish"):
        assert (error_of(answer)["kind"], error_of(answer)["code"]) == ("denied", "missing_scope")
        assert "--scope call" in text_of(answer)
    else:
        assert answer["result"]["structuredContent"] == {"sum": 42}


@pytest.mark.parametrize("token", ["ts_0123456789ab_" + "A" * 43, "nonsense", "Bearer"])
async def test_a_bad_token_is_turned_away_before_the_protocol(registry: Registry, era: str, token: str) -> None:
    async with registry.client() as client:
        response = await post(client, era, "tools/list", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"a": NaN, "b": 1}', "invalid_arguments"),
        ('{"a": Infinity, "b": 1}', "invalid_arguments"),
        ('{"a": 1e999, "b": 1}', "invalid_arguments"),
        ('{"a": [' + "[" * 170 + "]" * 170 + '], "b": 1}', "invalid_arguments"),
        ("{}", "invalid_arguments"),
        ("null", "invalid_arguments"),
        ("[1]", -32602),
        ('"text"', -32602),
        ('{"a": "\\ud800", "b": 1}', "invalid_arguments"),
        ('{"a": "\udcff", "b": 1}', -32700),
        ('{"a": ' + "[" * 60_000 + "]" * 60_000 + ', "b": 1}', -32700),
        ('{"a": 1', -32700),
    ],
    ids=range(12),
)
async def test_arguments_that_are_no_json_or_no_object_are_refused_and_the_server_goes_on(
    registry: Registry, era: str, arguments: str, code: object
) -> None:
    async with registry.client() as client:
        params = {"name": "trial_add"}
        sent = call_body(era, "trial_add", arguments)
        answer = (await post(client, era, "tools/call", params, content=sent)).json()
        assert (await call(client, era, "trial_add", BOTH))["result"]["structuredContent"] == {"sum": 42}
    if era == HANDSHAKE and "ud800" in arguments:
        code = -32700  # that era's parser is the stricter one
    if isinstance(code, int):
        assert answer["error"]["code"] == code
    else:
        assert error_of(answer)["code"] == code


async def test_a_body_beyond_the_limit_is_refused(registry: Registry, era: str) -> None:
    sent = call_body(era, "trial_words", json.dumps({"text": "x" * 300_000}))
    async with registry.client() as client:
        response = await post(client, era, "tools/call", {"name": "trial_words"}, content=sent)
        assert response.status_code == 413
        assert (await call(client, era, "trial_words", {"text": "one"}))["result"]["content"][0]["text"] == "1 words"


class Caused(Exception):
    """Holds what no client may see."""


@asynccontextmanager
async def broken_server(registry: Registry) -> AsyncGenerator[httpx.AsyncClient]:
    """The MCP endpoint over a service with a bug."""

    async def invoke(tool: str, arguments: JsonObject, caller: Caller, client: ClientChannel) -> ToolResult:
        raise Caused("secret-of-the-server")

    mcp = McpServer(
        lambda: registry.services.catalog.current, invoke, registry.services.suspended, registry.services.content, "1"
    )
    app = mcp.http_app(HttpSettings(("127.0.0.1:*",), (), 65_536))
    async with mcp.watching_clients(), serving(_as_anonymous(app)) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            yield client


def _as_anonymous(app: ASGIApp) -> ASGIApp:
    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = ANONYMOUS
        await app(scope, receive, send)

    return named


async def test_an_error_that_nobody_foresaw_shows_a_log_id_and_nothing_else(
    registry: Registry, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with broken_server(registry) as client:
        response = await post(client, era, "tools/call", {"name": "trial_add", "arguments": BOTH})
    assert "secret" not in response.text
    assert "Caused" not in response.text
    answer: dict[str, Any] = response.json()
    error = error_of(answer)
    assert (error["kind"], error["code"]) == ("internal", "internal_error")
    assert error["data"]["log_id"] in text_of(answer)
    assert error["data"]["log_id"] in caplog.text
    assert "secret-of-the-server" in caplog.text
