from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.support.http_server import serving
from tests.support.programs import ECHO_SCHEMA, publish_and_install
from tool_server.bootstrap.http import http_application
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.model.catalog import Catalog, Offer
from tool_server.model.json_value import JsonObject
from tool_server.model.tool import QuarantinedTool
from tool_server.web.home import render


async def test_the_page_lists_the_tools_with_their_parameters_and_how_to_connect(tmp_path: Path) -> None:
    async with build(Config(data_dir=tmp_path)) as services:
        await publish_and_install(services, "echo")
        async with serving(http_application(services, port=0).app) as base, httpx.AsyncClient() as client:
            response = await client.get(f"{base}/")
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/html; charset=utf-8"
            assert "default-src 'none'" in response.headers["content-security-policy"]
            page = response.text
            assert f"new URL(&#x27;{base}/mcp&#x27;)" in page
            assert "<code>echo_echo</code>" in page
            assert "<code>text</code> — What to return." in page
            assert (await client.get(f"{base}/", headers={"Host": "evil.example"})).status_code == 421
            assert (await client.get(f"{base}/", headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 401


async def test_nothing_from_a_plugin_is_taken_as_markup(tmp_path: Path) -> None:
    async with build(Config(data_dir=tmp_path)) as services:
        hostile = "<script>alert(1)</script> & \"'"
        schema: JsonObject = {**ECHO_SCHEMA, "properties": {"text": {"type": "string", "description": hostile}}}
        texts: JsonObject = {"description": hostile, "title": hostile, "examples": [{"input": {"text": hostile}}]}
        tools: JsonObject = {"echo": {**texts, "input": schema}}
        await publish_and_install(services, "echo", manifest={"tools": tools, "description": hostile})
        catalog = services.catalog.current
        page = render(catalog, await services.catalog.describe(catalog.page()), "http://127.0.0.1:8000", hostile)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 5


def test_an_empty_server_says_what_to_do_and_a_tool_held_back_is_shown_with_its_reason() -> None:
    held = QuarantinedTool(name="bad", rule="name-collision", reason="the name is taken")
    offer = Offer("plugin", "1.0.0", datetime(2026, 1, 1, tzinfo=UTC), (), (held,))
    page = render(Catalog(1, [offer]), (), "http://127.0.0.1:8000", "1")
    assert "extism-registry install NAME" in page
    assert "<code>plugin: bad</code> — the name is taken" in page
