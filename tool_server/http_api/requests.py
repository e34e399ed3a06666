"""Reading what clients send: bounded, with a deadline, strict."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from tool_server.errors import InvalidInput
from tool_server.model.json_value import JsonObject, JsonValue, json_type, parse_json

BODY_SECONDS = 30.0
"""How long a client may take to send a JSON body."""
SMALL_BODY = 64 * 1024
"""Largest body of every route but publish, call and secrets, bytes."""

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)

Model = TypeVar("Model", bound=BaseModel)


def too_large(what: str, limit: int) -> InvalidInput:
    """The error for a body, or a part of one, beyond its bound."""
    return InvalidInput("body_too_large", f"{what} is larger than {limit} bytes: send less", {"limit": limit})


async def bounded_chunks(request: Request, limit: int, what: str = "the body") -> AsyncGenerator[bytes]:
    """The body as it arrives, never more than `limit` bytes of it.

    Raises:
        InvalidInput: `body_too_large`, at once where Content-Length says so.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise too_large(what, limit)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise too_large(what, limit)
        yield chunk


async def read_body(request: Request, limit: int) -> bytes:
    """All of the body.

    Raises:
        InvalidInput: `body_too_large` or `request_timeout`.
    """
    try:
        with anyio.fail_after(BODY_SECONDS):
            return b"".join([chunk async for chunk in bounded_chunks(request, limit)])
    except TimeoutError as error:
        raise slow_body(BODY_SECONDS) from error


def slow_body(seconds: float) -> InvalidInput:
    """The error for a client that does not come to an end."""
    return InvalidInput("request_timeout", f"the body did not arrive within {seconds:g} seconds: send it again")


def check_json_type(request: Request) -> None:
    """Do nothing where the body is declared as JSON; a page of another site cannot declare that unasked.

    Raises:
        InvalidInput: `unsupported_media_type`.
    """
    given = request.headers.get("content-type", "")
    if not _JSON_TYPE.fullmatch(given.partition(";")[0].strip()):
        raise InvalidInput(
            "unsupported_media_type",
            f"the body's type is {given[:80] or 'not given'!r}: send 'Content-Type: application/json'",
        )


async def read_json_object(request: Request, limit: int) -> JsonObject:
    """The body, a JSON object.

    Raises:
        InvalidInput: `unsupported_media_type`, `body_too_large`, `request_timeout`, `invalid_json` with line and
            column, or `invalid_body` where it is another kind of value.
    """
    check_json_type(request)
    return _as_object(parse_json(await read_body(request, limit), what="the body"))


def _as_object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise InvalidInput("invalid_body", f"the body must be a JSON object, not {json_type(value)}", {"path": "$"})
    return value


async def read_model(request: Request, model: type[Model], *, optional: bool = False, limit: int = SMALL_BODY) -> Model:
    """The body as `model`; an empty one stands for its defaults where `optional` says so.

    Raises:
        InvalidInput: as `read_json_object`, and `invalid_body` with every path that does not fit.
    """
    raw = await read_body(request, limit)
    if not raw and optional:
        return model()
    check_json_type(request)
    _as_object(parse_json(raw, what="the body"))
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _misfit("invalid_body", "the body", model, error) from error


def read_query(request: Request, model: type[Model]) -> Model:
    """The query parameters as `model`; unknown and repeated ones are refused.

    Raises:
        InvalidInput: `invalid_query`.
    """
    items = request.query_params.multi_items()
    names = [name for name, _ in items]
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) != len(names) else []
    if repeated:
        raise InvalidInput("invalid_query", f"the parameter {repeated[0][:80]!r} is given more than once")
    try:
        return model.model_validate(dict(items))
    except ValidationError as error:
        raise _misfit("invalid_query", "the query", model, error) from error


def _misfit(code: str, what: str, model: type[BaseModel], error: ValidationError) -> InvalidInput:
    fields = ", ".join(field.alias or name for name, field in model.model_fields.items())
    problems: list[dict[str, Any]] = []
    for item in error.errors(include_url=False, include_context=False)[:20]:
        path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in item["loc"])
        unknown = item["type"] == "extra_forbidden"
        expected = f"there is no such field; there are: {fields}" if unknown else item["msg"]
        problems.append({"path": path, "expected": expected, "got": json_type(item["input"])})
    said = "; ".join(f"at {problem['path']}: {problem['expected']}" for problem in problems[:3])
    return InvalidInput(code, f"{what} does not fit: {said}", {"errors": problems})
