"""JSON answers, and validators (RFC 9110, sections 8.8 and 13.1) for what clients may keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

JSON = "application/json"

NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}
"""For answers that depend on the caller or hold a secret."""


def json_response(
    value: object, status: int = 200, *, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Response:
    """An answer holding `value`, anything made of JSON values."""
    return Response(encode(value), status_code=status, headers={**NO_STORE, **(headers or {})}, media_type=media_type)


def model_response(model: BaseModel, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """An answer holding a model, by its wire names."""
    return json_response(model.model_dump(mode="json", by_alias=True), status, headers=headers)


def encode(value: object) -> bytes:
    """UTF-8 JSON of anything made of JSON values, in the order given."""
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits and lone surrogates, both of which a guest may produce
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def not_modified(request: Request, etag: str, headers: Mapping[str, str]) -> Response | None:
    """The 304 answer when `If-None-Match` names `etag` (quoted, strong), else None."""
    given = request.headers.getlist("if-none-match")
    candidates = {item.strip().removeprefix("W/") for line in given for item in line.split(",")}
    if etag in candidates or "*" in candidates:
        return Response(status_code=304, headers=dict(headers))
    return None


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    """One JSON value a line."""
    return b"".join(encode(row) + b"\n" for row in rows)
