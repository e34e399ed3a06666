"""What a guest has asked of its host so far, so that it can be run again from its start without noticing.

A guest that asks its client something is stopped: no worker waits for a person. Once the answers are there it runs
again, and what it asked before is answered from here, so that nothing is sent or done twice.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tool_server.errors import CallFailed, InvalidInput
from tool_server.model.client import ClientAnswer, ClientRequest
from tool_server.model.json_value import JsonObject, compact_json, parse_json

MAX_BYTES = 256 * 1024
"""Of what one call keeps, transcripts of nested calls included."""

MAX_ENTRIES = 4_096
_OVERHEAD = 100
"""Bytes that an entry takes besides its data."""


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

    @property
    def full(self) -> bool:
        return self.bytes > MAX_BYTES or self.entries > MAX_ENTRIES


class Transcript:
    """The questions of one run after another: those known from before are answered alike, new ones are added."""

    def __init__(self, size: _Size | None = None) -> None:
        self._entries: list[Entry] = []
        self._next = 0
        self._size = _Size() if size is None else size

    @property
    def full(self) -> bool:
        """Whether more was kept than may be: the guest cannot be run again then."""
        return self._size.full

    def begin(self) -> None:
        """A run begins."""
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
        return {"entries": [entry.as_json() for entry in self._entries]}

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
        for value in document["entries"]:
            entry = Entry(value["function"], value["digest"], value.get("reply"), base64.b64decode(value["data"]))
            entry.requests = {key: ClientRequest(*request) for key, request in value.get("requests", {}).items()}
            entry.answers = {key: ClientAnswer(*answer) for key, answer in value.get("answers", {}).items()}
            self._count(_OVERHEAD + len(entry.data))
            self._entries.append(entry)
            if "inner" in value:
                self.within(entry)._fill(value["inner"])


def answer(transcript: Transcript, answers: Mapping[str, ClientAnswer]) -> bool:
    """Give the open question the answers to what it asks; whether it is answered now."""
    entry = transcript.open
    if entry is None:
        return False
    entry.answers |= {key: found for key, found in answers.items() if key in entry.requests}
    return not entry.requests.keys() - entry.answers.keys()
