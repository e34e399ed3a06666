"""The end of the socket in a process that serves the server: blocking, one frame after another."""

from __future__ import annotations

import os
import socket
from typing import Any

from tool_server.sandbox.protocol import MAX_MODULE, Decoder, Frame, FrameType, encode

_READ = 2**16
"""Bytes asked for at once: larger ones would be allocated by mmap for every frame."""


class Channel:
    """One end of the socket. The process ends when the server closes its own."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._decoder = Decoder(MAX_MODULE)

    def send(self, data: bytes) -> None:
        """Write all of it."""
        try:
            self._socket.sendall(data)
        except OSError:
            os._exit(0)

    def receive(self) -> Frame:
        """Wait for the next frame."""
        while (frame := self._decoder.next_frame()) is None:
            try:
                data = self._socket.recv(_READ)
            except OSError:
                os._exit(0)
            if not data:
                os._exit(0)
            self._decoder.feed(data)
        return frame

    def ask(self, header: dict[str, Any], body: bytes) -> Frame:
        """One host call."""
        self.send(encode(FrameType.HOST_CALL, header, body))
        return self.receive()
