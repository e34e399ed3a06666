"""One call in a straight line, and what its record says."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.services.publishing import ADD, CALLER, READER, offer, offer_guest, until
from tests.support.guests import compile_c, guest
from tests.support.plugins import NOTE
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.errors import CallFailed, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.model.call import CallRecord, Outcome
from tool_server.model.caller import LOCAL, Caller
from tool_server.model.json_value import JsonObject, JsonValue, sha256_hex
from tool_server.model.permission import Permissions


async def last_record(services: Services, tool: str) -> CallRecord:
    """The record of the tool's last call."""
    await services.recorder.flush()
    return (await services.call_log.recent(1, tool=tool))[0]


async def test_defaults_are_filled_in_before_the_guest_sees_the_arguments(services: Services, name: str) -> None:
    note = {"description": "A note.", "input": NOTE, "output": NOTE}
    await offer(services, name, wasm=guest("echo"), tools={"echo": note})
    given: JsonObject = {"text": "hello"}
    result = await services.invoke.call(f"{name}_echo", given, CALLER)
    assert result.structured == {"text": "hello", "count": 3}
    assert json.loads(str(result.content[0]["text"])) == result.structured
    assert given == {"text": "hello"}
    assert (await services.invoke.call(f"{name}_echo", {"text": "x", "count": 7}, CALLER)).structured == {
        "text": "x",
        "count": 7,
    }


@pytest.mark.parametrize(
    ("arguments", "path", "expected", "got"),
    [
        ({"b": 1}, "$.a", "", ""),
        ({"a": "1", "b": 1}, "$.a", "integer", "string"),
        ({"a": 1.5, "b": 1}, "$.a", "integer", "1.5"),
        ({"a": None, "b": 1}, "$.a", "integer", "null"),
        ({"a": 1, "b": 1, "c": 1}, "$.c", "", ""),
        ({"a": float("nan"), "b": 1}, "$", "", "NaN"),
        ({"a": float("inf"), "b": 1}, "$", "", "Infinity"),
    ],
)
async def test_arguments_that_do_not_fit_never_reach_the_guest(
    services: Services, name: str, arguments: JsonObject, path: str, expected: str, got: str
) -> None:
    await offer(services, name)
    with pytest.raises(InvalidInput) as refused:
        await services.invoke.call(f"{name}_add", arguments, CALLER)
    assert refused.value.code == "invalid_arguments"
    (problem,) = refused.value.data["errors"]
    assert problem["path"] == path
    assert expected in str(problem["expected"])
    assert got in str(problem["got"])
    assert (await last_record(services, f"{name}_add")).result_bytes is None


def nested(depth: int) -> JsonObject:
    value: JsonObject = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "arguments",
    [{"a": {1, 2}}, {"a": object()}, {"a": b"bytes"}, {1: 2}, nested(200), nested(100_000)],
    ids=["set", "object", "bytes", "integer key", "deep", "very deep"],
)
async def test_values_that_json_does_not_have_are_refused_like_any_other(
    services: Services, name: str, arguments: Any
) -> None:
    tool = await offer_guest(services, name, "echo")
    with pytest.raises(InvalidInput) as refused:
        await services.invoke.call(tool, arguments, CALLER)
    assert refused.value.code == "invalid_arguments"


@pytest.mark.parametrize("number", [2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30])
async def test_large_integers_reach_the_guest_as_they_were_sent(services: Services, name: str, number: int) -> None:
    tool = await offer_guest(services, name, "echo")
    result = await services.invoke.call(tool, {"n": number}, CALLER)
    assert result.content[0]["text"] == f'{{"n":{number}}}'


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('EXPORT(f) { return answer("{\\"sum\\":\\"three\\"}"); }', "$.sum"),
        ('EXPORT(f) { return answer("{}"); }', "sum"),
        ('EXPORT(f) { return answer("[1]"); }', "object"),
        ('EXPORT(f) { return answer(""); }', "no output"),
        ('EXPORT(f) { return answer("{\\"sum\\":NaN}"); }', "NaN"),
        ('EXPORT(f) { return answer("{\\"sum\\":1}trailing"); }', "column"),
        ('EXPORT(f) { return answer("\\xff\\xfe"); }', "UTF-8"),
    ],
)
async def test_an_output_that_breaks_its_schema_is_the_plugins_fault(
    services: Services, name: str, source: str, said: str
) -> None:
    await offer(services, name, wasm=compile_c(source), tools={"f": {**ADD, "input": {"type": "object"}}})
    with pytest.raises(CallFailed) as failed:
        await services.invoke.call(f"{name}_f", {}, CALLER)
    assert failed.value.code == "bad_output"
    assert said in failed.value.message
    record = await last_record(services, f"{name}_f")
    assert (record.outcome, record.error) == (Outcome.FAILED, "bad_output")
    assert record.result_bytes is not None


async def test_an_unknown_tool_is_not_found_and_leaves_no_record(services: Services) -> None:
    before = await services.call_log.count()
    for tool in ("absent_tool", "", "x" * 100_000, "\udcff"):
        with pytest.raises(NotFound) as refused:
            await services.invoke.call(tool, {}, CALLER)
        assert refused.value.code == "unknown_tool"
        assert len(refused.value.message) < 300
    await services.recorder.flush()
    assert await services.call_log.count() == before


@pytest.mark.parametrize(
    ("requested", "granted", "seen"),
    [
        (["COLOUR", "HIDDEN"], ["COLOUR"], {"COLOUR": "blue", "HIDDEN": "none", "PATH": "none"}),
        (["COLOUR"], ["COLOUR", "HIDDEN"], {"COLOUR": "blue", "HIDDEN": "none"}),
        (["COLOUR"], [], {"COLOUR": "none"}),
        ([], ["COLOUR"], {"COLOUR": "none"}),
        (["ABSENT"], ["ABSENT"], {"ABSENT": "none"}),
    ],
)
async def test_a_plugin_reads_the_environment_it_asked_for_and_was_granted(
    services: Services, name: str, requested: list[str], granted: list[str], seen: dict[str, str]
) -> None:
    await offer(
        services,
        name,
        wasm=guest("config"),
        permissions={"environment": requested},
        granted=Permissions(environment=tuple(granted)),
    )
    read = {key: await services.invoke.call(f"{name}_config", {"input": key}, CALLER) for key in seen}
    assert {key: result.content[0]["text"] for key, result in read.items()} == seen


async def test_two_calls_share_nothing(services: Services, name: str) -> None:
    tool = await offer_guest(services, name, "counter")
    texts = [(await services.invoke.call(tool, {}, CALLER)).content[0]["text"] for _ in range(3)]
    assert texts == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("guest_name", "tool", "arguments", "caller", "outcome", "error"),
    [
        ("servlet", "sum", {"a": 1, "b": 2}, CALLER, Outcome.OK, None),
        ("servlet", "refuse", {}, CALLER, Outcome.TOOL_ERROR, None),
        ("servlet", "sum", {"a": 1}, CALLER, Outcome.INVALID_ARGUMENTS, "invalid_arguments"),
        ("servlet", "sum", {"a": 1, "b": 2}, READER, Outcome.DENIED, "missing_scope"),
        ("error", "error", {"input": ""}, CALLER, Outcome.FAILED, "guest_error"),
        ("trap", "trap", {"input": ""}, CALLER, Outcome.FAILED, "trap"),
        ("memory_bomb", "memory_bomb", {"input": ""}, CALLER, Outcome.FAILED, "out_of_memory"),
    ],
)
async def test_every_outcome_is_recorded_with_hashes_and_sizes_and_no_values(
    services: Services,
    name: str,
    guest_name: str,
    tool: str,
    arguments: JsonObject,
    caller: Caller,
    outcome: Outcome,
    error: str | None,
) -> None:
    release = (await offer(services, name, wasm=guest(guest_name))).release
    tool = f"{name}_{tool}"
    raised: ToolServerError | None = None
    try:
        await services.invoke.call(tool, arguments, caller)
    except ToolServerError as problem:
        raised = problem
    assert (raised.code if raised else None) == error
    record = await last_record(services, tool)
    sent = json.dumps(arguments, separators=(",", ":"), sort_keys=True).encode()
    assert (record.outcome, record.error, record.caller) == (outcome, error, caller.name)
    assert (record.tool, record.plugin, record.version) == (tool, name, "1.0.0")
    assert (record.digest, record.arguments_hash) == (release.program.digest, sha256_hex(sent))
    assert record.arguments_bytes == len(sent)
    answered = outcome in (Outcome.OK, Outcome.TOOL_ERROR)
    assert ((record.result_hash is not None), (record.result_bytes or 0) > 0) == (answered, answered)
    assert record.total_us >= record.timings.run_us >= 0
    assert (record.timings.run_us > 0) == answered


async def test_the_hash_of_a_result_is_that_of_the_guests_bytes(services: Services, name: str) -> None:
    tool = await offer_guest(services, name, "echo")
    await services.invoke.call(tool, {"b": 1, "a": "ä"}, CALLER)
    record = await last_record(services, tool)
    output = '{"b":1,"a":"ä"}'.encode()
    assert (record.result_hash, record.result_bytes) == (sha256_hex(output), len(output))


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncGenerator[Services]:
    """One worker, and room for one waiting call."""
    settings = {"data_dir": tmp_path / "data", "workers": 1, "spare_workers": 0, "limits": {"queue": 1, "reserve": 0}}
    async with build(Config.model_validate(settings), environment={}) as services:
        yield services


async def test_a_full_queue_refuses_and_a_cancelled_call_frees_its_worker(narrow: Services) -> None:
    spin = await offer_guest(narrow, "endless", "spin", limits={"timeout": "60s"})
    add = (await offer(narrow, "sums")).release.plugin + "_add"
    answered: list[object] = []

    async def wait_in_line() -> None:
        answered.append((await narrow.invoke.call(add, {"a": 1, "b": 2}, CALLER)).structured)

    async with anyio.create_task_group() as tasks:
        running = anyio.CancelScope()

        async def endless() -> None:
            with running:
                await narrow.invoke.call(spin, {}, CALLER)

        tasks.start_soon(endless)
        await until(lambda: narrow.pool.busy == 1)
        tasks.start_soon(wait_in_line)
        await until(lambda: narrow.pool.waiting == 1)
        with pytest.raises(Unavailable) as refused:
            await narrow.invoke.call(add, {"a": 1, "b": 2}, CALLER)
        assert refused.value.code == "busy"
        record = await last_record(narrow, add)
        assert (record.outcome, record.error) == (Outcome.UNAVAILABLE, "busy")
        running.cancel()
    assert answered == [{"sum": 3}]
    await until(lambda: narrow.pool.busy == 0)
    record = await last_record(narrow, spin)
    assert (record.outcome, record.error, record.result_hash) == (Outcome.CANCELLED, None, None)
    assert record.total_us < 60_000_000


async def test_an_artifact_that_is_gone_is_the_servers_trouble_and_not_an_unknown_tool(narrow: Services) -> None:
    tool = await offer_guest(narrow, "lost", "echo")
    entry = await narrow.catalog.find(tool)
    assert entry is not None
    await narrow.artifacts.delete(entry.program.digest)
    with pytest.raises(Unavailable) as failed:
        await narrow.invoke.call(tool, {}, CALLER)
    assert failed.value.code == "missing_artifact"
    assert entry.program.digest[:12] in failed.value.message
    record = await last_record(narrow, tool)
    assert (record.outcome, record.error) == (Outcome.UNAVAILABLE, "missing_artifact")


@pytest.mark.parametrize("change", ["update", "uninstall"])
async def test_a_call_under_way_ends_well_while_its_plugin_is_moved(narrow: Services, change: str) -> None:
    work = compile_c(
        'EXPORT(work) { volatile u32 x = 1; for (u32 i = 0; i < 400000000; i++) x = x * 3; return answer("done"); }'
    )
    tools = {"work": {"description": "Works.", "input": {"type": "object"}}}
    await offer(narrow, "moving", wasm=work, tools=tools)
    texts: list[object] = []

    async def call() -> None:
        texts.append((await narrow.invoke.call("moving_work", {}, LOCAL)).content[0]["text"])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await until(lambda: narrow.pool.busy == 1)
        moves: dict[str, Callable[[], Any]] = {
            "update": lambda: offer(narrow, "moving", "2.0.0", wasm=guest("add"), tools={"add": ADD}),
            "uninstall": lambda: narrow.install.uninstall("moving", LOCAL),
        }
        await moves[change]()
        with pytest.raises(NotFound):
            await narrow.invoke.call("moving_work", {}, LOCAL)
    assert texts == ["done"]
    assert (await last_record(narrow, "moving_work")).version == "1.0.0"


async def test_integers_of_hundreds_of_digits_are_refused_before_anybody_reads_them(
    services: Services, name: str
) -> None:
    await offer(services, name)
    huge: list[JsonValue] = [2**2_048, [-(2**2_048)], {"deep": {"er": 10**4_000}}]
    for value in huge:
        with pytest.raises(InvalidInput, match="hundreds of digits") as refused:
            await services.invoke.call(f"{name}_add", {"a": value, "b": 1}, CALLER)
        assert refused.value.code == "invalid_arguments"
    with pytest.raises(InvalidInput, match=r"\$\.c"):
        await services.invoke.call(f"{name}_add", {"a": 1, "b": 1, "c": 2**2_047}, CALLER)
