"""Prompts, resources and completions over HTTP, in both protocol eras."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ToolsListChanged

from tests.http_api.registry import Registry
from tests.mcp_api.wire import CLIENT_MODES, ERAS, HANDSHAKE, MODERN, post
from tests.services.publishing import offer, until
from tests.support.item_guests import ITEMS, item_guest
from tool_server.model.call import Outcome
from tool_server.model.caller import LOCAL, Scope
from tool_server.model.view import View

URI = "notes://today"


@pytest.fixture(scope="module")
async def notes(registry: Registry) -> AsyncGenerator[Registry]:
    """The registry with a plugin that has items, and one of hyper-mcp."""
    await offer(registry.services, "notes", wasm=item_guest("items"), **ITEMS)
    await offer(registry.services, "hyper", wasm=item_guest("hyper_items"), tools=None)
    yield registry
    for plugin in ("notes", "hyper"):
        await registry.services.install.uninstall(plugin, LOCAL)


async def ask(client: httpx.AsyncClient, era: str, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON-RPC answer; what names a resource is repeated in the header."""
    named = {"Mcp-Name": params["uri"]} if era == MODERN and params and "uri" in params else {}
    return (await post(client, era, method, params, headers=named)).json()


def read_by_guest(text: str) -> Any:
    return json.loads(text)


@pytest.mark.parametrize("era", ERAS)
async def test_lists_show_what_all_plugins_offer_by_name(notes: Registry, era: str) -> None:
    async with notes.client() as client:
        prompts = (await ask(client, era, "prompts/list"))["result"]["prompts"]
        resources = (await ask(client, era, "resources/list"))["result"]["resources"]
        templates = (await ask(client, era, "resources/templates/list"))["result"]["resourceTemplates"]
    assert [prompt["name"] for prompt in prompts] == ["hyper_greet", "notes_review"]
    assert prompts[1] == {
        "name": "notes_review",
        "title": "Review",
        "description": "Reviews a text.",
        "arguments": [{"name": "text", "description": "What to review.", "required": True}, {"name": "tone"}],
        "_meta": {"tool-server/plugin": "notes", "tool-server/version": "1.0.0"},
    }
    assert [resource["uri"] for resource in resources] == [
        "hyper://today",
        "notes://about",
        "notes://icon",
        "notes://today",
    ]
    assert (resources[0]["annotations"], resources[0]["size"]) == ({"priority": 1}, 5)
    assert (resources[1]["size"], resources[2]["size"]) == (8, 2)
    assert [template["uriTemplate"] for template in templates] == [
        "hyper://notes/{folder}/{name}",
        "notes://{folder}/{name}",
    ]
    assert templates[0]["_meta"] == {"a": 1, "tool-server/plugin": "hyper", "tool-server/version": "1.0.0"}


@pytest.mark.parametrize("method", ["prompts/list", "resources/list", "resources/templates/list", "resources/read"])
async def test_answers_say_how_long_they_may_be_kept(notes: Registry, method: str) -> None:
    params = {"uri": "notes://about"} if method == "resources/read" else None
    async with notes.client() as client:
        modern = (await ask(client, MODERN, method, params))["result"]
        handshake = (await ask(client, HANDSHAKE, method, params))["result"]
    assert (modern["ttlMs"], modern["cacheScope"], modern["resultType"]) == (0, "private", "complete")
    assert not {"ttlMs", "cacheScope", "resultType"} & handshake.keys()


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_gets_a_prompt_and_reads_resources(notes: Registry, era: str) -> None:
    with anyio.fail_after(60):
        async with Client(f"{notes.url}/mcp", mode=CLIENT_MODES[era]) as client:  # pyright: ignore[reportArgumentType]
            prompt = await client.get_prompt("notes_review", {"text": "hi"})
            assert prompt.messages[0].content.type == "text"
            asked = read_by_guest(prompt.messages[0].content.text)
            assert asked == {"name": "review", "arguments": {"text": "hi"}}
            assert prompt.messages[1].content.type == "image"
            (text, blob) = (await client.read_resource("notes://team/plan")).contents
            assert read_by_guest(text.text) == {"uri": "notes://team/plan"}  # pyright: ignore
            assert (text.uri, blob.uri) == ("notes://team/plan", "other://part")
            (standing,) = (await client.read_resource("notes://about")).contents
            assert standing.text == "# Notes\n"  # pyright: ignore
            prompt = await client.get_prompt("hyper_greet", {"who": "you"})
            asked = read_by_guest(prompt.messages[0].content.text)  # pyright: ignore
            assert asked["request"] == {"name": "greet", "arguments": {"who": "you"}}


@pytest.mark.parametrize("era", ERAS)
async def test_arguments_are_completed(notes: Registry, era: str) -> None:
    params = {
        "ref": {"type": "ref/prompt", "name": "notes_review"},
        "argument": {"name": "tone", "value": "k"},
        "context": {"arguments": {"text": "x"}},
    }
    async with notes.client() as client:
        completion = (await ask(client, era, "completion/complete", params))["result"]["completion"]
        assert read_by_guest(completion["values"][0])["argument"] == params["argument"]
        assert (completion["total"], completion["hasMore"]) == (2, False)
        params = {
            "ref": {"type": "ref/resource", "uri": "notes://{folder}/{name}"},
            "argument": {"name": "folder", "value": ""},
        }
        completion = (await ask(client, era, "completion/complete", params))["result"]["completion"]
        assert read_by_guest(completion["values"][0])["ref"] == params["ref"]


@pytest.mark.parametrize(("era", "code"), [(MODERN, -32602), (HANDSHAKE, -32002)])
async def test_an_unknown_resource_has_the_code_of_its_era(notes: Registry, era: str, code: int) -> None:
    async with notes.client() as client:
        error = (await ask(client, era, "resources/read", {"uri": "notes://none"}))["error"]
    assert (error["code"], error["data"]["uri"]) == (code, "notes://none")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("prompts/get", {"name": "none"}, "no prompt 'none'"),
        ("prompts/get", {"name": "notes_review"}, "'text'"),
        ("prompts/get", {"name": "notes_review", "arguments": {"text": "", "x": ""}}, "'x'"),
        ("prompts/list", {"cursor": "no cursor"}, "cursor"),
        ("resources/list", {"cursor": "="}, "cursor"),
        ("resources/templates/list", {"cursor": "?"}, "cursor"),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "none"}, "argument": {"name": "a", "value": ""}},
            "no prompt",
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "notes_review"}, "argument": {"name": "a", "value": ""}},
            "no argument 'a'",
        ),
    ],
)
async def test_what_is_asked_wrongly_is_an_error_of_its_parameters(
    notes: Registry, era: str, method: str, params: dict[str, Any], said: str
) -> None:
    async with notes.client() as client:
        error = (await ask(client, era, method, params))["error"]
    assert error["code"] == -32602
    assert said in error["message"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_plugin_that_fails_is_an_error_with_its_kind(notes: Registry, era: str) -> None:
    prompts = {"say": {"arguments": [{"name": "out"}]}}
    await offer(notes.services, "liar", wasm=item_guest("hostile"), prompts=prompts)
    async with notes.client() as client:
        params = {"name": "liar_say", "arguments": {"out": "[]"}}
        error = (await ask(client, era, "prompts/get", params))["error"]
    await notes.services.install.uninstall("liar", LOCAL)
    assert (error["code"], error["data"]["kind"], error["data"]["code"]) == (-32603, "call_failed", "bad_output")


@pytest.mark.parametrize("era", ERAS)
async def test_a_thousand_and_more_are_listed_in_pages(notes: Registry, era: str) -> None:
    await offer(notes.services, "many", wasm=item_guest("hyper_many"), tools=None)
    names: list[str] = []
    cursor: dict[str, Any] = {}
    async with notes.client() as client:
        for _ in range(3):
            result = (await ask(client, era, "resources/list", cursor))["result"]
            names += [resource["uri"] for resource in result["resources"]]
            if "nextCursor" not in result:
                break
            cursor = {"cursor": result["nextCursor"]}
    await notes.services.install.uninstall("many", LOCAL)
    assert len(names) == 1_004
    assert names == sorted(set(names))


async def test_a_restricted_token_sees_its_plugins_items_alone(notes: Registry) -> None:
    made = await notes.services.tokens.create("items", (Scope.CALL,), LOCAL, view=View(plugins=("hyper",)))
    bearer = {"Authorization": f"Bearer {made.secret}"}
    async with notes.client() as client:
        client.headers.update(bearer)
        listed = (await ask(client, MODERN, "prompts/list"))["result"]["prompts"]
        assert [prompt["name"] for prompt in listed] == ["hyper_greet"]
        assert "error" in await ask(client, MODERN, "prompts/get", {"name": "notes_review", "arguments": {"text": ""}})
        assert (await ask(client, MODERN, "resources/read", {"uri": URI}))["error"]["code"] == -32602


async def test_capabilities_tell_what_there_is(notes: Registry) -> None:
    async with notes.client() as client:
        found = (await ask(client, MODERN, "server/discover"))["result"]["capabilities"]
    assert found["prompts"] == {"listChanged": True}
    assert found["resources"] == {"subscribe": True, "listChanged": True}
    assert found["completions"] == {}


async def test_a_listener_hears_of_the_lists_that_changed_and_of_no_others(notes: Registry) -> None:
    services = notes.services
    prompts: dict[str, Any] = {"one": {}}
    with anyio.fail_after(60):
        async with Client(f"{notes.url}/mcp", mode=MODERN) as client:
            async with client.listen(
                tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
            ) as changes:
                resource = {"uri": "late://a", "name": "a", "text": ""}
                await offer(services, "late", wasm=item_guest("chatter"), resources=[resource], tools={})
                heard = {type(await anext(changes)) for _ in range(2)}
                assert heard == {ToolsListChanged, ResourcesListChanged}
                await offer(services, "late", "1.0.1", wasm=item_guest("hyper_items"), tools=None, prompts=prompts)
                heard = {type(await anext(changes)) for _ in range(3)}
                assert heard == {ToolsListChanged, PromptsListChanged, ResourcesListChanged}
                await services.install.uninstall("late", LOCAL)
                # Its resources have names that another plugin had before.
                assert isinstance(await anext(changes), PromptsListChanged)
                await services.install.uninstall("hyper", LOCAL)
                heard = {type(await anext(changes)) for _ in range(2)}
                assert heard == {PromptsListChanged, ResourcesListChanged}
                await services.install.install("hyper", "", LOCAL)


async def test_a_plugin_tells_of_its_own_resources_alone(notes: Registry) -> None:
    await offer(notes.services, "teller", wasm=item_guest("items"), tools=ITEMS["tools"], prompts=ITEMS["prompts"])
    with anyio.fail_after(60):
        async with Client(f"{notes.url}/mcp", mode=MODERN) as client:
            uris = [URI, "notes://team/plan", "hyper://today"]
            async with client.listen(prompts_list_changed=True, resource_subscriptions=uris) as changes:
                for tool, uri in (
                    ("teller_touch", URI),
                    ("notes_touch", "hyper://today"),
                    ("notes_touch", "notes://other/plan"),
                    ("notes_touch", "notes://team/plan"),
                ):
                    await client.call_tool(tool, {"uri": uri})
                assert await anext(changes) == ResourceUpdated("notes://team/plan")
                await client.call_tool("notes_touch", {"uri": URI})
                assert await anext(changes) == ResourceUpdated(URI)
                await client.call_tool("teller_touch", {})
                assert isinstance(await anext(changes), PromptsListChanged)
    await notes.services.install.uninstall("teller", LOCAL)


async def test_a_plugin_that_chatters_is_heard_so_often_and_no_more(notes: Registry) -> None:
    heard: list[object] = []

    class Ear:
        async def resource_updated(self, uri: str) -> None:
            heard.append(uri)

        async def lists_changed(self, lists: object) -> None:
            heard.append(lists)

    notes.services.announcements.subscribe(Ear())
    tools = {"touch": {"input": {"type": "object"}}}
    await offer(notes.services, "chatter", wasm=item_guest("chatter"), tools=tools, prompts={"a": {}})
    await notes.services.invoke.call("chatter_touch", {}, LOCAL)
    await notes.services.install.uninstall("chatter", LOCAL)
    assert len(heard) == 100


async def test_without_a_session_nobody_subscribes(notes: Registry) -> None:
    async with notes.client() as client:
        answer = await ask(client, HANDSHAKE, "resources/subscribe", {"uri": URI})
    assert answer["error"]["code"] == -32600


async def test_a_prompt_whose_client_hangs_up_is_stopped(notes: Registry, caplog: pytest.LogCaptureFixture) -> None:
    fields: dict[str, Any] = {
        "resourceTemplates": [{"uriTemplate": "slow:{+rest}", "name": "slow"}],
        "limits": {"timeout": "30s"},
    }
    await offer(notes.services, "slow", wasm=item_guest("hostile"), prompts={"say": {}}, **fields)
    uri = "slow:x?8"  # never ends
    async with notes.client() as client:
        with anyio.move_on_after(1):
            await ask(client, MODERN, "resources/read", {"uri": uri})

    async def cancelled() -> bool:
        records = await notes.services.call_log.recent(1, tool=f"resources/read {uri}")
        return bool(records) and records[0].outcome is Outcome.CANCELLED

    await until(cancelled)
    assert "Traceback" not in caplog.text
    await notes.services.install.uninstall("slow", LOCAL)
