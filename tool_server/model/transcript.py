"""What a guest has asked of its host so far, so that it can be run again from its start without noticing.

A guest that asks its client something is stopped: no worker waits for a person. Once the answers are there it runs
again, and what it asked before is answered from here, so that nothing is sent or done twice.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tool_server.errors import CallFailed, Denied, InvalidInput, Unavailable
from tool_server.model.client import ClientAnswer, ClientRequest
from tool_server.model.json_value import JsonObject, compact_json, parse_json

MAX_BYTES = 256 * 1024
"""Of what one call keeps, transcripts of nested calls included."""

MAX_ENTRIES = 4_096
MAX_QUESTIONS = 32
"""That one call may put to its client, one after another."""

_OVERHEAD = 100
"""Bytes that an entry takes besides its data."""


class Suspended(CallFailed):
    """A guest was stopped, for its client is asked something; it is to be run again with the answer."""

    def __init__(self) -> None:
        super().__init__("suspended", "the plugin waits for its client")


@dataclass(slots=True)
class Entry:
    """One question of a guest to its host."""

    function: str
    """`module.name`."""
    digest: str
    """Of its arguments."""
    reply: JsonObject | None = None
    """The reply's header; None while there is none."""
    data: bytes = b""
    """The reply's bytes."""
    inner: Transcript | None = None
    """Of the call that the question began, where it is one of another tool that is not over."""
    requests: dict[str, ClientRequest] = field(default_factory=dict[str, ClientRequest])
    """What is asked of the client."""
    answers: dict[str, ClientAnswer] = field(default_factory=dict[str, ClientAnswer])

    def as_json(self) -> JsonObject:
        """For `Transcript.encode`."""
        written: dict[str, Any] = {
            "function": self.function,
            "digest": self.digest,
            "reply": self.reply,
            "data": base64.b64encode(self.data).decode(),
        }
        if self.inner is not None:
            written["inner"] = self.inner.as_json()
        if self.requests:
            written["requests"] = {key: list(request) for key, request in self.requests.items()}
            written["answers"] = {key: list(found) for key, found in self.answers.items()}
        return written


@dataclass(slots=True)
class _Size:
    """Shared by the transcripts of one client's call."""

    bytes: int = 0
    entries: int = 0
    questions: int = 0
    offered: dict[str, ClientAnswer] = field(default_factory=dict[str, ClientAnswer])
    """Answers that came before any question."""

    @property
    def full(self) -> bool:
        return self.bytes > MAX_BYTES or self.entries > MAX_ENTRIES


class Transcript:
    """The questions of one run after another: those known from before are answered alike, new ones are added."""

    def __init__(self, size: _Size | None = None) -> None:
        self._entries: list[Entry] = []
        self._next = 0
        self._size = _Size() if size is None else size
        self._program = ""
        self.call = ""
        """The id of the first run's call."""

    @property
    def full(self) -> bool:
        """Whether more was kept than may be: the guest cannot be run again then."""
        return self._size.full

    def begin(self, program: str, call: str = "") -> None:
        """A run of the program with this digest begins, in the call of that id.

        Raises:
            CallFailed: `replay_diverged`, it was another one before.
        """
        if self._program not in ("", program):
            raise CallFailed(
                "replay_diverged", "the plugin was replaced by another version while its client was asked: call anew"
            )
        self._program = program
        self.call = self.call or call
        self._next = 0

    def next(self, function: str, digest: str) -> Entry:
        """The entry of the guest's next question, with a reply where it was asked before.

        Raises:
            CallFailed: `replay_diverged`, in its place another question was asked before.
        """
        if self._next < len(self._entries):
            entry = self._entries[self._next]
            if (entry.function, entry.digest) != (function, digest):
                raise CallFailed(
                    "replay_diverged",
                    f"the plugin was run again after its client had answered, and asked {function} where it had asked "
                    f"{entry.function} or had asked it something else: what it does before it asks a client must not "
                    "depend on chance or the time of day (get_current_time may be used, it is answered alike)",
                )
        else:
            entry = Entry(function, digest)
            self._count(_OVERHEAD)
            if not self.full:
                self._entries.append(entry)
        self._next += 1
        return entry

    def note(self, entry: Entry, reply: JsonObject, data: bytes) -> None:
        """Keep the reply to a question."""
        self._size.bytes += len(data)
        if not self.full:
            entry.reply, entry.data, entry.inner = reply, data, None

    def ask(self, entry: Entry, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer]:
        """The client's answers to what a guest asks it.

        Raises:
            Suspended: they are not known yet: the guest is to be run again with them.
            Unavailable: `too_much_to_repeat`, the guest cannot be run again.
            Denied: `too_many_questions`.
        """
        if not entry.requests:
            if self.full:
                raise Unavailable(
                    "too_much_to_repeat",
                    f"the plugin has asked its host for more than {MAX_BYTES} bytes or {MAX_ENTRIES} times, which "
                    "cannot be kept until the client answers: ask the client earlier",
                )
            if self._size.questions >= MAX_QUESTIONS:
                raise Denied("too_many_questions", f"one call asks its client at most {MAX_QUESTIONS} times")
            self._size.questions += 1
            entry.requests = dict(requests)
            offered, self._size.offered = self._size.offered, {}
            entry.answers = {key: answer for key, answer in offered.items() if key in requests}
        if entry.requests.keys() - entry.answers.keys():
            raise Suspended
        return entry.answers

    def offer(self, answers: Mapping[str, ClientAnswer]) -> None:
        """Take answers of a client that knows what it will be asked: they are for the call's first question alone."""
        self._size.offered = dict(answers)

    def within(self, entry: Entry) -> Transcript:
        """The transcript of the call that a question begins."""
        if entry.inner is None:
            entry.inner = Transcript(self._size)
        return entry.inner

    def _count(self, size: int) -> None:
        self._size.bytes += size
        self._size.entries += 1

    @property
    def open(self) -> Entry | None:
        """The question to the client that waits for an answer, here or in a call that was begun from here."""
        if not self._entries:
            return None
        last = self._entries[-1]
        if last.inner is not None:
            return last.inner.open
        return last if last.requests.keys() - last.answers.keys() else None

    def encode(self) -> bytes:
        """As bytes, for `decode`."""
        return compact_json(self.as_json())

    def as_json(self) -> JsonObject:
        """The entries, for `encode`."""
        return {"program": self._program, "call": self.call, "entries": [entry.as_json() for entry in self._entries]}

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The inverse of `encode`, ready for a run.

        Raises:
            InvalidInput: `invalid_transcript`.
        """
        document = parse_json(data, what="the transcript")
        transcript = cls()
        try:
            transcript._fill(document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput("invalid_transcript", "this is no transcript of a call") from error
        return transcript

    def _fill(self, document: Any) -> None:
        self._program, self.call = str(document["program"]), str(document["call"])
        for value in document["entries"]:
            entry = Entry(value["function"], value["digest"], value.get("reply"))
            entry.data = base64.b64decode(value["data"], validate=True)
            entry.requests = {key: ClientRequest(*request) for key, request in value.get("requests", {}).items()}
            entry.answers = {key: ClientAnswer(*answer) for key, answer in value.get("answers", {}).items()}
            self._count(_OVERHEAD + len(entry.data))
            self._size.questions += bool(entry.requests)
            self._entries.append(entry)
            if "inner" in value:
                self.within(entry)._fill(value["inner"])


def open_requests(transcript: Transcript) -> Mapping[str, ClientRequest]:
    """What the client is still to answer."""
    entry = transcript.open
    if entry is None:
        return {}
    return {key: request for key, request in entry.requests.items() if key not in entry.answers}


def give_answers(transcript: Transcript, answers: Mapping[str, ClientAnswer]) -> None:
    """Take the client's answers to what is open; what nobody asks, or was answered before, says nothing here."""
    entry = transcript.open
    if entry is not None:
        wanted = entry.requests.keys() - entry.answers.keys()
        entry.answers |= {key: found for key, found in answers.items() if key in wanted}
