"""Prompts, resources and completions, from publishing to their record, with real guests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.publishing import CALLER, READER, offer, publish, until
from tests.support.item_guests import ITEMS, LISTS, item_guest
from tool_server.bootstrap.services import Services
from tool_server.errors import CallFailed, Denied, InvalidInput, NotFound
from tool_server.model.call import CallRecord, Outcome, Pending
from tool_server.model.caller import LOCAL, Caller, Scope
from tool_server.model.item_kind import ItemKind
from tool_server.model.json_value import JsonObject
from tool_server.model.settings import InstallationSettings
from tool_server.model.view import View


def scheme(name: str) -> str:
    """A URI scheme that no other test has."""
    return name.replace("_", "-")


def items_of(scheme: str) -> dict[str, Any]:
    return json.loads(json.dumps(ITEMS).replace("notes://", f"{scheme}://"))


async def offer_items(services: Services, name: str, guest: str = "items", **changes: Any) -> None:
    await offer(services, name, wasm=item_guest(guest), **{**items_of(scheme(name)), **changes})


async def record_of(services: Services, tool: str) -> CallRecord:
    found: list[CallRecord] = []

    async def written() -> bool:
        found[:] = await services.call_log.recent(1, tool=tool)
        return bool(found)

    await until(written)
    return found[0]


def asked(result: JsonObject | Pending) -> object:
    """What the guest read."""
    assert isinstance(result, dict)
    messages: Any = result.get("messages")
    contents: Any = result.get("contents")
    completion: Any = result.get("completion")
    text = messages[0]["content"]["text"] if messages else contents[0]["text"] if contents else completion["values"][0]
    return json.loads(text)


async def test_a_prompt_is_made_by_its_plugin_and_recorded(services: Services, name: str) -> None:
    await offer_items(services, name)
    prompt = f"{name}_review"
    result: Any = await services.content.get_prompt(prompt, {"text": "hi"}, CALLER)
    assert asked(result) == {"name": "review", "arguments": {"text": "hi"}}
    assert result["description"] == "made"
    record = await record_of(services, f"prompts/get {prompt}")
    assert (record.outcome, record.plugin, record.caller) == (Outcome.OK, name, CALLER.name)


async def test_a_resource_is_read_by_its_uri_or_through_a_template(services: Services, name: str) -> None:
    await offer_items(services, name)
    for uri in (f"{scheme(name)}://today", f"{scheme(name)}://team/plan"):
        result: Any = await services.content.read_resource(uri, CALLER)
        assert asked(result) == {"uri": uri}
        assert [contents["uri"] for contents in result["contents"]] == [uri, "other://part"]
        assert result["contents"][1]["blob"] == "AP8="
        assert (await record_of(services, f"resources/read {uri}")).outcome is Outcome.OK


async def test_what_stands_in_the_manifest_is_read_without_running_anything(services: Services, name: str) -> None:
    await offer_items(services, name)
    about, icon = f"{scheme(name)}://about", f"{scheme(name)}://icon"
    text = {"uri": about, "mimeType": "text/markdown", "text": "# Notes\n"}
    assert await services.content.read_resource(about, CALLER) == {"contents": [text]}
    blob = {"uri": icon, "mimeType": "image/png", "blob": "AP8="}
    assert await services.content.read_resource(icon, CALLER) == {"contents": [blob]}
    await services.recorder.flush()
    assert not await services.call_log.recent(1, tool=f"resources/read {about}")


async def test_arguments_and_variables_are_completed_by_the_plugin(services: Services, name: str) -> None:
    await offer_items(services, name)
    content, template = services.content, f"{scheme(name)}://{{folder}}/{{name}}"
    result: Any = await content.complete_prompt(f"{name}_review", "tone", "k", {"text": "x"}, CALLER)
    assert asked(result) == {
        "ref": {"type": "ref/prompt", "name": "review"},
        "argument": {"name": "tone", "value": "k"},
        "context": {"arguments": {"text": "x"}},
    }
    assert (result["completion"]["total"], result["completion"]["hasMore"]) == (2, False)
    result = await content.complete_template(template, "name", "", {}, CALLER)
    reference = {"type": "ref/resource", "uri": template}
    assert asked(result) == {"ref": reference, "argument": {"name": "name", "value": ""}}
    assert (await record_of(services, f"completion/complete {template}"[:200])).outcome is Outcome.OK


async def test_without_an_export_that_completes_nothing_is_completed(services: Services, name: str) -> None:
    fields: dict[str, Any] = {**items_of(scheme(name)), "resources": [], "resourceTemplates": []}
    await offer(services, name, wasm=item_guest("chatter"), **fields)
    result = await services.content.complete_prompt(f"{name}_review", "tone", "k", {}, CALLER)
    assert result == {"completion": {"values": [], "hasMore": False}}


async def test_a_plugin_of_hyper_mcp_is_asked_in_its_envelope(services: Services, name: str) -> None:
    published = await offer(services, name, wasm=item_guest("hyper_items"), tools=None)
    release = published.release
    assert ([each.name for each in release.prompts], release.tools) == (["greet"], ())
    assert [each.uri for each in release.resources] == ["hyper://today"]
    assert [each.uriTemplate for each in release.resource_templates] == ["hyper://notes/{folder}/{name}"]
    held = {(item.kind, item.rule) for item in release.quarantined_items}
    assert held == {
        (ItemKind.PROMPT, "hidden-characters"),
        (ItemKind.PROMPT, "duplicate-name"),
        (ItemKind.PROMPT, "invalid-entry"),
        (ItemKind.RESOURCE, "invalid-uri"),
        (ItemKind.TEMPLATE, "invalid-uri-template"),
    }
    found: Any = asked(await services.content.get_prompt(f"{name}_greet", {"who": "you"}, CALLER))
    assert found["request"] == {"name": "greet", "arguments": {"who": "you"}}
    assert set(found["context"]) == {"id", "_meta"}
    found = asked(await services.content.read_resource("hyper://notes/a/b", CALLER))
    assert found["request"] == {"uri": "hyper://notes/a/b"}
    found = asked(await services.content.complete_template("hyper://notes/{folder}/{name}", "name", "x", {}, CALLER))
    assert found["request"]["argument"] == {"name": "name", "value": "x"}
    assert LISTS["list_prompts"]["prompts"][0]["name"] == "greet"
    await services.install.uninstall(name, LOCAL)


async def test_lists_that_a_plugin_breaks_cost_it_no_tool(services: Services, name: str) -> None:
    release = (await offer(services, name, wasm=item_guest("hyper_broken"), tools=None)).release
    assert [tool.name for tool in release.tools] == ["t"]
    assert (release.prompts, release.resources, release.resource_templates) == ((), (), ())
    failed = [finding.message for finding in release.findings if finding.rule == "description-failed"]
    assert len(failed) == 3
    assert any("no idea" in message for message in failed)


async def test_a_thousand_of_each_are_offered_and_one_more_is_none(services: Services, name: str) -> None:
    release = (await offer(services, name, wasm=item_guest("hyper_many"), tools=None)).release
    assert (len(release.prompts), len(release.resources), len(release.resource_templates)) == (1000, 1000, 0)
    assert any("at most 1000" in finding.message for finding in release.findings)
    assert asked(await services.content.read_resource("many://999", CALLER))
    await services.install.uninstall(name, LOCAL)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({}, "'text'"), ({"tone": "kind"}, "'text'"), ({"text": "", "more": ""}, "'more'")],
)
async def test_missing_and_unknown_arguments_are_named(
    services: Services, name: str, arguments: dict[str, str], said: str
) -> None:
    await offer_items(services, name)
    with pytest.raises(InvalidInput, match=said) as caught:
        await services.content.get_prompt(f"{name}_review", arguments, CALLER)
    assert caught.value.code == "invalid_arguments"


async def test_what_is_not_there_is_not_found(services: Services, name: str) -> None:
    await offer_items(services, name)
    content = services.content
    with pytest.raises(NotFound) as caught:
        await content.get_prompt(f"{name}_none", {}, CALLER)
    assert caught.value.code == "unknown_prompt"
    with pytest.raises(NotFound) as caught:
        await content.complete_prompt(f"{name}_none", "a", "", {}, CALLER)
    assert caught.value.code == "unknown_prompt"
    for uri in (f"{scheme(name)}://none", "", "no uri", f"{scheme(name)}://a/b/c"):
        with pytest.raises(NotFound) as caught:
            await content.read_resource(uri, CALLER)
        assert caught.value.code == "unknown_resource"
    with pytest.raises(NotFound):
        await content.complete_template("none://{x}", "x", "", {}, CALLER)
    with pytest.raises(InvalidInput):
        await content.complete_template(f"{scheme(name)}://{{folder}}/{{name}}", "other", "", {}, CALLER)
    with pytest.raises(InvalidInput):
        await content.complete_prompt(f"{name}_review", "other", "", {}, CALLER)


async def test_who_may_not_call_may_not_ask(services: Services, name: str) -> None:
    await offer_items(services, name)
    content = services.content
    with pytest.raises(Denied):
        await content.get_prompt(f"{name}_review", {"text": ""}, READER)
    for uri in (f"{scheme(name)}://today", f"{scheme(name)}://about"):
        with pytest.raises(Denied):
            await content.read_resource(uri, READER)
    with pytest.raises(Denied):
        await content.complete_prompt(f"{name}_review", "tone", "", {}, READER)


async def test_a_view_shows_the_items_of_its_plugins_and_of_no_others(services: Services, name: str) -> None:
    await offer_items(services, name)
    seeing = Caller("a", frozenset({Scope.CALL}), view=View(plugins=(name,)))
    one_tool = Caller("b", frozenset({Scope.CALL}), view=View(tools=(f"{name}_touch",)))
    assert await services.content.read_resource(f"{scheme(name)}://about", seeing)
    assert services.catalog.current.within(seeing.view).items.find(ItemKind.PROMPT, f"{name}_review")
    for ask in (
        services.content.read_resource(f"{scheme(name)}://about", one_tool),
        services.content.get_prompt(f"{name}_review", {"text": ""}, one_tool),
    ):
        with pytest.raises(NotFound):
            await ask
    assert not services.catalog.current.within(one_tool.view).items.page(ItemKind.PROMPT)


async def test_the_earlier_installation_keeps_a_uri(services: Services, name: str) -> None:
    await offer_items(services, name)
    later = f"{name}b"
    resource = {"uri": f"{scheme(name)}://today", "name": "mine", "text": "stolen"}
    await offer(services, later, wasm=item_guest("items"), resources=[resource])
    holder = services.catalog.current.items.find(ItemKind.RESOURCE, f"{scheme(name)}://today")
    assert holder is not None
    assert holder.plugin == name
    await services.install.uninstall(name, LOCAL)
    result: Any = await services.content.read_resource(f"{scheme(name)}://today", CALLER)
    assert result["contents"][0]["text"] == "stolen"


async def test_an_operator_leaves_prompts_and_resources_out(services: Services, name: str) -> None:
    await offer_items(services, name)
    settings = InstallationSettings(
        skip_prompts=("^review$",), skip_resources=("today",), skip_resource_templates=("folder",)
    )
    await services.install.install(name, "", LOCAL, None, settings)
    items = services.catalog.current.items
    assert items.find(ItemKind.PROMPT, f"{name}_review") is None
    assert items.find(ItemKind.RESOURCE, f"{scheme(name)}://today") is None
    assert items.find(ItemKind.RESOURCE, f"{scheme(name)}://about") is not None
    assert items.reader_of(f"{scheme(name)}://a/b") is None
    with pytest.raises(InvalidInput):
        await services.install.install(name, "", LOCAL, None, InstallationSettings(skip_prompts=("(",)))


HOSTILE = {
    "prompts": {"say": {"arguments": [{"name": "out"}]}},
    "resourceTemplates": [{"uriTemplate": "", "name": "any"}],
}

BAD_PROMPTS = [
    "",
    "[]",
    "null",
    "{}",
    '{"messages":{}}',
    '{"messages":[1]}',
    '{"messages":[{"role":"system","content":{"type":"text","text":""}}]}',
    '{"messages":[{"role":"user","content":"text"}]}',
    '{"messages":[{"role":"user","content":{"type":"text"}}]}',
    '{"messages":[{"role":"user","content":{"type":"image","data":"?","mimeType":"a/b"}}]}',
    '{"messages":[],"description":1}',
    '{"messages":[' + "0," * 1_000 + "0]}",
    '{"messages":' + "[" * 200 + "]" * 200 + "}",
    '{"messages":[],"_meta":{"a":1e999}}',
]


@pytest.fixture
async def hostile(services: Services, name: str) -> str:
    fields = json.loads(json.dumps(HOSTILE))
    fields["resourceTemplates"][0]["uriTemplate"] = f"{scheme(name)}:{{+rest}}"
    await offer(services, name, wasm=item_guest("hostile"), limits={"timeout": "300ms"}, **fields)
    return name


@pytest.mark.parametrize("output", BAD_PROMPTS)
async def test_what_is_no_prompt_is_a_failed_call(services: Services, hostile: str, output: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await services.content.get_prompt(f"{hostile}_say", {"out": output}, CALLER)
    assert caught.value.code == "bad_output"


@pytest.mark.parametrize(
    ("which", "code"),
    [*((str(number), "bad_output") for number in range(7)), ("7", "trap"), ("8", "timeout"), ("", "guest_error")],
)
async def test_what_is_no_resource_is_a_failed_call(services: Services, hostile: str, which: str, code: str) -> None:
    uri = f"{scheme(hostile)}:x?{which}" if which else f"{scheme(hostile)}:x"
    with pytest.raises(CallFailed) as caught:
        await services.content.read_resource(uri, CALLER)
    assert caught.value.code == code
    record = await record_of(services, f"resources/read {uri}")
    assert (record.outcome, record.error) == (Outcome.FAILED, code)


@pytest.mark.parametrize(
    "output",
    [
        "{}",
        '{"completion":[]}',
        '{"completion":{}}',
        '{"completion":{"values":"a"}}',
        '{"completion":{"values":[1]}}',
        '{"completion":{"values":[],"total":-1}}',
        '{"completion":{"values":[],"total":true}}',
        '{"completion":{"values":[],"hasMore":"no"}}',
    ],
)
async def test_what_is_no_completion_is_a_failed_call(services: Services, hostile: str, output: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await services.content.complete_prompt(f"{hostile}_say", "out", output, {}, CALLER)
    assert caught.value.code == "bad_output"


async def test_a_prompt_does_not_speak_for_the_server(services: Services, hostile: str) -> None:
    output = '{"messages":[],"_meta":{"tool-server/error":{},"own":1},"more":1}'
    result = await services.content.get_prompt(f"{hostile}_say", {"out": output}, CALLER)
    assert result == {"messages": [], "_meta": {"own": 1}}


async def test_of_too_many_completions_the_first_are_kept(services: Services, hostile: str) -> None:
    output = json.dumps({"completion": {"values": [str(number) for number in range(150)], "total": 150}})
    result: Any = await services.content.complete_prompt(f"{hostile}_say", "out", output, {}, CALLER)
    assert (len(result["completion"]["values"]), result["completion"]["hasMore"]) == (100, True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompts": {"a" * 60: {}}}, "name-too-long"),
        ({"prompts": {"": {}}}, "name-empty"),
        ({"prompts": {"a": {"description": "x\u200b"}}}, "hidden-characters"),
        ({"prompts": {"a": {"arguments": [{"name": "b"}, {"name": "b"}]}}}, "duplicate-name"),
        ({"prompts": {"a": {"arguments": [{"name": "b\n"}]}}}, "hidden-characters"),
        ({"prompts": {"a": {"export": "none"}}}, "missing-export"),
        ({"resources": [{"uri": "today", "name": "a"}]}, "invalid-uri"),
        ({"resources": [{"uri": "a://b c", "name": "a"}]}, "invalid-uri"),
        ({"resources": [{"uri": "a:b", "name": "a"}, {"uri": "a:b", "name": "b"}]}, "duplicate-name"),
        ({"resources": [{"uri": "a:b", "name": "a", "text": "", "blob": ""}]}, "two-contents"),
        ({"resources": [{"uri": "a:b", "name": "a", "text": "", "export": "touch"}]}, "two-contents"),
        ({"resources": [{"uri": "a:b", "name": "a", "blob": "?"}]}, "invalid-base64"),
        ({"resources": [{"uri": "a:b", "name": "a", "text": "\u202e"}]}, "hidden-characters"),
        ({"resources": [{"uri": "a:b", "name": "a", "mimeType": "text"}]}, "invalid-mime-type"),
        ({"resourceTemplates": [{"uriTemplate": "a://{b", "name": "a"}]}, "invalid-uri-template"),
        ({"resourceTemplates": [{"uriTemplate": "a://b", "name": "a"}]}, "invalid-uri-template"),
    ],
)
async def test_what_an_author_declares_badly_is_refused(
    services: Services, name: str, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await publish(services, name, wasm=item_guest("items"), **fields)
    assert caught.value.code == "lint"
    assert {finding["rule"] for finding in caught.value.data["findings"]} == {said}


async def test_exports_that_answer_for_items_are_no_tools(services: Services, name: str) -> None:
    release = (await publish(services, name, wasm=item_guest("items"), prompts={"review": {}})).release
    assert {tool.name for tool in release.tools} == {"read_resource", "touch"}
    other = (await publish(services, f"{name}b", wasm=item_guest("items"))).release
    assert {tool.name for tool in other.tools} == {"get_prompt", "read_resource", "complete", "touch"}
