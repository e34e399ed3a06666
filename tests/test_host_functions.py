"""Functions of an embedding program, called by plugins: typed, granted by name, bounded in time."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import pytest
from pydantic import BaseModel, Field

from tests.services.publishing import offer, until
from tests.support.guests import compile_c
from tests.support.http_server import serving
from tests.support.plugins import write_plugin
from tool_server import HostFunction, LoadedPlugin, Permissions, ToolServer, load_plugin
from tool_server.config import Config
from tool_server.errors import CallFailed, InvalidInput, NotFound

# The input goes to the function as it is; the tool answers {"answer": …}, or {"error": …} where it failed.
SOURCE = r"""
HOST("shop", "%(name)s") u64 function(u64); USER("last_error") u64 last_error(void);
EXPORT(ask) { read_input(); u64 at = function(put(in, in_size));
  add_text(at ? "{\"answer\":" : "{\"error\":"); add_block(at ? at : last_error()); add_text("}"); return done(); }
EXPORT(ask_heedlessly) { read_input(); function(put(in, in_size)); return answer("{}"); }
"""
ANYTHING: dict[str, Any] = {"input": {"type": "object"}, "output": {"type": "object"}}


class Item(BaseModel):
    name: str
    count: int = Field(default=1, ge=1)


class Order(BaseModel):
    total: float
    items: list[Item]
    day: date


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data", workers=1, spare_workers=0)


@asynccontextmanager
async def asking(
    folder: Path,
    config: Config,
    *functions: HostFunction,
    granted: tuple[str, ...] | None = None,
    requested: tuple[str, ...] | None = None,
) -> AsyncGenerator[LoadedPlugin]:
    """A plugin that asks the first function, under the limits of 10 s."""
    name = functions[0].name
    asked = (f"shop.{name}",) if requested is None else requested
    path = write_plugin(
        folder / f"with-{name}",
        "asker",
        compile_c(SOURCE % {"name": name}),
        {"ask": ANYTHING, "ask_heedlessly": ANYTHING},
        permissions={"functions": list(asked)},
    )
    permissions = Permissions(functions=asked if granted is None else granted)
    async with load_plugin(path, permissions=permissions, config=config, host_functions=functions) as plugin:
        yield plugin


async def error_of(plugin: LoadedPlugin, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the guest is told."""
    answer = await plugin.call("ask", arguments)
    assert isinstance(answer, dict)
    error = answer["error"]
    assert isinstance(error, dict)
    return error


async def price(item: str, count: int = 1) -> float:
    return len(item) * count / 2


async def test_a_function_gets_typed_arguments_and_its_result_comes_back_as_json(
    tmp_path: Path, config: Config
) -> None:
    async def order(items: list[Item], *, kind: Literal["now", "later"] = "now") -> Order:
        return Order(total=sum(item.count for item in items), items=items, day=date(2026, 1, 2))

    async with asking(tmp_path, config, HostFunction("shop", price)) as plugin:
        assert await plugin.call("ask", {"item": "bread"}) == {"answer": 2.5}
        assert await plugin.call("ask", {"item": "bread", "count": 4}) == {"answer": 10.0}
    async with asking(tmp_path, config, HostFunction("shop", order)) as plugin:
        answer = await plugin.call("ask", {"items": [{"name": "tea"}, {"name": "jam", "count": 2}]})
    items = [{"name": "tea", "count": 1}, {"name": "jam", "count": 2}]
    assert answer == {"answer": {"total": 3.0, "items": items, "day": "2026-01-02"}}


@pytest.mark.parametrize(
    "arguments",
    [{}, {"item": 1}, {"item": "a", "count": "2"}, {"item": "a", "colour": "red"}, {"item": None}, {"item": ["a"]}],
)
async def test_arguments_that_do_not_fit_never_reach_the_function(
    tmp_path: Path, config: Config, arguments: dict[str, Any]
) -> None:
    called: list[str] = []

    async def watched(item: str, count: int = 1) -> int:
        called.append(item)
        return count

    async with asking(tmp_path, config, HostFunction("shop", watched)) as plugin:
        error = await error_of(plugin, arguments)
    assert error["code"] == "invalid_arguments"
    assert "shop.watched" in error["message"]
    assert called == []


@pytest.mark.parametrize("text", [b"", b"[]", b'["bread"]', b"nonsense", b'{"item":', b'"bread"', b"\xff", b"null"])
async def test_what_is_no_object_is_refused(tmp_path: Path, config: Config, text: bytes) -> None:
    function = HostFunction("shop", price)
    quoted = "".join(f"\\x{byte:02x}" for byte in text)
    source = (SOURCE % {"name": "price"}).replace("function(put(in, in_size))", f'function(text("{quoted}"))')
    path = write_plugin(
        tmp_path / "asker", "asker", compile_c(source), {"ask": ANYTHING}, permissions={"functions": ["shop.price"]}
    )
    granted = Permissions(functions=("shop.price",))
    async with load_plugin(path, permissions=granted, config=config, host_functions=[function]) as plugin:
        assert (await error_of(plugin, {}))["code"] == "invalid_arguments"


async def test_what_a_function_raises_reaches_the_guest_in_words_and_the_log_with_its_traceback(
    tmp_path: Path, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    async def stock(item: str) -> int:
        if item == "here":
            raise NotFound("no_such_item", f"there is no {item}")
        raise KeyError(item)

    async with asking(tmp_path, config, HostFunction("shop", stock)) as plugin:
        with caplog.at_level(logging.WARNING):
            error = await error_of(plugin, {"item": "bread"})
        own = await error_of(plugin, {"item": "here"})
        with pytest.raises(CallFailed) as failed:
            await plugin.call("ask_heedlessly", {"item": "bread"})
    assert error == {
        "code": "host_function",
        "message": "host function shop.stock failed: KeyError: 'bread'",
        "data": {},
    }
    assert (own["code"], own["message"]) == ("no_such_item", "there is no here")
    assert (failed.value.code, failed.value.message) == ("host_function", error["message"])
    records = [record for record in caplog.records if record.name.endswith("host_functions")]
    assert [record.exc_info is not None for record in records] == [True, True]


async def test_a_function_that_takes_too_long_is_cancelled_and_the_call_fails_by_name(
    tmp_path: Path, config: Config
) -> None:
    ends: list[str] = []

    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            ends.append("cancelled")
            raise

    async with asking(tmp_path, config, HostFunction("shop", slow, timeout=0.1)) as plugin:
        error = await error_of(plugin, {})
        with pytest.raises(CallFailed) as failed:
            await plugin.call("ask_heedlessly", {})
    assert (error["code"], error["message"]) == ("timeout", "host function shop.slow did not answer within 0.1 s")
    assert (failed.value.code, failed.value.message) == ("host_function", error["message"])
    assert ends == ["cancelled", "cancelled"]


async def test_cancelling_a_call_cancels_the_function_it_waits_for(tmp_path: Path, config: Config) -> None:
    begun = anyio.Event()
    ends: list[str] = []

    async def slow() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("over")

    with anyio.fail_after(20):
        async with asking(tmp_path, config, HostFunction("shop", slow)) as plugin:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(plugin.call, "ask")
                await begun.wait()
                tasks.cancel_scope.cancel()
    assert ends == ["over"]


async def test_a_result_that_is_not_what_was_promised_is_the_programs_mistake(
    tmp_path: Path, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    async def lying() -> int:
        return json.loads('"many"')

    async with asking(tmp_path, config, HostFunction("shop", lying)) as plugin:
        error = await error_of(plugin, {})
    assert error["code"] == "host_function"
    assert error["message"] == "host function shop.lying returned what it does not promise"
    assert "many" not in error["message"]


@pytest.mark.parametrize(
    ("requested", "granted"),
    [((), ()), (("shop.price",), ()), ((), ("shop.price",)), (("shop.price",), ("shop.prices",))],
)
async def test_a_function_is_granted_by_name(
    tmp_path: Path, config: Config, requested: tuple[str, ...], granted: tuple[str, ...]
) -> None:
    function = HostFunction("shop", price)
    async with asking(tmp_path, config, function, requested=requested, granted=granted) as plugin:
        error = await error_of(plugin, {"item": "bread"})
    assert error["code"] == "function_not_permitted"
    assert "the plugin asker may not use the host function shop.price" in error["message"]
    assert "tool-server grant add asker functions=shop.price" in error["message"]


async def test_a_grant_of_all_that_is_requested_covers_it(tmp_path: Path, config: Config) -> None:
    async with asking(tmp_path, config, HostFunction("shop", price), granted=("*",)) as plugin:
        assert await plugin.call("ask", {"item": "tea"}) == {"answer": 1.5}


async def test_one_that_nobody_offers_is_told_by_name(tmp_path: Path, config: Config) -> None:
    async def other() -> int:
        return 1

    wasm = compile_c(SOURCE % {"name": "absent"})
    path = write_plugin(
        tmp_path / "asker", "asker", wasm, {"ask": ANYTHING}, permissions={"functions": ["shop.absent"]}
    )
    async with load_plugin(path, config=config, host_functions=[HostFunction("shop", other)]) as plugin:
        with pytest.raises(CallFailed, match="absent is not available: nobody offers it here in shop") as failed:
            await plugin.call("ask", {})
    assert failed.value.code == "host_function"


async def test_a_published_plugin_is_served_too_and_so_is_one_behind_the_whole_server(
    tmp_path: Path, config: Config
) -> None:
    app = ToolServer(config, host_functions=[HostFunction("shop", price)])
    async with serving(app) as url:
        await offer(
            app.services,
            "asker",
            wasm=compile_c(SOURCE % {"name": "price"}),
            tools={"ask": ANYTHING, "ask_heedlessly": ANYTHING},
            permissions={"functions": ["shop.price"]},
            granted=Permissions(functions=("shop.price",)),
        )
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answer = await client.post("/api/v1/tools/asker_ask/call", json={"item": "bread"})
        assert answer.json()["structuredContent"] == {"answer": 2.5}
        await until(lambda: app.services.pool.busy == 0)
    granted = Permissions(functions=("shop.price",))
    function = HostFunction("shop", price)
    async with load_plugin("asker", permissions=granted, config=config, host_functions=[function]) as plugin:
        assert await plugin.call("ask", {"item": "tea"}) == {"answer": 1.5}


async def test_a_plugin_run_from_its_files_calls_its_own_tools_alone(tmp_path: Path, config: Config) -> None:
    source = """USER("call_tool") u64 call_tool(u64); USER("last_error") u64 last_error(void);
      EXPORT(relay) { read_input(); u64 at = call_tool(put(in, in_size)); add_block(at ? at : last_error());
        return done(); }
      EXPORT(hello) { return answer("hello"); }"""
    tools = {"relay": {"input": {"type": "object"}}, "hello": {"input": {"type": "object"}}}
    named = ("pair_hello", "pair_relay", "hash_digest")
    path = write_plugin(tmp_path / "pair", "pair", compile_c(source), tools, permissions={"tools": list(named)})
    async with load_plugin(path, permissions=Permissions(tools=named), config=config) as plugin:
        said = {name: json.loads(str(await plugin.call("relay", {"name": name}))) for name in named}
    assert said["pair_hello"] == {"content": [{"type": "text", "text": "hello"}], "isError": False}
    assert (said["pair_relay"]["code"], said["hash_digest"]["code"]) == ("call_cycle", "unknown_tool")


async def untyped(item, count: int) -> int:  # pyright: ignore
    return count


async def promises_nothing(item: str):
    return item


async def any_number(*items: str) -> int:
    return len(items)


async def anything(**items: str) -> int:
    return len(items)


async def by_place(item: str, /) -> str:
    return item


async def unknown_type(item: anyio.Event) -> int:
    return 1


def blocking(item: str) -> str:
    return item


UNTELLABLE: list[Any] = [
    *(untyped, promises_nothing, any_number, anything, by_place, unknown_type, blocking),  # pyright: ignore
    lambda: 1,
]


@pytest.mark.parametrize("function", UNTELLABLE)
def test_a_function_whose_types_cannot_be_told_is_not_offered(function: Callable[..., Awaitable[Any]]) -> None:
    with pytest.raises(InvalidInput) as refused:
        HostFunction("shop", function, name="f")
    assert refused.value.code == "invalid_host_function"
    assert "shop.f" in refused.value.message


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("", "price"),
        ("shop", "a b"),
        ("shop", "*"),
        ("sh.op", "price"),
        ("shop", "x" * 65),
        ("extism:host/env", "alloc"),
        ("wasi_snapshot_preview1", "fd_write"),
        ("extism:host/user", "call_tool"),
        ("extism:host/user", "config_get"),
    ],
)
def test_a_name_that_is_taken_or_none_is_not_offered(namespace: str, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        HostFunction(namespace, price, name=name)
    assert refused.value.code == "invalid_host_function"


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_function_has_a_deadline(timeout: float) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        HostFunction("shop", price, timeout=timeout)


async def test_two_functions_of_one_name_are_refused(tmp_path: Path, config: Config) -> None:
    twice = [HostFunction("shop", price), HostFunction("shop", anything_else, name="price")]
    with pytest.raises(InvalidInput, match=r"two host functions are called shop\.price"):
        async with asking(tmp_path, config, *twice):
            pytest.fail("it was loaded")


async def anything_else() -> None:
    return None


def test_a_function_tells_its_schemas() -> None:
    function = HostFunction("shop", price)
    assert function.item == "shop.price"
    assert function.input_schema["required"] == ["item"]
    assert function.output_schema == {"type": "number"}
