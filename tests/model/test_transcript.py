"""A guest is run again by its transcript: what it asked before is answered alike, and bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import CallFailed, Denied, InvalidInput, Unavailable
from tool_server.model.client import ELICIT, ROOTS, ClientAnswer, ClientRequest, missing_capability
from tool_server.model.json_value import JsonObject
from tool_server.model.transcript import (
    MAX_BYTES,
    MAX_ENTRIES,
    MAX_QUESTIONS,
    Suspended,
    Transcript,
    give_answers,
    open_requests,
)

PROGRAM = "a" * 64
ASK = {"name": ClientRequest(ELICIT, {"message": "?"}, 2.5)}
ANSWER = {"name": ClientAnswer({"action": "accept"})}


def begun() -> Transcript:
    transcript = Transcript()
    transcript.begin(PROGRAM)
    return transcript


def note(transcript: Transcript, function: str, data: bytes = b"", digest: str = "d") -> None:
    transcript.note(transcript.next(function, digest), {"status": 200}, data)


def test_answers_that_came_before_are_for_the_first_question_alone() -> None:
    transcript = begun()
    transcript.offer({**ANSWER, "unasked": ClientAnswer({})})
    assert transcript.ask(transcript.next("ask", "q"), ASK) == ANSWER
    with pytest.raises(Suspended):
        transcript.ask(transcript.next("ask", "again"), ASK)
    assert open_requests(transcript) == ASK


def test_answers_that_came_before_to_a_part_of_the_question_leave_the_rest_open() -> None:
    transcript = begun()
    transcript.offer(ANSWER)
    with pytest.raises(Suspended):
        transcript.ask(transcript.next("ask", "q"), {**ASK, "roots": ClientRequest(ROOTS, {})})
    assert open_requests(transcript).keys() == {"roots"}
    assert Transcript.decode(transcript.encode()).open is not None


def test_a_run_that_asks_is_suspended_and_the_next_one_gets_the_answer() -> None:
    transcript = begun()
    note(transcript, "http_get", b"page")
    with pytest.raises(Suspended):
        transcript.ask(transcript.next("ask", "q"), ASK)
    assert open_requests(transcript) == ASK
    give_answers(transcript, ANSWER)
    assert transcript.open is None
    transcript.begin(PROGRAM)
    page = transcript.next("http_get", "d")
    assert (page.reply, page.data) == ({"status": 200}, b"page")
    assert transcript.ask(transcript.next("ask", "q"), ASK) == ANSWER


def test_it_is_the_same_after_it_was_kept_elsewhere() -> None:
    transcript = begun()
    note(transcript, "http_get", bytes(range(256)))
    inner = transcript.within(transcript.next("call_tool", "c"))
    inner.begin("b" * 64)
    note(inner, "get_current_time", b"now")
    with pytest.raises(Suspended):
        inner.ask(inner.next("ask", "q"), ASK)
    read = Transcript.decode(transcript.encode())
    assert read.encode() == transcript.encode()
    assert open_requests(read) == ASK
    give_answers(read, ANSWER)
    read.begin(PROGRAM)
    assert read.next("http_get", "d").data == bytes(range(256))
    again = read.within(read.next("call_tool", "c"))
    again.begin("b" * 64)
    assert again.next("get_current_time", "d").data == b"now"
    assert again.ask(again.next("ask", "q"), ASK) == ANSWER


@pytest.mark.parametrize(("function", "digest"), [("other", "d"), ("http_get", "e")])
def test_a_guest_that_asks_another_thing_in_its_place_is_stopped(function: str, digest: str) -> None:
    transcript = begun()
    note(transcript, "http_get")
    transcript.begin(PROGRAM)
    with pytest.raises(CallFailed) as stopped:
        transcript.next(function, digest)
    assert stopped.value.code == "replay_diverged"


def test_another_program_is_not_run_by_it() -> None:
    transcript = begun()
    with pytest.raises(CallFailed, match="replaced by another version"):
        transcript.begin("b" * 64)


@pytest.mark.parametrize("many", [False, True], ids=["much", "often"])
def test_who_asked_its_host_for_too_much_cannot_ask_its_client_any_more(many: bool) -> None:
    transcript = begun()
    for number in range(MAX_ENTRIES + 1 if many else 2):
        note(transcript, "http_get", b"" if many else bytes(MAX_BYTES // 2), str(number))
    assert transcript.full
    with pytest.raises(Unavailable) as refused:
        transcript.ask(transcript.next("ask", "q"), ASK)
    assert refused.value.code == "too_much_to_repeat"
    assert transcript.open is None
    assert len(transcript.encode()) < 2 * MAX_BYTES + 200 * MAX_ENTRIES


def test_the_bounds_hold_for_nested_calls_together() -> None:
    transcript = begun()
    inner = transcript.within(transcript.next("call_tool", "c"))
    inner.begin(PROGRAM)
    note(inner, "http_get", bytes(MAX_BYTES))
    assert transcript.full


def test_a_call_asks_its_client_so_many_times_at_most() -> None:
    transcript = begun()
    for number in range(MAX_QUESTIONS):
        with pytest.raises(Suspended):
            transcript.ask(transcript.next("ask", str(number)), ASK)
        give_answers(transcript, ANSWER)
    with pytest.raises(Denied) as refused:
        transcript.ask(transcript.next("ask", "one more"), ASK)
    assert refused.value.code == "too_many_questions"
    kept = Transcript.decode(transcript.encode())
    kept.begin(PROGRAM)
    for number in range(MAX_QUESTIONS):
        kept.ask(kept.next("ask", str(number)), ASK)
    with pytest.raises(Denied):
        kept.ask(kept.next("ask", "one more"), ASK)


def test_answers_that_nobody_waits_for_say_nothing() -> None:
    transcript = begun()
    give_answers(transcript, ANSWER)
    with pytest.raises(Suspended):
        transcript.ask(transcript.next("ask", "q"), ASK)
    give_answers(transcript, {"other": ClientAnswer({})})
    assert open_requests(transcript) == ASK


_steps = st.lists(st.tuples(st.sampled_from(["http_get", "log", "call_tool"]), st.binary(max_size=40)), max_size=8)


@given(steps=_steps)
def test_any_run_is_answered_alike_the_second_time(steps: list[tuple[str, bytes]]) -> None:
    transcript = begun()
    for number, (function, data) in enumerate(steps):
        note(transcript, function, data, str(number))
    again = Transcript.decode(transcript.encode())
    again.begin(PROGRAM)
    assert [again.next(function, str(number)).data for number, (function, _) in enumerate(steps)] == [
        data for _, data in steps
    ]
    assert again.next("ask", "new").reply is None


@given(
    data=st.one_of(st.binary(), st.recursive(st.text(), lambda inner: st.lists(inner)).map(lambda v: str(v).encode()))
)
def test_bytes_that_are_no_transcript_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Transcript.decode(data)


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"program":"a"}',
        b'{"program":"a","entries":1}',
        b'{"program":"a","entries":[{}]}',
        b'{"program":"a","entries":[{"function":"f","digest":"d","data":"!"}]}',
        b'{"program":"a","entries":[{"function":"f","digest":"d","data":"","requests":{"a":1}}]}',
    ],
)
def test_documents_of_another_form_are_refused(document: bytes) -> None:
    with pytest.raises(InvalidInput):
        Transcript.decode(document)


CAPABILITIES: list[tuple[JsonObject, str, dict[str, Any], str | None]] = [
    ({}, ELICIT, {}, "elicitation.form"),
    ({"elicitation": {}}, ELICIT, {}, None),
    ({"elicitation": {"form": {}}}, ELICIT, {}, None),
    ({"elicitation": {"url": {}}}, ELICIT, {}, "elicitation.form"),
    ({"elicitation": {"url": {}}}, ELICIT, {"mode": "url"}, None),
    ({"elicitation": {}}, ELICIT, {"mode": "url"}, "elicitation.url"),
    ({"elicitation": True}, ELICIT, {}, "elicitation.form"),
    ({}, "sampling/createMessage", {}, "sampling"),
    ({"sampling": {}}, "sampling/createMessage", {}, None),
    ({"sampling": {}}, "sampling/createMessage", {"tools": []}, "sampling.tools"),
    ({"sampling": {"tools": {}}}, "sampling/createMessage", {"tools": []}, None),
    ({}, ROOTS, {}, "roots"),
    ({"roots": {"listChanged": True}}, ROOTS, {}, None),
    ({"roots": {}}, "tools/list", {}, "tools/list"),
]


@pytest.mark.parametrize(("capabilities", "method", "params", "missing"), CAPABILITIES)
def test_what_a_client_can_be_asked_is_what_it_declared(
    capabilities: JsonObject, method: str, params: dict[str, Any], missing: str | None
) -> None:
    assert missing_capability(capabilities, ClientRequest(method, params)) == missing


def test_the_call_of_the_first_run_is_kept() -> None:
    transcript = Transcript()
    transcript.begin(PROGRAM, "first")
    again = Transcript.decode(transcript.encode())
    again.begin(PROGRAM, "second")
    assert again.call == "first"
