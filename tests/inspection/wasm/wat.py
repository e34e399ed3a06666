"""Strategies that write valid modules as text, and what the text says, for `wasmtime.wat2wasm` to translate."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

VALUE_TYPES = ("i32", "i64", "f32", "f64", "funcref", "externref")
CONSTANTS = {
    "i32": "(i32.const -7)",
    "i64": "(i64.add (i64.const 1) (i64.const -2))",
    "f32": "(f32.const 1.5)",
    "f64": "(f64.const -2.5)",
    "funcref": "(ref.null func)",
    "externref": "(ref.null extern)",
}

names = st.text(st.characters(codec="utf-8"), max_size=6)
value_types = st.sampled_from(VALUE_TYPES)
value_lists = st.lists(value_types, max_size=4).map(tuple)


def quoted(text: str) -> str:
    """A string of the text format, every byte escaped."""
    return '"' + "".join(f"\\{byte:02x}" for byte in text.encode()) + '"'


@dataclass(slots=True)
class Draft:
    """A module under construction: its fields as text, and how many of each kind there are."""

    fields: list[str] = field(default_factory=list[str])
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("func", "table", "memory", "global", "tag"), 0)
    )
    void_functions: list[int] = field(default_factory=list[int])

    def count(self, kind: str, signature: str) -> None:
        """Note one more of a kind."""
        if kind == "func" and not signature:
            self.void_functions.append(self.counts["func"])
        self.counts[kind] += 1


@dataclass(frozen=True, slots=True)
class Written:
    """Text and the start function it names."""

    text: str
    start: int | None


def _signature(params: tuple[str, ...], results: tuple[str, ...]) -> str:
    text = f"(param {' '.join(params)})" if params else ""
    return text + (f"(result {' '.join(results)})" if results else "")


def _bounds(minimum: int, extra: int | None) -> str:
    return str(minimum) if extra is None else f"{minimum} {minimum + extra}"


bounds = st.builds(_bounds, st.integers(0, 300), st.none() | st.integers(0, 300))

functions = (st.just("") | st.builds(_signature, value_lists, value_lists)).map(lambda text: ("func", text))
tables = st.tuples(st.sampled_from(["", "i64 "]), bounds, st.sampled_from(["funcref", "externref"])).map(
    lambda parts: ("table", f"{parts[0]}{parts[1]} {parts[2]}")
)
memories = st.one_of(
    st.tuples(st.sampled_from(["", "i64 "]), bounds).map("".join),
    st.integers(0, 300).map(lambda minimum: f"{minimum} {minimum + 1} shared"),
).map(lambda text: ("memory", text))
globals_ = st.tuples(value_types, st.booleans()).map(
    lambda parts: ("global", f"(mut {parts[0]})" if parts[1] else parts[0])
)
tags = value_lists.map(lambda params: ("tag", _signature(params, ())))
externs = st.one_of(functions, tables, memories, globals_, tags)

DECORATIONS = (
    "(type (struct (field i8) (field (mut i64))))",
    "(rec (type (array (mut anyref))) (type (func (param (ref null eq)) (result v128))))",
    "(type (sub (struct (field funcref)))) ",
    "(func (local i32 f64) (block (br 0)))",
    '(@custom "note" "\\00\\01")',
    "(table 2 (ref null func) (ref.null func))",
)
"""Fields that no one refers to, and that change the indexes and sections around them."""


def _define(kind: str, text: str) -> str:
    match kind:
        case "func":
            return f"(func {text} unreachable)"
        case "global":
            return f"(global {text} {CONSTANTS[text.removeprefix('(mut ').removesuffix(')')]})"
        case _:
            return f"({kind} {text})"


@st.composite
def modules(draw: st.DrawFn) -> Written:
    """A module of imports, definitions, exports and perhaps a start function."""
    draft = Draft()
    for module, item, (kind, text) in draw(st.lists(st.tuples(names, names, externs), max_size=5)):
        draft.fields.append(f"(import {quoted(module)} {quoted(item)} ({kind} {text}))")
        draft.count(kind, text)
    for kind, text in draw(st.lists(externs, max_size=6)):
        draft.fields.append(_define(kind, text))
        draft.count(kind, text)
    candidates = [(kind, index) for kind, count in draft.counts.items() for index in range(count)]
    if candidates:
        for item, (kind, index) in draw(st.dictionaries(names, st.sampled_from(candidates), max_size=6)).items():
            draft.fields.append(f"(export {quoted(item)} ({kind} {index}))")
    start = draw(st.none() | st.sampled_from(draft.void_functions)) if draft.void_functions else None
    if start is not None:
        draft.fields.append(f"(start {start})")
    draft.fields += draw(st.lists(st.sampled_from(DECORATIONS), max_size=3, unique=True))
    return Written(f"(module {' '.join(draft.fields)})", start)
