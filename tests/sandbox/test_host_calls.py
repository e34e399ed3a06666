"""Host calls and logs as the server reads them: frames of a worker that a guest may have taken over."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import call_of
from tool_server.errors import Denied, InvalidInput
from tool_server.sandbox.guest_log import forward_log
from tool_server.sandbox.host_calls import HostCall, HostFunctions
from tool_server.sandbox.protocol import ENV

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["module", "name", "values", "sizes"]), _json), st.binary(max_size=20))
def test_any_header_is_read_or_refused(header: dict[str, Any], body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        question = HostCall.from_frame(call_of("echo"), header, body)
        assert b"".join(question.blocks) == body


@pytest.mark.parametrize(
    ("sizes", "body"),
    [([3], b"ab"), ([1], b"ab"), ([-1, 3], b"ab"), (["2"], b"ab"), (None, b""), ([2**70], b"")],
)
def test_sizes_that_do_not_add_up_are_refused(sizes: object, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        HostCall.from_frame(call_of("echo"), {"module": "m", "name": "n", "values": [], "sizes": sizes}, body)


def test_blocks_are_cut_by_their_sizes() -> None:
    header = {"module": "m", "name": "n", "values": [8, 0, 1.5], "sizes": [2, 0, 0]}
    question = HostCall.from_frame(call_of("echo"), header, b"ab")
    assert (question.values, question.blocks) == ((8, 0, 1.5), (b"ab", b"", b""))


async def test_a_function_without_a_handler_is_refused() -> None:
    question = HostCall(call_of("http"), ENV, "http_request", (8, 0), (b"{}", b""))
    with pytest.raises(Denied) as caught:
        await HostFunctions().answer(question)
    assert caught.value.code == "unknown_host_function"


def test_a_log_line_cannot_forge_another(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[object] = [["info", "one\nERROR two\x1b[31m\u2028three\tfour"], ["odd", "level"], ["info", 7], "no", []]
    with caplog.at_level(logging.DEBUG, "tool_server.guest"):
        forward_log(call_of("logs"), {"lines": lines, "dropped": "many"})
        forward_log(call_of("logs"), {"lines": None, "dropped": 2})
    assert [record.getMessage() for record in caplog.records] == [
        "one\\x0aERROR two\\x1b[31m\\u2028three\tfour",
        "level",
        "2 further log lines were dropped",
    ]


def test_a_log_line_does_not_show_a_secret_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    call = call_of("logs")
    call.journal.redactor.add("KEY", "the-value")
    with caplog.at_level(logging.DEBUG, "tool_server.guest"):
        forward_log(call, {"lines": [["info", "it is the-value"]]})
    assert [record.getMessage() for record in caplog.records] == ["it is [secret KEY]"]
