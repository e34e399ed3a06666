"""The body of an HTTP request, read once and handed on whole."""

from __future__ import annotations

from starlette.types import Message, Receive


async def whole_body(receive: Receive, limit: int) -> Message:
    """The body as one message: all of it, or what came until it was too long, or word that the client has left."""
    message = await receive()
    if not message.get("more_body"):
        return message
    body = bytearray(message.get("body", b""))
    more = True
    while more and len(body) <= limit:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    return {"type": "http.request", "body": bytes(body), "more_body": more}


def replay(message: Message, receive: Receive) -> Receive:
    """A `receive` that gives this message again before what comes after it."""
    waiting = [message]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again
