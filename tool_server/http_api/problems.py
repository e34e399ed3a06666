"""HTTP's translation table: our error tree to RFC 9457 problem details."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Mapping
from typing import NamedTuple
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tool_server.errors import CallFailed, Conflict, Denied, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.http_api.responses import json_response

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:tool-server:error:"
CHALLENGE = 'Bearer realm="tool-server"'
"""`WWW-Authenticate` of every 401 (RFC 6750, section 3)."""

logger = logging.getLogger(__name__)


class Kind(NamedTuple):
    """How one class of the error tree looks on the wire."""

    word: str
    title: str
    status: int


KINDS: Mapping[type[ToolServerError], Kind] = {
    InvalidInput: Kind("invalid-input", "Invalid input", 400),
    NotFound: Kind("not-found", "Not found", 404),
    Conflict: Kind("conflict", "Conflict", 409),
    Denied: Kind("denied", "Denied", 403),
    CallFailed: Kind("call-failed", "Call failed", 422),
    Unavailable: Kind("unavailable", "Unavailable", 503),
}

STATUS_OF_CODE: Mapping[tuple[str, str], int] = {
    ("invalid-input", "method_not_allowed"): 405,
    ("invalid-input", "request_timeout"): 408,
    ("invalid-input", "body_too_large"): 413,
    ("invalid-input", "input_too_large"): 413,
    ("invalid-input", "wasm_too_large"): 413,
    ("invalid-input", "artifact_too_large"): 413,
    ("invalid-input", "unsupported_media_type"): 415,
    ("invalid-input", "misdirected_host"): 421,
    ("denied", "unauthenticated"): 401,
    ("call-failed", "timeout"): 504,
    ("unavailable", "busy"): 429,
}
"""Codes for which HTTP has a more telling status than their class's."""

RETRY_AFTER_SECONDS: Mapping[int, int] = {429: 1, 503: 5}
"""Where the error itself does not say when to come back, as `retry_after_ms`."""


def problem_response(error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """The problem for any exception; what nobody foresaw is logged under an id and told as "internal error"."""
    match error:
        case ToolServerError():
            return _problem(error, headers or {})
        case HTTPException():
            return _problem(_of_framework(error), {**(error.headers or {}), **(headers or {})}, error.status_code)
        case _:
            return _internal(error)


def _problem(error: ToolServerError, headers: Mapping[str, str], status: int | None = None) -> Response:
    kind = next(KINDS[base] for base in type(error).__mro__ if base in KINDS)
    status = status or STATUS_OF_CODE.get((kind.word, error.code), kind.status)
    own: dict[str, str] = {}
    if status == 401:
        own["WWW-Authenticate"] = CHALLENGE
    if status in RETRY_AFTER_SECONDS:
        own["Retry-After"] = str(_retry_after(error, RETRY_AFTER_SECONDS[status]))
    return _body(kind.word, kind.title, status, error.code, error.message, error.data, {**own, **headers})


def _retry_after(error: ToolServerError, usual: int) -> int:
    """Whole seconds (RFC 9110, section 10.2.3), never too few."""
    milliseconds = error.data.get("retry_after_ms")
    return max(1, math.ceil(milliseconds / 1000)) if isinstance(milliseconds, int) else usual


def _of_framework(error: HTTPException) -> ToolServerError:
    match error.status_code:
        case 404:
            return NotFound("unknown_path", "there is nothing at this path: /api/openapi.json lists what there is")
        case 405:
            allowed = (error.headers or {}).get("Allow", "none")
            return InvalidInput(
                "method_not_allowed", f"this path does not take that method: it takes {allowed}", {"allowed": allowed}
            )
        case _:
            return InvalidInput("bad_request", "the server could not read this request: check its syntax")


def _internal(error: Exception) -> Response:
    log_id = uuid4().hex[:12]
    logger.error("internal error %s", log_id, exc_info=error)
    detail = f"internal error: the server's log has the details under {log_id}"
    return _body("internal", "Internal error", 500, "internal_error", detail, {"log_id": log_id}, {})


def _body(
    kind: str,
    title: str,
    status: int,
    code: str,
    detail: str,
    data: Mapping[str, object],
    headers: Mapping[str, str],
) -> Response:
    problem = {
        "type": f"{TYPE_PREFIX}{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "kind": kind,
        "data": data,
    }
    return json_response(problem, status, headers=headers, media_type=PROBLEM_JSON)


async def framework_problem(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405 as problems; registered as its exception handler."""
    return problem_response(error)


class ErrorBoundary:
    """ASGI middleware: whatever is raised inside, before the answer began, is answered as a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        def watched(message: Message) -> Awaitable[None]:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            return send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                raise
            await problem_response(error)(scope, receive, send)
