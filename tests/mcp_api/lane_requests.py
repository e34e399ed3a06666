"""Generated HTTP requests for the lane and the SDK: most of them plain, with up to three things changed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

Json = dict[str, Any]
MODERN = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
BODY_LIMIT = 16_384


@dataclass
class Sent:
    """One request on its way to an ASGI application."""

    headers: list[tuple[bytes, bytes]]
    body: Any
    """What is encoded as JSON, unless `raw` is there."""
    raw: bytes | None = None
    method: str = "POST"
    path: str = "/mcp"
    client: tuple[str, int] | None = ("127.0.0.1", 50_000)
    cuts: Sequence[int] = ()
    """Where the body is cut into chunks."""
    leaves_after: int | None = None
    """The chunk after which the client disconnects."""
    told_length: str | None = None
    changes: list[str] = field(default_factory=list[str])

    def encoded(self) -> bytes:
        """The body's bytes."""
        return (
            json.dumps(cast(object, self.body), ensure_ascii=False).encode("utf-8", "surrogatepass")
            if self.raw is None
            else self.raw
        )

    def envelope(self) -> Json:
        """The request's own object, where it is one still; else an empty one."""
        body: object = self.body
        return cast(Json, body) if isinstance(body, dict) else {}

    def params(self) -> Json:
        """Its parameters, in the same way."""
        found = self.envelope().get("params")
        return cast(Json, found) if isinstance(found, dict) else {}

    def set_header(self, name: str, value: str | bytes | None) -> None:
        """Replace a header, or take it out."""
        self.headers = [item for item in self.headers if item[0] != name.encode()]
        if value is not None:
            self.headers.append((name.encode(), value if isinstance(value, bytes) else value.encode()))

    def complete_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers with the length."""
        told = str(len(self.encoded())) if self.told_length is None else self.told_length
        return [*self.headers, *([(b"content-length", told.encode())] if told else [])]


Mutation = Callable[[random.Random, Sent], None]
Tokens = dict[str, str]
"""Bearer tokens by what is the matter with them."""

ARGUMENTS: list[Any] = [
    {"a": 1, "b": 2},
    {"a": -(2**31), "b": 7},
    {"a": 2**53, "b": 1},
    {"a": "1", "b": 2},
    {"a": 1},
    {"a": 1.0, "b": 2},
    {"a": 1.5, "b": 2},
    {"a": True, "b": None},
    {"a": 1, "b": 2, "c": {"d": [1, {"e": None}]}},
    {},
    {"": 0, "a": 3, "b": 4},
    {"a": 10**18, "b": 10**19},
    {"a": 2**64, "b": -(2**64)},
]
TEXTS = [
    "x",
    "",
    "zwei Wörter",
    "\U0001f600 smile",
    "a\u0000b",
    "\u202eright",
    "tab\tand\nline",
    "\\u0041",
    "é" * 90,
    "y" * 201,
]
RAW_ARGUMENTS = [
    '{"a":1e400,"b":2}',
    '{"a":NaN,"b":2}',
    '{"a":-Infinity,"b":2}',
    '{"a":-0.0,"b":-0}',
    '{"a":1E2,"b":2e0}',
    '{"a":1,"a":2,"b":3}',
    '{"a":9223372036854775807,"b":0}',
    '{"a":9223372036854775808,"b":0}',
    '{"a":18446744073709551616,"b":0}',
    '{"a":1,"b":2,"c":"\\ud83d"}',
    '{"a":1,"b":2,"c":"\\ud83d\\ude00"}',
    '{"a":1,"b":2,}',
    '{"a":01,"b":2}',
    "{'a':1,'b':2}",
    '{"a":1 ,\t"b"\r\n:2}',
    '{"a":1,"b":2,"c":' + "[" * 100 + "]" * 100 + "}",
    '{"a":1,"b":2,"c":' + "[" * 160 + "]" * 160 + "}",
    '{"a":1,"b":2,"c":' + '{"d":' * 400 + "1" + "}" * 400 + "}",
    '{"a":1,"b":2,"c":' + "[" * 1_500 + "]" * 1_500 + "}",
    '{"a":1,"b":2,"c":[' + "{}," * 300 + "{}]}",
    '{"a":0.1234567890123456789,"b":2}',
    '{"a":' + "1" * 5_000 + ',"b":2}',
]
IDS: list[Any] = [
    1,
    0,
    -7,
    2**53,
    2**63,
    2**70,
    "1",
    "",
    "ü\n",
    "x" * 500,
    1.0,
    1.5,
    None,
    True,
    False,
    [],
    {},
    "\ud800",
]
CAPABILITIES: list[Any] = [
    {},
    {"elicitation": {}},
    {"elicitation": {"form": {}, "url": {}}},
    {"elicitation": {"form": 5}},
    {"elicitation": {"other": {}}},
    {"elicitation": None},
    {"sampling": {"tools": {}, "context": {}}},
    {"sampling": []},
    {"roots": {"listChanged": True}},
    {"roots": 1},
    {"experimental": {"x": {"y": [1]}}},
    {"experimental": {"x": 1}},
    {"extensions": {"io.example/z": {}}},
    {"extensions": []},
    {"unknown": {"a": 1}},
    None,
    [],
    "all",
]
INFOS: list[Any] = [
    {"name": "client", "version": "1"},
    {"name": "client", "version": "1", "title": "Client", "websiteUrl": "http://x"},
    {"name": "client"},
    {"name": 5, "version": "1"},
    {"name": "client", "version": "1", "title": None},
    {"name": "client", "version": "1", "icons": []},
    {"name": "client", "version": "1", "other": {}},
    {},
    None,
    "client",
]
HEADER_VALUES: dict[str, list[str | bytes | None]] = {
    "mcp-protocol-version": [None, "", "2025-11-25", "2025-06-18", "2099-01-01", f"{MODERN} ", f" {MODERN}", "x"],
    "mcp-method": [None, "", "tools/list", "tools/call", "TOOLS/CALL", "tools/call ", "ping", b"\xff"],
    "mcp-name": [
        None,
        "",
        "trial_add",
        "trial_words",
        "nothing",
        "trial_add ",
        "=?base64?dHJpYWxfYWRk?=",
        b"\xe4",
        "=?base64?x?=",
    ],
    "content-type": [
        None,
        "",
        "text/plain",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/jsonx",
        "application/json ",
    ],
    "accept": [
        None,
        "",
        "*/*",
        "application/json",
        "text/event-stream",
        "text/event-stream,application/json;q=0.1",
        "application/*, text/*",
        "text/html",
    ],
    "host": [
        None,
        "",
        "evil.example",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:x",
        "127.0.0.1:",
        "[::1]:80",
        "localhost:1:2",
    ],
    "origin": [
        "",
        "null",
        "http://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1",
        "https://localhost",
        "http://localhost:x",
    ],
}
EXTRA_HEADERS = [
    ("user-agent", "x"),
    ("x-forwarded-for", "10.0.0.1"),
    ("forwarded", "for=1"),
    ("via", "1.1 x"),
    ("mcp-param-a", "1"),
    ("mcp-session-id", "abc"),
    ("x-trace", "1"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("content-encoding", "gzip"),
    ("last-event-id", "3"),
]


def plain(rng: random.Random) -> Sent:
    """A request as good clients send it."""
    meta: Json = {f"{PREFIX}protocolVersion": MODERN, f"{PREFIX}clientCapabilities": {}}
    if rng.random() < 0.5:
        meta[f"{PREFIX}clientInfo"] = {"name": "client", "version": "1"}
    headers = {
        "host": "127.0.0.1:8000",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": MODERN,
    }
    if rng.random() < 0.15:
        method, params = "tools/list", Json()
    else:
        method = "tools/call"
        params = _call(rng)
        headers["mcp-name"] = params["name"]
    body = {"jsonrpc": "2.0", "id": rng.randrange(1_000), "method": method, "params": {**params, "_meta": meta}}
    return Sent([(name.encode(), value.encode()) for name, value in {**headers, "mcp-method": method}.items()], body)


def _call(rng: random.Random) -> Json:
    match rng.randrange(8):
        case 0 | 1 | 2:
            return {"name": "trial_add", "arguments": copy.deepcopy(rng.choice(ARGUMENTS))}
        case 3:
            return {"name": "trial_words", "arguments": {"text": rng.choice(TEXTS)}}
        case 4:
            return {"name": "trial_echo", "arguments": {"text": rng.choice(TEXTS), "tags": ["a"] * rng.randrange(3)}}
        case 5:
            return {"name": "trial_greet", "arguments": {"name": rng.choice(TEXTS)}}
        case 6:
            return {"name": rng.choice(["trial_error", "trial_not_json", "trial_image"]), "arguments": {}}
        case _:
            return {
                "name": rng.choice(["trial_add", "none_such", "", "trial-add", "headed_add"]),
                "arguments": {"a": 1, "b": 1},
            }


def _params(change: Callable[[random.Random, Json], None]) -> Mutation:
    return lambda rng, sent: change(rng, sent.params())


def _meta(change: Callable[[random.Random, Json], None]) -> Mutation:
    return _params(lambda rng, given: change(rng, given["_meta"]) if isinstance(given.get("_meta"), dict) else None)


def _envelope(change: Callable[[random.Random, Json], None]) -> Mutation:
    return lambda rng, sent: change(rng, sent.envelope())


def _header(rng: random.Random, sent: Sent) -> None:
    name = rng.choice(list(HEADER_VALUES))
    sent.set_header(name, rng.choice(HEADER_VALUES[name]))


def _twice(rng: random.Random, sent: Sent) -> None:
    name, value = rng.choice(sent.headers)
    sent.headers.append((name, rng.choice([value, b"other"])))


def _token(tokens: Tokens) -> Mutation:
    def apply(rng: random.Random, sent: Sent) -> None:
        sent.set_header("authorization", rng.choice(list(tokens.values())))
        if rng.random() < 0.5:
            sent.client = ("192.0.2.1", 4)

    return apply


def _arguments_as_written(rng: random.Random, sent: Sent) -> None:
    if params := sent.params():
        params["arguments"] = "@@"
        sent.raw = sent.encoded().replace(b'"@@"', rng.choice(RAW_ARGUMENTS).encode())


def _bytes_of(rng: random.Random, sent: Sent) -> None:
    text = sent.encoded()
    at = rng.randrange(len(text) + 1)
    sent.raw = rng.choice(
        [
            b"", b"{", b"null", b"[]", b"[" + text + b"]", b"\xef\xbb\xbf" + text, text[:at], text + text,
            text[:at] + b"\xff" + text[at:], text[:at] + b"\x00" + text[at:], b" \n" + text + b"\t",
            text.decode("utf-8", "replace").encode("utf-16"), text.decode("utf-8", "replace").encode("utf-32-be"),
            text.replace(b'"method"', b'"method":"x","method"'), text.replace(b'"id"', b'"id":7,"id"'),
            text[:at] + b"\xed\xa0\x80" + text[at:],
        ]
    )  # fmt: skip


def _size(rng: random.Random, sent: Sent) -> None:
    length = len(sent.encoded())
    sent.raw = sent.encoded() + b" " * max(0, BODY_LIMIT - length + rng.choice([-1, 0, 1, 500]))


def _length(rng: random.Random, sent: Sent) -> None:
    sent.told_length = rng.choice(
        ["", "0", "5", str(BODY_LIMIT), str(BODY_LIMIT + 1), "-1", "x", "1e3", "٣", " 7", "9" * 30]
    )


def _chunks(rng: random.Random, sent: Sent) -> None:
    total = len(sent.encoded())
    sent.cuts = sorted(rng.randrange(total + 1) for _ in range(rng.randrange(1, 5)))
    sent.told_length = ""


def _leaves(rng: random.Random, sent: Sent) -> None:
    _chunks(rng, sent)
    sent.leaves_after = rng.randrange(len(sent.cuts) + 1)


def _pop(keys: list[str]) -> Callable[[random.Random, Json], None]:
    return lambda rng, given: void(given.pop(rng.choice(keys), None))


def _put(key: str, values: list[Any]) -> Callable[[random.Random, Json], None]:
    return lambda rng, given: given.__setitem__(key, copy.deepcopy(rng.choice(values)))


def mutations(tokens: Tokens) -> dict[str, Mutation]:
    """Everything that is changed, by name."""
    return {
        "header": _header,
        "header twice": _twice,
        "further header": lambda rng, sent: sent.set_header(*rng.choice(EXTRA_HEADERS)),
        "token": _token(tokens),
        "remote": lambda rng, sent: setattr(sent, "client", rng.choice([("192.0.2.1", 4), None, ("::1", 5)])),
        "method": lambda rng, sent: setattr(sent, "method", rng.choice(["GET", "PUT", "DELETE", "OPTIONS"])),
        "path": lambda rng, sent: setattr(sent, "path", rng.choice(["/mcp/", "/mcp//", "/MCP"])),
        "id": _envelope(_put("id", IDS)),
        "jsonrpc": _envelope(_put("jsonrpc", ["1.0", 2.0, None, "2.0 "])),
        "rpc method": _envelope(_put("method", ["tools/list", "tools/call", "ping", "server/discover", 5, None, "x"])),
        "params": _envelope(_put("params", [None, [], {}, "x", 5])),
        "missing": _envelope(_pop(["jsonrpc", "id", "method", "params"])),
        "further key": _envelope(_put("extra", [None, 1, {"result": {}}])),
        "result key": _envelope(_put("result", [{}])),
        "batch": lambda rng, sent: setattr(sent, "body", [sent.body]),
        "name": _params(_put("name", ["trial_add", "trial_words", "none", "", None, 5, ["trial_add"]])),
        "arguments": _params(_put("arguments", [None, [], "x", 5, {}, *ARGUMENTS])),
        "arguments as written": _arguments_as_written,
        "missing parameter": _params(_pop(["name", "arguments", "_meta"])),
        "cursor": _params(_put("cursor", ["", "x", None, 5, "dHJpYWxfYWRk", "enp6"])),
        "further parameter": _params(_put("task", [None, {}, {"ttl": 5}])),
        "input responses": _params(_put("inputResponses", [None, {}, {"a": {"action": "accept"}}])),
        "request state": _params(_put("requestState", [None, "x", 5])),
        "meta": _params(_put("_meta", [None, [], {}, "x"])),
        "version": _meta(_put(f"{PREFIX}protocolVersion", ["2025-11-25", "2099-01-01", None, 5, ""])),
        "capabilities": _meta(_put(f"{PREFIX}clientCapabilities", CAPABILITIES)),
        "info": _meta(_put(f"{PREFIX}clientInfo", INFOS)),
        "log level": _meta(_put(f"{PREFIX}logLevel", ["info", "loud", None])),
        "progress token": _meta(_put("progressToken", [1, "x", None, 1.5, True, {}])),
        "further meta": _meta(_put("com.example/x", [None, 1, {"y": []}])),
        "traceparent": _meta(_put("traceparent", ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 5])),
        "missing meta": _meta(_pop([f"{PREFIX}protocolVersion", f"{PREFIX}clientCapabilities"])),
        "bytes": _bytes_of,
        "size": _size,
        "length": _length,
        "chunks": _chunks,
        "leaves": _leaves,
    }


def void(_: object) -> None:
    """Nothing."""


def generate(rng: random.Random, available: dict[str, Mutation]) -> Sent:
    """One request."""
    sent = plain(rng)
    for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 3])):
        name = rng.choice(list(available))
        sent.changes.append(name)
        available[name](rng, sent)
    return sent
