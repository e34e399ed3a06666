"""Secrets by reference: `${secret:NAME}` in a header value or in the query becomes the value, in the server alone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from tool_server.egress.request import GuestRequest
from tool_server.errors import Denied, InvalidInput, NotFound
from tool_server.model.call import Call
from tool_server.model.permission import Permissions
from tool_server.model.secret import SECRET_NAME_PATTERN, Secret

SecretReader = Callable[[str], Awaitable[Secret | None]]
"""Gives a secret by its name, None where there is none."""

_REFERENCE = re.compile(rf"\$\{{secret:({SECRET_NAME_PATTERN})\}}")
_BEGINNING = "${secret:"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent: the request's own parts with the values in place."""

    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    secrets: frozenset[str] = frozenset()
    """Names of those that were put in."""
    secret_headers: frozenset[str] = frozenset()
    """Names of the headers that hold one."""


async def inject(call: Call, request: GuestRequest, read_secret: SecretReader) -> Outgoing:
    """Put the secrets in; each is registered with the call's redactor first.

    Raises:
        InvalidInput: `invalid_secret_reference`; `invalid_secret_value`, it cannot stand in a header.
        Denied: `secret_not_permitted`, `secret_needs_https`, `secret_not_for_host`, `secret_needs_host`.
        NotFound: `unknown_secret`.
    """
    query = request.target.query if request.references else ""
    texts = (query, *(value for _, value in request.headers))
    names = frozenset(name for text in texts for name in _REFERENCE.findall(text))
    if not names:
        _check_complete(texts)
        return Outgoing(request.target.query, tuple((name.encode(), value.encode()) for name, value in request.headers))
    values: dict[str, str] = {}
    for name in sorted(names):
        secret = await _readable(call, request, name, read_secret)
        call.journal.redactor.add(name, secret.value)
        values[name] = secret.value
    _check_complete(tuple(_REFERENCE.sub("", text) for text in texts))
    headers = tuple((name.encode(), _in_header(value, values)) for name, value in request.headers)
    return Outgoing(
        _REFERENCE.sub(lambda match: quote(values[match[1]], safe=""), query) if query else request.target.query,
        headers,
        names,
        frozenset(name for name, value in request.headers if _REFERENCE.search(value)),
    )


def _in_header(text: str, values: dict[str, str]) -> bytes:
    for name in _REFERENCE.findall(text):
        if _CONTROLS.search(values[name]) or values[name] != values[name].strip(" "):
            raise InvalidInput(
                "invalid_secret_value",
                f"the secret {name} holds a control character, or a blank at one end, and cannot stand in a header",
            )
    return _REFERENCE.sub(lambda match: values[match[1]], text).encode()


def _check_complete(texts: tuple[str, ...]) -> None:
    if any(_BEGINNING in text for text in texts):
        raise InvalidInput("invalid_secret_reference", "a reference to a secret is not complete: write ${secret:NAME}")


async def _readable(call: Call, request: GuestRequest, name: str, read_secret: SecretReader) -> Secret:
    """The secret, where this call may send it to this target."""
    if name not in call.permissions.secrets:
        raise Denied(
            "secret_not_permitted",
            f"this plugin may not use the secret {name}: declare it under permissions.secrets in plugin.json and have "
            "an operator grant it",
            {"secret": name},
        )
    secret = await read_secret(name)
    if secret is None:
        raise NotFound(
            "unknown_secret",
            f"there is no secret {name} on this server: the operator sets it with 'tool-server secret set {name}'",
            {"secret": name},
        )
    target, record = request.target, secret.record
    where = {"secret": name, "host": target.host}
    if target.scheme != "https" and not record.plain_http:
        raise Denied(
            "secret_needs_https",
            f"the secret {name} is sent over https alone, and {target.host} was asked over http",
            where,
        )
    # A wildcard lets a plugin choose the host, and an attacker's host would get the secret.
    named = record.hosts or tuple(pattern for pattern in call.permissions.network if "*" not in pattern)
    if not Permissions(network=named).allows_request(request.method, target.host, target.port, target.scheme):
        command = f"'tool-server secret set {name} --host {target.host}'"
        if record.hosts:
            raise Denied(
                "secret_not_for_host",
                f"the secret {name} is bound to other hosts than {target.host}: {command} would bind it to that",
                where,
            )
        raise Denied(
            "secret_needs_host",
            f"the secret {name} is bound to no host, and the plugin's permission for {target.host} is a wildcard: "
            f"bind it with {command}",
            where,
        )
    return secret
