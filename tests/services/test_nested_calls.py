"""Plugins that call tools: the same checks, records and limits, within the time of the call that waits."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from tests.services.nesting import offer_caller, through
from tests.services.publishing import CALLER, offer, offer_guest, until
from tests.support.guests import compile_c, guest
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.errors import CallFailed, InvalidInput, ToolServerError
from tool_server.model.call import CallRecord, Outcome
from tool_server.model.caller import LOCAL, Caller, Scope
from tool_server.model.json_value import JsonObject
from tool_server.model.permission import Permissions

BOTH: JsonObject = {"a": 40, "b": 2}


async def records(services: Services, *tools: str) -> list[CallRecord]:
    """The last record of each tool."""
    await services.recorder.flush()
    return [(await services.call_log.recent(1, tool=tool))[0] for tool in tools]


async def error_of(services: Services, tool: str, arguments: JsonObject) -> dict[str, Any]:
    """What the guest is told about the call that it asks for, which fails."""
    result = await services.invoke.call(tool, arguments, CALLER)
    if result.structured is not None and "error" in result.structured:
        error = result.structured["error"]
    else:
        error = json.loads(str(result.content[0]["text"]))["error"]
    assert isinstance(error, dict)
    return cast(dict[str, Any], error)


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncGenerator[Services]:
    """One worker and nothing in reserve."""
    settings = {"data_dir": tmp_path / "data", "workers": 1, "spare_workers": 0, "limits": {"reserve": 0}}
    async with build(Config.model_validate(settings), environment={}) as services:
        yield services


async def test_a_plugin_calls_another_and_both_calls_are_recorded_one_below_the_other(
    services: Services, name: str
) -> None:
    await offer(services, f"{name}-sums")
    add = f"{name}-sums_add"
    relay = await offer_caller(services, name, (add,))
    result = await services.invoke.call(relay, {"name": add, "arguments": BOTH}, CALLER)
    assert (result.structured, result.is_error) == ({"sum": 42}, False)
    outer, inner = await records(services, relay, add)
    assert (outer.parent, inner.parent, inner.caller) == (None, outer.id, CALLER.name)
    assert (outer.outcome, inner.outcome) == (Outcome.OK, Outcome.OK)
    assert outer.total_us >= inner.total_us > 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({"a": "forty", "b": 2}, "invalid_arguments", "$.a"),
        ({}, "invalid_arguments", "$.a"),
    ],
)
async def test_the_arguments_of_a_nested_call_are_checked_like_any_others(
    services: Services, name: str, arguments: JsonObject, code: str, said: str
) -> None:
    await offer(services, f"{name}-sums")
    add = f"{name}-sums_add"
    relay = await offer_caller(services, name, (add,))
    error = await error_of(services, relay, {"name": add, "arguments": arguments})
    assert error["code"] == code
    assert add in error["message"]
    assert said in error["message"]
    (inner,) = await records(services, add)
    assert (inner.outcome, inner.result_bytes) == (Outcome.INVALID_ARGUMENTS, None)


@pytest.mark.parametrize(
    ("guest_name", "code"), [("trap", "trap"), ("error", "guest_error"), ("memory_bomb", "out_of_memory")]
)
async def test_a_nested_failure_can_be_handled_and_otherwise_fails_the_call_in_words_that_name_the_tool(
    services: Services, name: str, guest_name: str, code: str
) -> None:
    broken = await offer_guest(services, f"{name}-broken", guest_name)
    error = await error_of(services, await offer_caller(services, name, (broken,)), {"name": broken})
    assert error["code"] == code
    assert broken in error["message"]
    heedless = await offer_caller(services, f"{name}-heedless", (broken,), "heedless")
    with pytest.raises(CallFailed) as failed:
        await services.invoke.call(heedless, {"name": broken}, CALLER)
    assert failed.value.code == "host_function"
    assert failed.value.message == error["message"]
    bewildered = await offer_caller(services, f"{name}-bewildered", (broken,), "bewildered")
    with pytest.raises(CallFailed) as failed:
        await services.invoke.call(bewildered, {"name": broken}, CALLER)
    assert failed.value.code == "guest_error"
    assert failed.value.message == f"no idea ({error['message']})"


async def test_an_error_that_the_other_tool_answers_is_a_result_like_any_other(services: Services, name: str) -> None:
    await offer(services, f"{name}-servlet", wasm=guest("servlet"))
    refuse = f"{name}-servlet_refuse"
    result = await services.invoke.call(await offer_caller(services, name, (refuse,)), {"name": refuse}, CALLER)
    assert (result.is_error, result.content[0]["text"]) == (True, "refused on purpose")


@pytest.mark.parametrize(
    ("requested", "granted"), [((), ()), (("add",), ()), ((), ("add",)), (("add",), ("sub",)), (("add",), ("add ",))]
)
async def test_a_tool_that_is_not_requested_and_granted_is_denied_with_the_command_that_grants_it(
    services: Services, name: str, requested: tuple[str, ...], granted: tuple[str, ...]
) -> None:
    await offer(services, f"{name}-sums")
    add = f"{name}-sums_add"
    named = {"add": add, "sub": f"{name}-sums_sub"}
    asked, given = (tuple(named[item] for item in items if item in named) for items in (requested, granted))
    relay = await offer_caller(services, name, asked, granted=Permissions(tools=given))
    error = await error_of(services, relay, {"name": add, "arguments": BOTH})
    assert error["code"] == "tool_not_permitted"
    assert f"the plugin {name} may not call the tool '{add}'" in error["message"]
    assert f"tool-server grant add {name} tools={add}" in error["message"]
    (inner,) = await records(services, add)
    assert (inner.outcome, inner.error, inner.parent is not None) == (Outcome.DENIED, "tool_not_permitted", True)


async def test_whether_a_tool_exists_is_told_only_to_who_may_call_it(services: Services, name: str) -> None:
    relay = await offer_caller(services, name, ("absent_tool",))
    assert (await error_of(services, relay, {"name": "absent_tool"}))["code"] == "unknown_tool"
    assert (await error_of(services, relay, {"name": "another_tool"}))["code"] == "tool_not_permitted"


@pytest.mark.parametrize(
    "request_json",
    [
        {},
        {"name": 1},
        {"name": ""},
        {"name": "a b"},
        {"name": "x" * 129},
        {"name": "a'; rm -rf /"},
        {"name": "add", "arguments": []},
        {"name": "add", "arguments": None},
        {"name": "add", "argument": {}},
    ],
)
async def test_a_request_that_is_none_is_told_what_it_must_be(
    services: Services, name: str, request_json: JsonObject
) -> None:
    relay = await offer_caller(services, name, ("add",))
    error = await error_of(services, relay, request_json)
    assert error["code"] == "invalid_request"
    assert "call_tool" in error["message"]


async def test_what_is_no_json_is_told_as_such(services: Services, name: str) -> None:
    source = 'USER("call_tool") u64 call_tool(u64); USER("last_error") u64 last_error(void); EXPORT(f) { read_input(); '
    source += "u64 at = call_tool(%s); if (at) return 1; add_block(last_error()); return done(); }"
    for number, request in enumerate(
        (r'text("{\"name\":")', r'text("\xff")', "0", 'text("[]")', "kernel_alloc(5000000)")
    ):
        plugin = f"{name}-{number}"
        await offer(services, plugin, wasm=compile_c(source % request), tools={"f": {"input": {"type": "object"}}})
        result = await services.invoke.call(f"{plugin}_f", {}, CALLER)
        code = json.loads(str(result.content[0]["text"]))["code"]
        assert code in ("invalid_json", "invalid_request", "request_too_large"), request


async def test_the_called_tool_has_its_own_grants_and_nothing_of_the_callers(services: Services, name: str) -> None:
    await offer(services, f"{name}-reader", wasm=guest("config"), permissions={"environment": ["COLOUR"]})
    read = f"{name}-reader_config"
    relay = await offer_caller(services, name, (read,), granted=Permissions(tools=(read,), environment=("COLOUR",)))
    result = await services.invoke.call(relay, {"name": read, "arguments": {"input": "COLOUR"}}, CALLER)
    assert result.content[0]["text"] == "none"


async def test_eight_calls_stand_on_one_another_with_one_worker_and_a_ninth_is_refused(narrow: Services) -> None:
    await offer(narrow, "sums")
    names = [f"level-{number}" for number in range(8)]
    tools = [f"{plugin}_relay" for plugin in names]
    for number, plugin in enumerate(names):
        await offer_caller(narrow, plugin, (*tools[number + 1 :], "sums_add"))
    with anyio.fail_after(60):
        seven = await narrow.invoke.call(tools[0], through(*tools[1:7], "sums_add", arguments=BOTH), CALLER)
        assert seven.structured == {"sum": 42}
        stack = await records(narrow, *tools[:7], "sums_add")
        assert [record.parent for record in stack] == [None, *(record.id for record in stack[:-1])]
        error = await error_of(narrow, tools[0], through(*tools[1:], "sums_add", arguments=BOTH))
    assert error["code"] == "calls_too_deep"
    assert " -> ".join((*tools, "sums_add")) in error["message"]
    await until(lambda: narrow.pool.busy == 0)
    assert len(narrow.pool.pids) <= 2


async def test_a_tool_that_is_under_way_cannot_be_called_again_from_below(services: Services, name: str) -> None:
    one, other = f"{name}-one_relay", f"{name}-other_relay"
    await offer_caller(services, f"{name}-one", (one, other))
    await offer_caller(services, f"{name}-other", (one, other))
    itself = await error_of(services, one, {"name": one, "arguments": {}})
    assert itself["code"] == "call_cycle"
    assert f"{one} -> {one}" in itself["message"]
    circle = await error_of(services, one, through(other, one, arguments={}))
    assert circle["code"] == "call_cycle"
    assert f"{one} -> {other} -> {one}" in circle["message"]


async def test_all_calls_that_follow_from_one_are_counted_together(tmp_path: Path) -> None:
    settings = {"data_dir": tmp_path, "workers": 1, "spare_workers": 0, "limits": {"nested_calls": 5}}
    async with build(Config.model_validate(settings), environment={}) as services:
        await offer(services, "sums")
        insist = await offer_caller(services, "insistent", ("sums_add",), "insist")
        relay = await offer_caller(services, "relay", (insist,))
        tries: list[tuple[str, JsonObject, int]] = [
            (insist, {"name": "sums_add", "arguments": BOTH}, 5),
            (relay, through(insist, "sums_add", arguments=BOTH), 4),
            (insist, {"name": "sums_add", "arguments": BOTH}, 5),
        ]
        for tool, arguments, fitting in tries:
            result = await services.invoke.call(tool, arguments, CALLER)
            said = json.loads(str(result.content[0]["text"]))
            assert (said["calls"], said["error"]["code"]) == (fitting, "too_many_calls")
            assert "limits.nested_calls" in said["error"]["message"]


async def test_a_nested_call_gets_no_more_time_than_its_caller_has_left(services: Services, name: str) -> None:
    spin = await offer_guest(services, f"{name}-endless", "spin", limits={"timeout": "30s"})
    relay = await offer_caller(services, name, (spin,), limits={"timeout": "1s"})
    with anyio.fail_after(15), pytest.raises(CallFailed) as failed:
        await services.invoke.call(relay, {"name": spin}, CALLER)
    assert failed.value.code == "timeout"
    outer, inner = await records(services, relay, spin)
    assert (outer.outcome, outer.error) == (Outcome.FAILED, "timeout")
    assert (inner.outcome, inner.error) == (Outcome.FAILED, "timeout")
    assert inner.total_us < 2_000_000
    await until(lambda: services.pool.busy == 0)


async def test_a_nested_call_that_runs_into_its_own_limit_leaves_its_caller_the_rest(
    services: Services, name: str
) -> None:
    spin = await offer_guest(services, f"{name}-endless", "spin", limits={"timeout": "100ms"})
    error = await error_of(services, await offer_caller(services, name, (spin,)), {"name": spin})
    assert (error["code"], spin in error["message"]) == ("timeout", True)


async def test_cancelling_a_call_ends_the_one_it_waits_for(services: Services, name: str) -> None:
    spin = await offer_guest(services, f"{name}-endless", "spin", limits={"timeout": "30s"})
    relay = await offer_caller(services, name, (spin,), limits={"timeout": "30s"})
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(services.invoke.call, relay, through(spin, arguments={}), CALLER)
            await until(lambda: services.pool.busy == 2)
            tasks.cancel_scope.cancel()
    await until(lambda: services.pool.busy == 0)
    outer, inner = await records(services, relay, spin)
    assert (outer.outcome, inner.outcome) == (Outcome.CANCELLED, Outcome.CANCELLED)


async def test_many_callers_that_hold_every_worker_and_call_others_all_come_to_an_end(narrow: Services) -> None:
    await offer(narrow, "sums")
    tools = [f"level-{number}_relay" for number in range(4)]
    for number in range(4):
        await offer_caller(narrow, f"level-{number}", (*tools[number + 1 :], "sums_add"))
    answers: list[object] = []
    most = 0

    async def watch() -> None:
        nonlocal most
        while len(answers) < 40:
            most = max(most, narrow.pool.busy)
            await anyio.sleep(0.005)

    async def call(number: int) -> None:
        way = through(*tools[1 : 1 + number % 4], "sums_add", arguments={"a": number, "b": 0})
        result = await narrow.invoke.call(tools[0], way, Caller(f"caller-{number % 10}", frozenset({Scope.CALL})))
        answers.append(result.structured)

    with anyio.fail_after(100):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            for number in range(40):
                tasks.start_soon(call, number)
    assert 2 <= most <= 1 + 1 + 8
    assert sorted(map(str, answers)) == sorted(str({"sum": number}) for number in range(40))
    await until(lambda: narrow.pool.busy == 0)
    await narrow.recorder.flush()
    newest = await narrow.call_log.recent(200)
    known = {record.id: record for record in newest}
    below = [record for record in newest if record.parent is not None]
    assert len(below) == sum(1 + number % 4 for number in range(40))
    assert all(known[str(record.parent)].caller == record.caller for record in below)


async def test_a_server_that_ends_lets_nested_calls_end_too(tmp_path: Path) -> None:
    settings = {"data_dir": tmp_path, "workers": 1, "spare_workers": 0}
    ends: list[str] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks, build(Config.model_validate(settings)) as services:
            spin = await offer_guest(services, "endless", "spin", limits={"timeout": "60s"})
            relay = await offer_caller(services, "relay", (spin,), limits={"timeout": "60s"})

            async def call() -> None:
                try:
                    await services.invoke.call(relay, {"name": spin}, LOCAL)
                except ToolServerError as error:
                    ends.append(error.code)

            tasks.start_soon(call)
            await until(lambda: services.pool.busy == 2)
            await services.pool.end_calls()
            await until(lambda: bool(ends))
    assert ends == ["shutting_down"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('USER("lookup") u64 lookup(u64); EXPORT(f) { return (i32)lookup(0); }', "'lookup'"),
        ('USER("call_tools") void call_tools(void); EXPORT(f) { call_tools(); return 0; }', "'call_tools'"),
        ('USER("call_tool") u64 call_tool(u64, u64); EXPORT(f) { return (i32)call_tool(0, 0); }', "one offset"),
        ('USER("log") void log(u32); EXPORT(f) { log(0); return 0; }', "(i32)"),
        ('USER("get_current_time") u32 now(void); EXPORT(f) { return now(); }', "(i32)"),
    ],
)
async def test_an_import_that_nobody_offers_is_refused_at_publish_by_its_name(
    services: Services, name: str, source: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await offer(services, name, wasm=compile_c(source), tools={})
    assert refused.value.code == "unknown_host_function"
    assert said in refused.value.message


FOREIGN = ["config_get", "get_keyring_secret", "create_elicitation", "notify_progress", "list_roots"]


@pytest.mark.parametrize("function", FOREIGN)
async def test_what_plugins_of_other_hosts_import_can_be_published(
    services: Services, name: str, function: str
) -> None:
    source = f'USER("{function}") u64 f(u64); EXPORT(go) {{ return f(0) ? 0 : 1; }}'
    published = await offer(services, name, wasm=compile_c(source), tools={})
    assert [item.name for item in published.release.program.imports] == [function]


async def test_a_function_that_the_manifest_requests_of_an_embedding_program_can_be_published(
    services: Services, name: str
) -> None:
    wasm = compile_c('USER("lookup") u64 lookup(u64); EXPORT(f) { return lookup(0) ? 0 : 1; }')
    await offer(services, name, wasm=wasm, tools={}, permissions={"functions": ["extism:host/user.lookup"]})
    with pytest.raises(
        CallFailed, match="lookup is not available: nobody offers it here in extism:host/user"
    ) as failed:
        await services.invoke.call(f"{name}_f", {"input": ""}, CALLER)
    assert failed.value.code == "host_function"


async def test_a_probe_at_publish_calls_no_tool(services: Services, name: str) -> None:
    await offer(services, f"{name}-sums")
    request = json.dumps(json.dumps({"name": f"{name}-sums_add", "arguments": BOTH}))
    called, denied = (json.dumps(json.dumps({"tools": [{"name": word}]})) for word in ("called", "denied"))
    source = f"""USER("call_tool") u64 call_tool(u64); USER("last_error") u64 last_error(void);
      EXPORT(describe) {{ u64 at = call_tool(text({request})); last_error(); return answer(at ? {called} : {denied}); }}
      EXPORT(call) {{ return answer("{{}}"); }}"""
    published = await offer(services, name, wasm=compile_c(source))
    assert [tool.name for tool in published.release.tools] == ["denied"]
