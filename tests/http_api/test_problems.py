"""The translation table: every class of the error tree, special codes, the framework's errors, the unforeseen."""

from __future__ import annotations

import logging

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tool_server.errors import CallFailed, Conflict, Denied, InvalidInput, NotFound, ToolServerError, Unavailable
from tool_server.http_api.problems import ErrorBoundary


class TooOld(Conflict):
    """A class that the table does not name."""


CASES: list[tuple[ToolServerError, int, str]] = [
    (InvalidInput("invalid_range", "m"), 400, "invalid-input"),
    (InvalidInput("body_too_large", "m"), 413, "invalid-input"),
    (InvalidInput("wasm_too_large", "m"), 413, "invalid-input"),
    (InvalidInput("input_too_large", "m"), 413, "invalid-input"),
    (InvalidInput("unsupported_media_type", "m"), 415, "invalid-input"),
    (InvalidInput("request_timeout", "m"), 408, "invalid-input"),
    (InvalidInput("misdirected_host", "m"), 421, "invalid-input"),
    (NotFound("unknown_tool", "m"), 404, "not-found"),
    (Conflict("version_exists", "m"), 409, "conflict"),
    (TooOld("too_old", "m"), 409, "conflict"),
    (Denied("unauthenticated", "m"), 401, "denied"),
    (Denied("missing_scope", "m"), 403, "denied"),
    (CallFailed("guest_error", "m"), 422, "call-failed"),
    (CallFailed("trap", "m"), 422, "call-failed"),
    (CallFailed("timeout", "m"), 504, "call-failed"),
    (Unavailable("busy", "m"), 429, "unavailable"),
    (Unavailable("database_locked", "m"), 503, "unavailable"),
]


def raising(error: Exception) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return ErrorBoundary(app)


async def answer(error: Exception) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(raising(error)), base_url="http://server") as client:
        return await client.get("/")


@pytest.mark.parametrize(("error", "status", "kind"), CASES, ids=lambda value: getattr(value, "code", None))
async def test_each_error_has_its_status_and_says_everything(error: ToolServerError, status: int, kind: str) -> None:
    error.data["path"] = "$.a"
    response = await answer(error)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    problem = response.json()
    title = problem.pop("title")
    assert title
    assert problem == {
        "type": f"urn:tool-server:error:{error.code}",
        "status": status,
        "detail": "m",
        "code": error.code,
        "kind": kind,
        "data": {"path": "$.a"},
    }
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert ("www-authenticate" in response.headers) == (status == 401)


@pytest.mark.parametrize(
    ("code", "data", "seconds"),
    [
        ("busy", {}, 1),
        ("busy", {"retry_after_ms": 1_000}, 1),
        ("busy", {"retry_after_ms": 12_001}, 13),
        ("busy", {"retry_after_ms": 0}, 1),
        ("busy", {"retry_after_ms": "soon"}, 1),
        ("shutting_down", {"retry_after_ms": 1_000}, 1),
        ("database_locked", {}, 5),
    ],
)
async def test_retry_after_is_what_the_error_says_in_whole_seconds(
    code: str, data: dict[str, object], seconds: int
) -> None:
    response = await answer(Unavailable(code, "m", data))
    assert response.headers["retry-after"] == str(seconds)


@pytest.mark.parametrize(("status", "code"), [(404, "unknown_path"), (405, "method_not_allowed"), (400, "bad_request")])
async def test_the_framework_errors_are_problems_too(status: int, code: str) -> None:
    response = await answer(HTTPException(status, "secret detail", headers={"Allow": "GET"}))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["allow"] == "GET"
    assert "secret" not in response.text


async def test_an_unforeseen_error_tells_a_log_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = await answer(RuntimeError("password=hunter2"))
    problem = response.json()
    assert (response.status_code, problem["kind"], problem["code"]) == (500, "internal", "internal_error")
    assert "hunter2" not in response.text
    assert problem["data"]["log_id"] in problem["detail"]
    assert problem["data"]["log_id"] in caplog.text
    assert "hunter2" in caplog.text


async def test_values_that_json_can_hardly_hold_are_still_sent() -> None:
    response = await answer(InvalidInput("odd", "\ud800 lone", {"big": 2**80, "text": "\udfff"}))
    assert response.status_code == 400
    assert response.json()["data"]["big"] == 2**80


async def test_an_error_after_the_answer_began_goes_to_the_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise NotFound("late", "too late")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(NotFound):
        await ErrorBoundary(app)({"type": "http", "path": "/"}, receive, send)
    assert len(sent) == 1


async def test_a_client_that_left_gets_no_answer_and_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await raising(ClientDisconnect())({"type": "http", "path": "/"}, receive, send)
    assert sent == []
    assert caplog.text == ""
