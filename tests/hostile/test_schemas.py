"""Schemas and values that take for ever: refused at publish, or stopped, and nobody else waits for them.

Each attack runs beside an honest caller on the same event loop. What is measured is CPU time of the server's process
from one turn of its event loop to the next: time in which no other caller is served, whatever else the machine does.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from tests.services.publishing import offer, until
from tests.support.guests import guest
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config, LimitSettings
from tool_server.errors import InvalidInput, ToolServerError
from tool_server.model.caller import LOCAL
from tool_server.model.json_value import JsonObject, JsonValue

STALL_S = 0.050
"""Longest turn of the event loop that an attack may cause, beyond the longest without it."""

CHECK_MS = 2_000
ROUNDS = 5
PATIENCE = 90

pytestmark = [pytest.mark.slow, pytest.mark.alone]

_NAMES = (f"plugin-{number}" for number in itertools.count(1))


def about(schema: JsonValue, **more: Any) -> JsonObject:
    """A tool's schema in which `schema` is about `x`."""
    return {"type": "object", "properties": {"x": schema}, **more}


def doubling(keyword: str, number: int = 40) -> JsonObject:
    """Definitions that each refer twice to the next."""

    def body(target: int) -> JsonObject:
        references: list[JsonValue] = [{"$ref": f"#/$defs/d{target}"}] * 2
        return {keyword: references}

    definitions: JsonObject = {f"d{i}": body(i + 1) for i in range(number)}
    return about({"$ref": "#/$defs/d0"}, **{"$defs": {**definitions, f"d{number}": {"minLength": 1}}})


def web(**more: JsonValue) -> JsonObject:
    """Dynamic anchors that all lead to one another."""
    properties: JsonObject = {f"p{j}": {"$dynamicRef": "#n"} for j in range(5)}
    definitions: JsonObject = {f"d{i}": {"$dynamicAnchor": "n", "properties": properties, **more} for i in range(8)}
    return about({"$dynamicRef": "#n"}, **{"$dynamicAnchor": "n", "$defs": definitions})


def deep(levels: int, item: Callable[[JsonValue], JsonValue] = lambda inner: [inner]) -> JsonValue:
    """A value inside so many others."""
    value: JsonValue = 1
    for _ in range(levels):
        value = item(value)
    return value


def recursive(*keywords: str) -> JsonObject:
    """Alternatives that each enter the same property, so that the work doubles with each level."""
    inner: JsonObject = {"properties": {"a": {"$ref": "#/$defs/n"}}}
    node: JsonObject = {keyword: [inner, dict(inner)] for keyword in keywords}
    return about({"$ref": "#/$defs/n"}, **{"$defs": {"n": node}})


REFUSED: list[tuple[str, str, Callable[[], JsonObject]]] = [
    ("2^40 by allOf", "schema-explodes", lambda: doubling("allOf")),
    ("2^40 by anyOf", "schema-explodes", lambda: doubling("anyOf")),
    ("2^40 by oneOf", "schema-explodes", lambda: doubling("oneOf")),
    (
        "2^40 by unevaluatedProperties",
        "schema-explodes",
        lambda: about(
            {"$ref": "#/$defs/d0"},
            **{
                "$defs": {
                    f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}], "unevaluatedProperties": False}
                    for i in range(40)
                }
                | {"d40": {}}
            },
        ),
    ),
    ("a cycle of $ref", "schema-explodes", lambda: about({"$ref": "#/properties/x"})),
    ("defaults without an end", "schema-explodes", lambda: about({"$ref": "#", "default": {}})),
    ("a web of dynamic references", "schema-explodes", lambda: web(unevaluatedProperties=False)),
    ("90,000 choices", "schema-too-large", lambda: about({"enum": list(range(90_000))})),
    (
        "40,000 properties",
        "schema-too-large",
        lambda: {"type": "object", "properties": {f"p{i}": {} for i in range(40_000)}},
    ),
    (
        "10,000 definitions in a chain",
        "schema-too-large",
        lambda: about(
            {"$ref": "#/$defs/d0"},
            **{"$defs": {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(10_000)} | {"d10000": {}}},
        ),
    ),
    ("a megabyte of text", "schema-too-large", lambda: about({"const": "x" * 10**6})),
    ("a schema 100 levels deep", "schema-too-deep", lambda: about(deep(100, lambda inner: {"items": inner}))),
    ("a{1000}{1000}", "pattern-unsupported", lambda: about({"pattern": "(?:a{1000}){1000}"})),
    ("a counted class of Unicode", "pattern-unsupported", lambda: about({"pattern": r"(?:\p{L}{500}){500}"})),
    (
        "300 such patterns",
        "pattern-unsupported",
        lambda: about({"allOf": [{"pattern": rf"(?:\w{{{500 + i}}}){{500}}"} for i in range(300)]}),
    ),
    ("a back reference", "pattern-unsupported", lambda: about({"pattern": r"^(a+)+\1$"})),
    ("a lookahead", "pattern-unsupported", lambda: about({"pattern": "^(?=(a+)+$)b"})),
]


@dataclass(frozen=True)
class Attack:
    """A schema that may be published, a value for its tool, and the code that the call ends in (None: it succeeds)."""

    name: str
    schema: JsonObject
    value: Callable[[], Any]
    code: str | None
    options: dict[str, Any] = field(default_factory=dict[str, Any])


LARGE = 10**50

ATTACKS = [
    Attack("unique large integers", about({"uniqueItems": True}), lambda: [LARGE + i for i in range(6_000)], "limit"),
    Attack("unique objects", about({"uniqueItems": True}), lambda: [{"a": f"{i:0>30}"} for i in range(45_000)], None),
    Attack(
        "fractions among fractions",
        about({"items": {"enum": [i + 0.5 for i in range(5_000)]}}),
        lambda: [4_999.5] * 60_000,
        "limit",
    ),
    Attack(
        "constants equal but for the last item",
        about({"items": {"const": list(range(4_000))}}),
        lambda: [[*range(3_999), 0]] * 40,
        "invalid",
    ),
    Attack("contains", about({"contains": {"const": 1}, "minContains": 10**9}), lambda: [1] * 95_000, "invalid"),
    Attack("alternatives that never fit", recursive("anyOf"), lambda: deep(60, lambda v: {"a": v}), "invalid"),
    Attack("exclusive alternatives", recursive("oneOf"), lambda: deep(20, lambda v: {"a": v}), "invalid"),
    Attack(
        "names times patterns",
        about(
            {
                "propertyNames": {"pattern": "^k"},
                "patternProperties": {f"^k{i}": {"type": "number"} for i in range(200)},
            }
        ),
        lambda: {f"k{i}": i for i in range(20_000)},
        None,
    ),
    Attack("many wrong items", about({"items": {"type": "string"}}), lambda: list(range(90_000)), "invalid"),
    Attack("100,000 levels", about({}), lambda: deep(100_000), "invalid"),
    Attack("500 levels", about({}), lambda: deep(500), "invalid"),
    Attack("95,000 empty arrays", about({"type": "array"}), lambda: [[] for _ in range(95_000)], None),
    Attack("a million empty arrays", about({"type": "array"}), lambda: [[] for _ in range(1_000_000)], "too many"),
    Attack("long text", about({"allOf": [{"minLength": i} for i in range(50)]}), lambda: "é" * 1_900_000, None),
    Attack("a long pattern on long text", about({"pattern": "^(a?b?){100}c$"}), lambda: "ab" * 250_000, "invalid"),
    Attack("nested repetition", about({"pattern": "^(a+)+$"}), lambda: "a" * 100_000 + "!", "invalid"),
    Attack("a format on long text", about({"format": "idn-hostname"}), lambda: "ü" * 500_000, "invalid"),
    Attack("an email address", about({"format": "email"}), lambda: "a@" + "b." * 500_000, "invalid"),
    Attack("a regular expression", about({"format": "regex"}), lambda: r"(\w{1000}|a){1000}" * 1_000, None),
    Attack(
        "3,000 parameters",
        about({}, properties={f"p{i}": {"type": "string", "description": "x" * 40} for i in range(3_000)}),
        lambda: "x",
        None,
    ),
    Attack(
        "defaults at every item",
        about({"items": {"properties": {f"a{i}": {"default": [1, 2]} for i in range(30)}}}),
        lambda: [{} for _ in range(50_000)],
        "filled",
    ),
    Attack(
        "names that resemble one another",
        about({}, properties={f"{'a' * 80}{i:04}": {} for i in range(2_000)}, additionalProperties=False),
        lambda: {"a" * 81 + str(i): 1 for i in range(200)},
        "invalid",
    ),
]

CODES: dict[str, dict[str, set[str | None]]] = {
    # The tool's result is what it was given, which its output schema may allow and the bounds of results not.
    "input": {
        "invalid": {"invalid_arguments"},
        "limit": {"invalid_arguments", "validation_limit", "input_too_large"},
        "filled": {"validation_limit", "input_too_large"},
        "too many": {"bad_output", "validation_limit"},
    },
    "output": {
        "invalid": {"bad_output", "invalid_arguments"},
        "limit": {"bad_output", "validation_limit"},
        "filled": {None},
        "too many": {"bad_output", "validation_limit"},
    },
}


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Services]:
    limits = LimitSettings(validation_timeout=CHECK_MS)
    folder = tmp_path_factory.mktemp("hostile") / "data"
    async with build(Config(data_dir=folder, workers=2, spare_workers=1, limits=limits)) as running:
        await offer(running, "honest")
        await beside(running, 0.2)
        # As the server does when it has started.
        usual = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        yield running
        gc.set_threshold(*usual)
        gc.unfreeze()


class Heartbeat:
    """Turns of the event loop, as CPU seconds of the process from one to the next."""

    def __init__(self) -> None:
        self.longest = 0.0

    @asynccontextmanager
    async def beating(self) -> AsyncGenerator[None]:
        """Measure while the block runs."""

        async def beat() -> None:
            while True:
                before = time.process_time()
                await anyio.sleep(0.001)
                self.longest = max(self.longest, time.process_time() - before)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            yield
            await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()


async def honest_calls(services: Services, calls: list[int]) -> None:
    """Ordinary calls, one after another; each result must be right."""
    for number in itertools.count():
        result = await services.invoke.call("honest_add", {"a": number, "b": 1}, LOCAL)
        assert result.structured == {"sum": number + 1}
        calls.append(number)
        await anyio.sleep(0.001)


@asynccontextmanager
async def honest_caller(services: Services) -> AsyncGenerator[Heartbeat]:
    """An honest caller beside the block, who is served in the meantime."""
    heart, calls = Heartbeat(), list[int]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(honest_calls, services, calls)
        async with heart.beating():
            yield heart
        served = len(calls)
        with anyio.fail_after(PATIENCE):
            while len(calls) <= served:  # noqa: ASYNC110 - the other task only counts
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()


async def beside(services: Services, seconds: float) -> float:
    """The longest turn of the event loop while the honest caller is alone."""
    async with honest_caller(services) as heart:
        await anyio.sleep(seconds)
    return heart.longest


async def require_undisturbed(services: Services, attack: Callable[[], Any]) -> None:
    """Run an attack beside an honest caller, and compare with the time before it."""
    alone = await beside(services, 0.1)
    async with honest_caller(services) as heart:
        await attack()
    assert heart.longest <= alone + STALL_S, f"{heart.longest} s on the loop beside the attack, {alone} s without"


@pytest.mark.parametrize("field", ["input", "output"])
@pytest.mark.parametrize(("rule", "schema"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_a_schema_without_an_end_is_refused_at_publish(
    services: Services, rule: str, schema: Callable[[], JsonObject], field: str
) -> None:
    tool: dict[str, Any] = {"description": "Never ends.", "input": {"type": "object"}, field: schema()}

    async def attack() -> None:
        with anyio.fail_after(PATIENCE), pytest.raises(InvalidInput) as refused:
            await offer(services, next(_NAMES), wasm=guest("echo"), tools={"echo": tool})
        assert refused.value.code == "lint"
        rules = {finding["rule"] for finding in refused.value.data["findings"]}
        assert rule in rules

    await require_undisturbed(services, attack)


@pytest.mark.parametrize("field", ["input", "output"])
@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
async def test_a_value_that_takes_long_is_stopped_and_nobody_waits_for_it(
    services: Services, attack: Attack, field: str
) -> None:
    name = next(_NAMES)
    tool: dict[str, Any] = {"description": "Echoes.", "input": {"type": "object"}, "output": {"type": "object"}}
    arguments: JsonObject = {"x": attack.value()}
    await offer(services, name, wasm=guest("echo_all"), tools={"echo_all": {**tool, field: attack.schema}})
    await anyio.sleep(0.01)
    ended: list[str | None] = []

    async def call() -> None:
        with anyio.fail_after(PATIENCE):
            try:
                await services.invoke.call(f"{name}_echo_all", arguments, LOCAL)
            except ToolServerError as error:
                ended.append(error.code)
            else:
                ended.append(None)

    await require_undisturbed(services, call)
    assert ended[0] in ({None} if attack.code is None else CODES[field][attack.code])


async def test_honest_calls_take_no_longer_while_every_validator_is_kept_busy(services: Services) -> None:
    name = next(_NAMES)
    tool = {"description": "Takes.", "input": about({"uniqueItems": True}), "output": {"type": "object"}}
    await offer(services, name, wasm=guest("echo"), tools={"echo": tool})
    arguments: JsonObject = {"x": [LARGE + number for number in range(6_000)]}

    async def attack() -> None:
        with pytest.raises(InvalidInput) as refused:
            await services.invoke.call(f"{name}_echo", arguments, LOCAL)
        assert refused.value.code == "validation_limit"

    async def median_latency() -> float:
        taken: list[float] = []
        for number in range(60):
            started = time.perf_counter()
            result = await services.invoke.call("honest_add", {"a": number, "b": 1}, LOCAL)
            taken.append(time.perf_counter() - started)
            assert result.structured == {"sum": number + 1}
        return statistics.median(taken)

    ratios: list[float] = []
    for _ in range(ROUNDS):
        alone = await median_latency()
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(attack)
                await until(lambda: services.validation.busy == 2)
                ratios.append(await median_latency() / alone)
        if ratios[-1] <= 2:
            break
    # The machine has other things to do as well: one quiet round is enough.
    assert min(ratios) <= 2, ratios
