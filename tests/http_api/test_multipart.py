"""Uploads: parts in any pieces, each within its bound, and everything that is no upload."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import anyio
import pytest
from anyio.abc import SocketStream
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from tests.http_api.registry import Registry, assert_problem, upload
from tests.support.guests import guest
from tool_server.errors import InvalidInput
from tool_server.http_api import multipart
from tool_server.http_api.multipart import FRAMING_BYTES, read_parts
from tool_server.http_api.routes_plugins import MANIFEST_BYTES, UPLOADS

LIMITS = {"manifest": 100, "wasm": 1_000}
TYPE = 'multipart/form-data; boundary="b0undary"'


def part(name: str, content: bytes, headers: bytes = b"") -> bytes:
    head = b'--b0undary\r\nContent-Disposition: form-data; name="' + name.encode() + b'"; filename="f"\r\n'
    return head + headers + b"\r\n" + content + b"\r\n"


CLOSE = b"--b0undary--\r\n"


async def parse(
    chunks: Sequence[bytes], *, content_type: str = TYPE, headers: Mapping[str, str] | None = None, ended: bool = True
) -> dict[str, bytes]:
    """Read parts from a body that arrives in these chunks; with `ended` False the client leaves after the last."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b""} if ended else {"type": "http.disconnect"})
    arriving = iter(messages)

    async def receive() -> Message:
        return next(arriving)

    given = {"content-type": content_type, **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    return await read_parts(Request({"type": "http", "method": "POST", "headers": raw}, receive), LIMITS)


@settings(max_examples=60)
@given(
    manifest=st.binary(max_size=100),
    wasm=st.binary(max_size=300) | st.just(b"\r\n--b0undar\r\n--b0undary"[:-1]),
    seed=st.integers(0, 2**32),
)
def test_parts_come_out_as_they_went_in_wherever_the_body_is_cut(manifest: bytes, wasm: bytes, seed: int) -> None:
    if b"--b0undary" in manifest + wasm:
        return
    body = part("manifest", manifest) + part("wasm", wasm) + CLOSE + b"epilogue"
    cuts = sorted(random.Random(seed).sample(range(len(body)), 12))  # noqa: S311
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert anyio.run(parse, chunks) == {"manifest": manifest, "wasm": wasm}


async def test_the_bounds_are_inclusive() -> None:
    parts = await parse([part("wasm", b"w" * 1_000), part("manifest", b"m" * 100), CLOSE])
    assert (len(parts["manifest"]), len(parts["wasm"])) == (100, 1_000)


@pytest.mark.parametrize(
    ("chunks", "code", "said"),
    [
        ([part("manifest", b"m" * 101), CLOSE], "body_too_large", "'manifest'"),
        ([part("wasm", b"w" * 600), b"w" * 600], "body_too_large", "'wasm' is larger"),
        ([part("wasm", b"w" * 1_001), CLOSE], "body_too_large", "'wasm'"),
        ([part("manifest", b"{}"), part("wasm", b"w")], "invalid_multipart", "closing boundary"),
        ([part("manifest", b"{}"), part("wasm", b"w")[:-5]], "invalid_multipart", "closing boundary"),
        ([part("manifest", b"{}"), CLOSE], "invalid_multipart", "'wasm' is missing"),
        ([CLOSE], "invalid_multipart", "is missing|not multipart"),
        ([], "invalid_multipart", "closing boundary"),
        ([part("manifest", b"{}"), part("other", b"x"), CLOSE], "invalid_multipart", "'other' is not expected"),
        ([part("wasm", b"1"), part("wasm", b"2"), CLOSE], "invalid_multipart", "'wasm' is sent twice"),
        ([b"--b0undary\r\nX: y\r\n\r\nz\r\n", CLOSE], "invalid_multipart", "'' is not expected"),
        ([part("wasm", b"w", b"X: " + b"y" * 20_000 + b"\r\n"), CLOSE], "invalid_multipart", "not multipart"),
        ([part("wasm", b"w", b"X: y\r\n" * 1_000), CLOSE], "invalid_multipart", "not multipart"),
        ([b"this is no multipart at all"], "invalid_multipart", "not multipart"),
        (
            [part("wasm", b"w"), part("manifest", b"m"), CLOSE, b"x" * (FRAMING_BYTES + 2_000)],
            "body_too_large",
            "upload",
        ),
    ],
)
async def test_what_is_no_upload_is_refused(chunks: list[bytes], code: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        await parse(chunks)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("application/json", "unsupported_media_type"),
        ("", "unsupported_media_type"),
        ("multipart/mixed; boundary=b0undary", "unsupported_media_type"),
        ("multipart/form-data", "invalid_multipart"),
        ('multipart/form-data; boundary=""', "invalid_multipart"),
        (f"multipart/form-data; boundary={'b' * 71}", "invalid_multipart"),
    ],
)
async def test_the_content_type_is_checked_before_the_body(content_type: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await parse([], content_type=content_type)
    assert caught.value.code == code


async def test_a_declared_length_beyond_the_bound_is_refused_before_a_byte_is_read() -> None:
    async def receive() -> Message:
        raise AssertionError

    headers = [(b"content-type", TYPE.encode()), (b"content-length", b"9" * 30)]
    with pytest.raises(InvalidInput, match="larger than"):
        await read_parts(Request({"type": "http", "method": "POST", "headers": headers}, receive), LIMITS)


async def test_a_client_that_leaves_is_no_error_of_ours() -> None:
    with pytest.raises(ClientDisconnect):
        await parse([part("wasm", b"w")], ended=False)


async def test_a_client_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "UPLOAD_SECONDS", 0.01)

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", TYPE.encode())]}, receive)
    with anyio.fail_after(10), pytest.raises(InvalidInput) as caught:
        await read_parts(request, LIMITS)
    assert caught.value.code == "request_timeout"


@pytest.mark.parametrize("name", ["manifest", "wasm"])
async def test_a_part_beyond_its_limit_is_too_large_over_http(registry: Registry, name: str) -> None:
    limits = {"manifest": MANIFEST_BYTES, "wasm": registry.services.config.limits.wasm}
    parts = upload({}, guest("add"))
    parts[name] = ("f", b"\0" * (limits[name] + 1), "application/octet-stream")
    async with registry.client("publish") as client:
        problem = assert_problem(await client.post("/api/v1/plugins", files=parts), 413, "body_too_large")
    assert problem["data"] == {"limit": limits[name]}


async def begin_upload(registry: Registry) -> SocketStream:
    """An upload whose body the server has begun to wait for."""
    host, port = registry.url.removeprefix("http://").split(":")
    stream = await anyio.connect_tcp(host, int(port))
    head = (
        f"POST /api/v1/plugins HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Authorization: Bearer {registry.secrets['publish']}\r\n"
        f"Content-Type: {TYPE}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    )
    await stream.send(head.encode())
    assert b" 100 " in await stream.receive()
    return stream


async def test_uploads_have_a_bound_and_those_that_break_off_make_room(registry: Registry) -> None:
    with anyio.fail_after(60):
        streams = [await begin_upload(registry) for _ in range(UPLOADS)]
        refused = await registry.publish(registry.fresh_name())
        assert_problem(refused, 429, "busy")
        assert refused.headers["retry-after"] == "1"
        for stream in streams:
            await stream.aclose()
        statuses = [429]
        while statuses[-1] == 429:
            statuses.append((await registry.publish(registry.fresh_name())).status_code)
        assert statuses[-1] == 201
