"""Which view a client chooses by its URL: `/mcp?view=search`."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from tool_server.errors import InvalidInput
from tool_server.mcp_api.lane.answers import INVALID_REQUEST
from tool_server.model.caller import Caller
from tool_server.model.json_value import compact_json
from tool_server.model.view import ViewMode

MAX_FIELDS = 20
"""Parameters in a query string."""


def with_chosen_view(app: ASGIApp) -> ASGIApp:
    """The application, called with a caller who sees the tools in the mode that the URL names.

    Behind the authentication. A mode that there is not is refused; other parameters are left alone, as ever.
    """

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        # Almost no URL has a query.
        if scope["type"] == "http" and scope["query_string"]:
            try:
                mode = chosen_mode(scope["query_string"])
            except InvalidInput as error:
                await _refuse(send, error)
                return
            if mode is not None:
                caller: Caller = scope["state"]["caller"]
                scope = {**scope, "state": {**scope["state"], "caller": caller.in_mode(mode)}}
        await app(scope, receive, send)

    return choose


@lru_cache(maxsize=64)
def chosen_mode(query_string: bytes) -> ViewMode | None:
    """The mode that a query string names, None where it names none.

    Raises:
        InvalidInput: `invalid_view`.
    """
    try:
        fields = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidInput("invalid_view", f"the URL has more than {MAX_FIELDS} parameters") from error
    named = [value for name, value in fields if name == "view"]
    if not named:
        return None
    if len(named) > 1 or named[0] not in set(ViewMode):
        given = ", ".join(repr(value[:40]) for value in named[:3])
        raise InvalidInput("invalid_view", f"view={given} in the URL names no view: one of {', '.join(ViewMode)}")
    return ViewMode(named[0])


async def _refuse(send: Send, error: InvalidInput) -> None:
    body = compact_json({"jsonrpc": "2.0", "id": None, "error": {"code": INVALID_REQUEST, "message": error.message}})
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
