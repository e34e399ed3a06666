"""The documented host interface against the one that guests meet: names, shapes, and values both ways."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.inspection.conformity import conforms
from tests.inspection.test_public_schemas import schema, undescribed
from tests.services.publishing import ANYTHING, CALLER, offer
from tests.support.http_server import serving
from tests.support.interface_guests import interface_guest
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.model.host_interface import INTERFACE
from tool_server.model.json_value import JsonObject
from tool_server.model.permission import Permissions

DOCUMENT = schema("host-interface")
FUNCTIONS = cast(dict[str, Any], DOCUMENT["properties"])


def part(name: str, side: str) -> JsonObject:
    """The schema of what a function takes or returns."""
    return FUNCTIONS[name]["properties"][side]


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Services]:
    folder = tmp_path_factory.mktemp("interface")
    settings = {"data_dir": folder, "workers": 1, "spare_workers": 0, "egress": {"allow_addresses": ["127.0.0.0/8"]}}
    async with build(Config.model_validate(settings), environment={}) as running:
        await offer(running, "sums")
        for name in INTERFACE:
            await offer(
                running,
                name.replace("_", "-"),
                wasm=interface_guest(name),
                tools={name: ANYTHING},
                permissions={"tools": ["sums_add"]},
                granted=Permissions(tools=("sums_add",)),
            )
        yield running


async def ask(services: Services, name: str, arguments: JsonObject) -> JsonObject:
    """`{"answer": …}` or `{"error": …}`."""
    result = await services.invoke.call(f"{name.replace('_', '-')}_{name}", arguments, CALLER)
    return json.loads(str(result.content[0]["text"]))


def test_the_document_is_a_schema_that_describes_every_function() -> None:
    Draft202012Validator.check_schema(DOCUMENT)
    assert undescribed(DOCUMENT, "$") == []
    assert FUNCTIONS.keys() == INTERFACE.keys()
    for name, shape in INTERFACE.items():
        assert FUNCTIONS[name]["properties"].keys() == {
            *(["input"] if shape.takes else []),
            *(["output"] if shape.gives else []),
        }


REQUESTS: list[tuple[str, JsonObject, bool]] = [
    ("log", {"level": "info", "message": "hello"}, True),
    ("log", {"level": "loud", "message": "hello"}, False),
    ("log", {"level": "info"}, False),
    ("log", {"level": "info", "message": 1}, False),
    ("log", {"level": "info", "message": "hello", "more": 1}, False),
    ("log", {}, False),
    ("call_tool", {"name": "sums_add", "arguments": {"a": 1, "b": 2}}, True),
    ("call_tool", {"arguments": {}}, False),
    ("call_tool", {"name": "sums_add", "arguments": [1, 2]}, False),
    ("call_tool", {"name": "no name"}, False),
    ("call_tool", {"name": "sums_add", "more": 1}, False),
    ("notify_client", {"method": "notifications/progress", "params": {"progress": 1.5, "message": "half"}}, True),
    ("notify_client", {"method": "notifications/message", "params": {"level": "info", "data": None}}, True),
    ("notify_client", {"method": "notifications/resources/updated", "params": {"uri": "a:b"}}, True),
    ("notify_client", {"method": "notifications/tools/list_changed"}, True),
    ("notify_client", {"method": "notifications/progress", "params": {"progress": "1"}}, False),
    ("notify_client", {"method": "notifications/progress", "params": {"progress": 1, "total": False}}, False),
    ("notify_client", {"method": "notifications/message", "params": {"level": "loud", "data": 1}}, False),
    ("notify_client", {"method": "notifications/cancelled", "params": {}}, False),
    ("notify_client", {"params": {"progress": 1}}, False),
    ("ask_client", {}, False),
    ("ask_client", {"requests": {}}, False),
    ("ask_client", {"requests": {"a": {"method": "tools/list"}}}, False),
    ("ask_client", {"requests": {"a": {"method": "roots/list", "params": {"b": 1}}}}, False),
    ("ask_client", {"requests": {"a": {"method": "elicitation/create", "params": {"message": "?"}}}}, False),
    ("ask_client", {"requests": {"a": {"method": "sampling/createMessage", "params": {"messages": []}}}}, False),
    ("http_get", {}, False),
    ("http_get", {"url": 1}, False),
    ("http_get", {"url": "http://127.0.0.1/", "headers": {"a": 1}}, False),
    ("http_get", {"url": "http://127.0.0.1/", "method": "POST"}, False),
]


@pytest.mark.parametrize(("name", "arguments", "good"), REQUESTS)
async def test_schema_and_server_agree_on_a_request(
    services: Services, name: str, arguments: JsonObject, good: bool
) -> None:
    answer = await ask(services, name, arguments)
    assert (conforms(part(name, "input"), arguments), "answer" in answer) == (good, good)
    if good:
        assert "output" not in FUNCTIONS[name]["properties"] or conforms(part(name, "output"), answer["answer"])
    else:
        error = answer["error"]
        assert conforms(part("last_error", "output"), error)
        assert isinstance(error, dict)
        assert error["code"] == "invalid_request"


async def test_the_time_is_as_documented_and_nothing_failed_where_nothing_was_asked(services: Services) -> None:
    answer = await ask(services, "get_current_time", {})
    assert conforms(part("get_current_time", "output"), answer["answer"])
    assert await ask(services, "last_error", {}) == {"answer": None}


async def test_where_no_mcp_client_calls_nobody_can_be_asked(services: Services) -> None:
    described = await ask(services, "get_client", {})
    assert conforms(part("get_client", "output"), described["answer"])
    assert described["answer"] == {"capabilities": {}, "wantsProgress": False}
    request: JsonObject = {"requests": {"a": {"method": "roots/list"}}}
    assert conforms(part("ask_client", "input"), request)
    answer = await ask(services, "ask_client", request)
    assert isinstance(error := answer["error"], dict)
    assert (error["code"], error["data"]) == ("client_cannot_be_asked", {"missing": ["roots"]})


async def test_a_line_arrives_in_the_log_on_its_level(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tool_server.guest"):
        await ask(services, "log", {"level": "warn", "message": "one\ntwo"})
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "tool_server.guest"]
    assert lines == [("WARNING", "one\\x0atwo")]


async def test_a_page_is_got_recorded_and_told_as_documented(services: Services) -> None:
    async def text(request: Request) -> Response:
        return Response(f"seen {request.headers['x-colour']}", 404, {"X-Shape": "round"})

    async def binary(request: Request) -> Response:
        return Response(b"\xff\x00")

    async with serving(Starlette(routes=[Route("/text", text), Route("/binary", binary)])) as url:
        allowed = (url.removeprefix("http://"),)
        await offer(
            services,
            "getter",
            wasm=interface_guest("http_get"),
            tools={"http_get": ANYTHING},
            permissions={"network": list(allowed)},
            granted=Permissions(network=allowed),
        )
        for path, member, body in (("text", "body", "seen blue"), ("binary", "bodyBase64", "/wA=")):
            request: JsonObject = {"url": f"{url}/{path}", "headers": {"X-Colour": "blue"}}
            result = await services.invoke.call("getter_http_get", request, CALLER)
            answer = json.loads(str(result.content[0]["text"]))["answer"]
            assert conforms(part("http_get", "output"), answer)
            assert answer[member] == body
    await services.recorder.flush()
    newest = await services.call_log.recent(2, tool="getter_http_get")
    assert [[request.status for request in record.requests] for record in newest] == [[200], [404]]


async def test_a_page_that_may_not_be_got_is_an_error_that_the_guest_can_handle(services: Services) -> None:
    error = (await ask(services, "http_get", {"url": "http://127.0.0.1/"}))["error"]
    assert conforms(part("last_error", "output"), error)
    assert isinstance(error, dict)
    assert error["code"] == "network_not_permitted"
