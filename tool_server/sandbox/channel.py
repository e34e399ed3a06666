"""The end of the socket in a process that serves the server: blocking, one frame after another."""

from __future__ import annotations

import os
import select
import socket
from typing import Any

from tool_server.sandbox.exchange import SharedMemory
from tool_server.sandbox.protocol import MAX_MODULE, Body, Decoder, Frame, FrameType, encode_long

_MOMENT_MS = 1
"""Without work for so long, a worker prepares for the next call: not before, or a busy caller would wait for it."""
_READ = 2**16
"""Bytes asked for at once: larger ones would be allocated by mmap for every frame."""


class Channel:
    """One end of the socket. The process ends when the server closes its own."""

    def __init__(self, descriptor: int, shared: int | None) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._exchange = None if shared is None else SharedMemory(shared, copying=False)
        self._decoder = Decoder(MAX_MODULE, self._exchange)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def send(self, frame_type: FrameType, header: dict[str, Any] | None = None, body: Body = b"") -> None:
        """Write a frame, all of it."""
        try:
            self._socket.sendall(encode_long(frame_type, header or {}, body, self._exchange))
        except OSError:
            os._exit(0)

    def receive(self) -> Frame:
        """Wait for the next frame."""
        decoder = self._decoder
        while not decoder.pending or (frame := decoder.next_frame()) is None:
            try:
                data = self._socket.recv(_READ)
            except OSError:
                os._exit(0)
            if not data:
                os._exit(0)
            decoder.feed(data)
        return frame

    def idle(self) -> bool:
        """Whether the server sends nothing for a moment."""
        return not self._decoder.pending and not self._poll.poll(_MOMENT_MS)

    def ask(self, header: dict[str, Any], body: bytes) -> Frame:
        """One host call."""
        self.send(FrameType.HOST_CALL, header, body)
        return self.receive()
