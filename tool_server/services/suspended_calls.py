"""Calls that go on when their client calls once more: what they are, kept by the client and read by nobody else.

The 2026-07-28 protocol's multi round-trip requests: https://modelcontextprotocol.io/specification (MRTR, SEP-2322).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tool_server.errors import InvalidInput
from tool_server.interfaces import Clock, RequestStates
from tool_server.model.client import ClientAnswer
from tool_server.model.suspended_call import SuspendedCall
from tool_server.model.transcript import Transcript, give_answers

MAX_STATE = 2**20
"""Characters of a state that is taken back."""

_MAX_UNPACKED = 4 * 2**20


class SuspendedCalls:
    """Hands calls to their clients for keeping, and takes them back once each.

    Args:
        states: encrypts them, and knows which were used.
        clock: says when they expire.
        lifetime: how long a client may take to answer.
    """

    def __init__(self, states: RequestStates, clock: Clock, lifetime: timedelta) -> None:
        self._states = states
        self._clock = clock
        self._lifetime = lifetime

    async def keep(self, call: SuspendedCall, transcript: Transcript) -> str:
        """The state that the client is to send back with its answers.

        Raises:
            Unavailable: `secrets_key`.
        """
        expires = self._clock.now() + self._lifetime
        head = f"{os.urandom(16).hex()} {expires.timestamp():.3f}\n".encode()
        return await self._states.seal(zlib.compress(head + transcript.encode()), call.binding())

    async def resume(self, call: SuspendedCall, state: str, answers: Mapping[str, ClientAnswer]) -> Transcript:
        """The call's transcript with the client's answers; the state is used up.

        Raises:
            InvalidInput: `invalid_request_state`, it is another call's or caller's, was changed, has expired, or was
                answered before.
            Unavailable: the database cannot answer.
        """
        if len(state) > MAX_STATE:
            raise _invalid("it is too long")
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(await self._states.open(state, call.binding()), _MAX_UNPACKED)
        head, _, written = data.partition(b"\n")
        state_id, _, seconds = head.decode().partition(" ")
        expires, now = datetime.fromtimestamp(float(seconds), UTC), self._clock.now()
        if expires <= now:
            raise _invalid("it has expired")
        transcript = Transcript.decode(written)
        if not await self._states.spend(state_id, expires, now):
            raise _invalid("it was answered before")
        give_answers(transcript, answers)
        return transcript


def _invalid(reason: str) -> InvalidInput:
    return InvalidInput(
        "invalid_request_state", f"the requestState is not valid: {reason}; make the call anew", {"reason": reason}
    )
