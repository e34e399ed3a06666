"""What a guest hands to `http_request`: Extism's JSON, read strictly.

The shape is extism-manifest's `HttpRequest`: `url`, optional `method`, `headers` (also read: `header`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from tool_server.egress.target import Target, parse_target
from tool_server.errors import Denied, InvalidInput
from tool_server.model.json_value import JsonObject, JsonValue, json_type, parse_json

MAX_BLOCK = 2**18
"""Bytes of the JSON."""
MAX_HEADERS = 64
MAX_HEADER_BYTES = 32_768
"""Of all names and values, secrets not yet put in."""

Headers = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "keep-alive"})
"""Headers that the server sets itself; a guest's are dropped where they say the same or may not matter."""
_REFUSED_HEADERS = frozenset({"transfer-encoding", "te", "trailer", "upgrade", "expect", "http2-settings"})
_CREDENTIALS = frozenset({"authorization", "cookie"})
_REFERENCE = "${secret:"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class GuestRequest:
    """One request, references to secrets still in it."""

    method: str
    target: Target
    headers: Headers
    """Names in lower case."""
    body: bytes = b""
    references: bool = True
    """Whether the query may hold references to secrets: a guest's own may, one that a server redirects to may not."""


def parse_request(block: bytes, body: bytes, max_body: int) -> GuestRequest:
    """Read the two blocks.

    Raises:
        InvalidInput: `invalid_json`, `invalid_request`, `invalid_url`, `misplaced_secret`, `request_too_large`.
    """
    if len(block) > MAX_BLOCK:
        raise InvalidInput("invalid_request", f"the request of http_request has {len(block)} bytes of JSON")
    if len(body) > max_body:
        raise InvalidInput(
            "request_too_large", f"the body of http_request has {len(body)} bytes; at most {max_body} are accepted"
        )
    document = parse_json(block, what="the request of http_request")
    if not isinstance(document, dict):
        raise _invalid(f"it must be a JSON object, not {json_type(document)}")
    url = document.get("url")
    if not isinstance(url, str):
        raise _invalid("it has no 'url'")
    target = parse_target(url)
    if _REFERENCE in target.path:
        raise _misplaced("the path of the URL")
    headers = tuple(_headers(document, target, len(body)))
    return GuestRequest(_method(document.get("method")), target, headers, body)


def _method(value: JsonValue) -> str:
    if value is None:
        return "GET"
    method = value.upper() if isinstance(value, str) else ""
    if not _METHOD.fullmatch(method) or method in _REFUSED_METHODS:
        raise _invalid(f"{str(value)[:40]!r} is no method that a plugin may use")
    return method


def _headers(document: JsonObject, target: Target, body_bytes: int) -> Iterable[tuple[str, str]]:
    given = document.get("headers", document.get("header"))
    if given is None:
        return
    if not isinstance(given, dict):
        raise _invalid(f"'headers' must be an object of strings, not {json_type(given)}")
    if len(given) > MAX_HEADERS:
        raise _invalid(f"it has {len(given)} headers; at most {MAX_HEADERS} are accepted")
    size = 0
    for name, value in given.items():
        if _REFERENCE in name:
            raise _misplaced("the name of a header")
        if not _TOKEN.fullmatch(name) or not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise _invalid(f"the header {name[:80]!r} is not valid: names are tokens, values text without line breaks")
        size += len(name) + len(value.encode())
        if size > MAX_HEADER_BYTES:
            raise _invalid(f"its headers have more than {MAX_HEADER_BYTES} bytes")
        lowered, text = name.lower(), value.strip(" \t")
        if not _is_ours(lowered, text, target, body_bytes):
            yield lowered, text


def _is_ours(name: str, value: str, target: Target, body_bytes: int) -> bool:
    """Whether the server sets this header itself, to the same.

    Raises:
        InvalidInput: `invalid_request`, the header would change how the message is read.
    """
    conflict = (name == "host" and value.lower() not in (target.authority, f"{target.host}:{target.port}")) or (
        name == "content-length" and value != str(body_bytes)
    )
    connection = name == "connection" and value.lower() not in ("keep-alive", "close")
    if conflict or connection or name in _REFUSED_HEADERS or name.startswith("proxy-"):
        raise _invalid(f"the header {name!r} belongs to the server: leave it out")
    return name in _OURS


def is_redirect(status: int, location: str | None) -> bool:
    """Whether an answer says to go elsewhere, and where."""
    return status in _REDIRECTS and location is not None


def redirected(request: GuestRequest, status: int, location: str, secret_headers: Iterable[str]) -> GuestRequest:
    """The next request of a chain (RFC 9110, section 15.4).

    To another origin no credentials go along: Authorization, Cookie, and every header that held a secret.

    Args:
        request: what was answered.
        status: one of a redirect.
        location: the answer's Location, relative or absolute.
        secret_headers: names of headers that held a secret.

    Raises:
        InvalidInput: `invalid_url`.
        Denied: `insecure_redirect`, from https to http.
    """
    before = request.target
    target = parse_target(urljoin(f"{before.scheme}://{before.authority}{before.path}{before.query}", location))
    if before.scheme == "https" and target.scheme == "http":
        raise Denied("insecure_redirect", f"{before.host} redirects from https to http at {target.host}: not followed")
    method, body, headers = request.method, request.body, request.headers
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", b""
        headers = tuple(pair for pair in headers if not pair[0].startswith("content-"))
    if target.origin != before.origin:
        private = _CREDENTIALS | frozenset(secret_headers)
        headers = tuple(pair for pair in headers if pair[0] not in private)
    return replace(request, method=method, target=target, headers=headers, body=body, references=False)


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("invalid_request", f"the request of http_request is refused: {problem}")


def _misplaced(where: str) -> InvalidInput:
    return InvalidInput(
        "misplaced_secret",
        f"a secret is referred to in {where}: ${{secret:NAME}} works in header values and in the URL's query alone",
    )
