"""Parts of egress by themselves: bodies, requests, look-ups and places."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
import subprocess
import sys
import threading
import zlib
from ipaddress import ip_address
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import call_of
from tool_server.config import Config, EgressSettings, LoadedConfig
from tool_server.egress import resolver as resolver_module
from tool_server.egress.addresses import AddressPolicy
from tool_server.egress.admission import Admission
from tool_server.egress.decoding import BodyDecoder
from tool_server.egress.request import parse_request
from tool_server.egress.resolver import MAX_LOOKUPS_OF_ONE, Resolver
from tool_server.egress.service import Egress
from tool_server.egress.target import parse_target
from tool_server.errors import InvalidInput, ToolServerError, Unavailable
from tool_server.model.call import MAX_REQUESTS
from tool_server.model.permission import Permissions

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_requests = st.fixed_dictionaries(
    {}, optional={"url": _json | st.just("http://a.example/"), "method": _json, "headers": _json, "header": _json}
)


def feed(decoder: BodyDecoder, data: bytes, size: int) -> None:
    """Hand the data over in pieces."""
    for start in range(0, len(data), size):
        decoder.feed(data[start : start + size])


@given(st.binary(max_size=3000), st.integers(1, 700), st.sampled_from(["gzip", "deflate", "raw", ""]))
def test_a_body_comes_out_as_it_was_in_whatever_pieces_it_arrives(data: bytes, size: int, how: str) -> None:
    raw = zlib.compressobj(wbits=-15)
    wire = {
        "gzip": gzip.compress(data),
        "deflate": zlib.compress(data),
        "raw": raw.compress(data) + raw.flush(),
        "": data,
    }[how]
    decoder = BodyDecoder({"raw": "deflate"}.get(how, how), 10_000, "a.example")
    feed(decoder, wire, size)
    assert decoder.finish() == data
    assert decoder.received == len(wire)


@pytest.mark.parametrize("size", [1, 100, 10_000_000])
def test_a_bomb_never_takes_more_memory_than_the_bound(size: int) -> None:
    wire = gzip.compress(bytes(50_000_000))
    decoder = BodyDecoder("gzip", 100_000, "a.example")
    with pytest.raises(Unavailable) as refused:
        feed(decoder, wire, size)
    assert refused.value.code == "response_too_large"
    assert len(decoder._body) <= 100_001  # pyright: ignore[reportPrivateUsage] - what is in memory is the point


@given(st.binary(max_size=300) | _json.map(lambda value: json.dumps(value).encode()), st.binary(max_size=20))
def test_any_bytes_are_read_as_a_request_or_refused(block: bytes, body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        parse_request(block, body, 10)


@given(_requests)
def test_what_is_read_as_a_request_can_stand_on_the_wire(document: dict[str, object]) -> None:
    with contextlib.suppress(InvalidInput):
        request = parse_request(json.dumps(document).encode(), b"", 10)
        assert request.method.isascii()
        for name, value in request.headers:
            assert name == name.lower()
            assert not {"\r", "\n", "\0"} & {*name, *value}
            assert name not in ("host", "content-length", "transfer-encoding", "connection")


@pytest.mark.parametrize(
    "block", [b"", b"{", b"[]", b"{}", b'{"url":7}', b'{"url":"http://a/","url":"http://b/"}', b"\xff"]
)
async def test_a_request_that_cannot_be_read_is_recorded_too(block: bytes) -> None:
    async def none(name: str) -> None:
        return None

    call = call_of("http")
    egress = Egress(EgressSettings(), none)
    with pytest.raises(InvalidInput):
        await egress.request(call, block, b"")
    (record,) = call.journal.requests
    assert (record.host, record.outcome) == (
        "",
        "invalid_json" if block in (b"", b"{", b"\xff") or b"b/" in block else "invalid_request",
    )
    with pytest.raises(InvalidInput, match="262145 bytes"):
        await egress.request(call, b" " * (2**18 + 1), b"")


async def test_a_worker_that_a_guest_took_over_cannot_fill_the_journal() -> None:
    async def none(name: str) -> None:
        return None

    call = call_of("http")
    egress = Egress(EgressSettings(requests_per_call=2), none)
    for _ in range(MAX_REQUESTS + 50):
        with pytest.raises(ToolServerError):
            await egress.request(call, b'{"url":"http://a.example/"}', b"")
    assert [record.outcome for record in call.journal.requests[:3]] == ["network_not_permitted"] * 2 + [
        "too_many_requests"
    ]
    assert len(call.journal.requests) == MAX_REQUESTS


class Library:
    """A resolver library that hangs until it is let go."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.entered = 0

    def getaddrinfo(self, host: str, port: object, **_: object) -> list[tuple[object, ...]]:
        """Hang."""
        self.entered += 1
        assert self.release.wait(60)
        return [(0, 0, 0, "", ("93.184.216.34", 0))]


async def test_look_ups_that_hang_keep_their_places_and_leave_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(resolver_module.socket, "getaddrinfo", library.getaddrinfo)
    resolver = Resolver(AddressPolicy())
    target = parse_target("http://a.example/")
    try:
        for _ in range(MAX_LOOKUPS_OF_ONE):
            before = library.entered
            with anyio.fail_after(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(resolver.resolve, target, "greedy")
                    while library.entered == before:  # noqa: ASYNC110 - it is a thread that enters
                        await anyio.sleep(0.001)
                    tasks.cancel_scope.cancel()
        with pytest.raises(Unavailable) as refused:
            await resolver.resolve(target, "greedy")
        assert refused.value.code == "busy"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(resolver.resolve, target, "modest")
            await anyio.lowlevel.checkpoint()
            library.release.set()
    finally:
        library.release.set()
    with anyio.fail_after(30):
        while resolver._running:  # noqa: ASYNC110 # pyright: ignore[reportPrivateUsage] - threads leave when they end
            await anyio.sleep(0.001)
    assert await resolver.resolve(target, "greedy") == (ip_address("93.184.216.34"),)


async def test_a_look_up_that_was_given_up_before_it_began_gives_its_place_back() -> None:
    resolver = Resolver(AddressPolicy(["127.0.0.0/8", "::1/128"]))
    for _ in range(3 * MAX_LOOKUPS_OF_ONE):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await resolver.resolve(parse_target("http://localhost/"), "hasty")
    assert await resolver.resolve(parse_target("http://localhost/"), "hasty")


async def test_a_plugin_waits_for_its_own_places_and_is_busy_in_the_end() -> None:
    admission = Admission(total=3, each=2, waiting=1, seconds=0.05)
    async with admission.place("a"), admission.place("a"):
        with pytest.raises(Unavailable, match=r"none of this plugin's requests ended within 0\.05 s"):
            async with admission.place("a"):
                pass
        async with admission.place("b"):
            with pytest.raises(Unavailable, match="3 requests of all plugins"):
                async with admission.place("c"):
                    pass
    async with admission.place("a"), admission.place("a"), admission.place("b"):
        pass


async def test_only_so_many_wait() -> None:
    admission = Admission(total=9, each=1, waiting=1, seconds=30)
    async with anyio.create_task_group() as tasks, admission.place("a"):

        async def wait() -> None:
            async with admission.place("a"):
                pass

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Unavailable, match="1 requests of this plugin are waiting already"):
            await wait()


@pytest.mark.parametrize("blocks", ["10.1.2.3/8", "everything", "10.0.0.0/33", "10.0.0.0/8,-"])
def test_a_setting_that_is_no_network_is_refused_where_it_was_set(blocks: str) -> None:
    with pytest.raises(InvalidInput, match=r"TOOL_SERVER_EGRESS__ALLOW_ADDRESSES.*is no network"):
        LoadedConfig.load({"TOOL_SERVER_EGRESS__ALLOW_ADDRESSES": blocks})


def test_networks_come_from_the_environment() -> None:
    loaded = LoadedConfig.load({"TOOL_SERVER_EGRESS__ALLOW_ADDRESSES": "10.0.0.0/8, fd00::/8"})
    assert loaded.config.egress.allow_addresses == ("10.0.0.0/8", "fd00::/8")


async def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    async def none(name: str) -> None:
        return None

    (tmp_path / "empty.pem").write_text("nothing")
    egress = Egress(EgressSettings(ca_file=tmp_path / "empty.pem", allow_addresses=("127.0.0.1/32",)), none)
    call = dataclasses.replace(call_of("http"), permissions=Permissions(network=("127.0.0.1",)))
    with pytest.raises(InvalidInput, match=r"empty\.pem holds no certificates"):
        await egress.request(call, b'{"url":"https://127.0.0.1/"}', b"")


def test_a_server_starts_without_loading_the_http_client_or_the_cipher(tmp_path: Path) -> None:
    program = f"""
import anyio, pathlib, sys
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.model.caller import LOCAL

async def main():
    async with build(Config(data_dir=pathlib.Path({str(tmp_path)!r}))) as services:
        loaded = [name for name in ("httpcore", "cryptography", "tool_server.egress") if name in sys.modules]
        assert not loaded, loaded
        await services.secrets.set_secret("KEY", "value", (), LOCAL)
        assert "cryptography" in sys.modules

anyio.run(main)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_key_of_secrets_is_not_shown() -> None:
    config = Config.model_validate({"secrets_key": "ab" * 32})
    assert "abab" not in f"{config!r} {config.model_dump(mode='json')} {config.model_dump_json()}"
