"""Secrets: what an operator stores, and what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from tool_server.errors import InvalidInput

SECRET_NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"  # noqa: S105 - a name, no password

MAX_SECRET_BYTES = 65_536
MAX_SECRET_HOSTS = 32

_LABEL = "[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62}"
SECRET_HOST_PATTERN = rf"(\*\.)?({_LABEL}\.){{0,30}}{_LABEL}(:[1-9][0-9]{{0,4}})?"
MAX_HOST = 260

_NAME = re.compile(SECRET_NAME_PATTERN)
_HOST = re.compile(SECRET_HOST_PATTERN)


class SecretRecord(BaseModel):
    """A secret as it may be shown: never its value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    hosts: tuple[str, ...] = ()
    """Where it may be sent: `HOST`, `*.HOST` or `HOST:PORT`; empty: to hosts that the plugin's permission names
    exactly."""
    plain_http: bool = False
    """Whether it may also be sent without TLS."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret with its value, only as long as a request needs it."""

    record: SecretRecord
    value: str = field(repr=False)


def check_secret_name(name: str) -> str:
    """Return `name` when it is one.

    Raises:
        InvalidInput: `invalid_secret_name`.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "invalid_secret_name",
            f"{name[:80]!r} is not a secret's name: letters, digits and _ . -, not beginning with a digit, at most 64",
        )
    return name


def check_secret_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts in lower case, without repetitions.

    Raises:
        InvalidInput: `invalid_host`, naming the first that is none; `too_many_hosts`.
    """
    if len(hosts) > MAX_SECRET_HOSTS:
        raise InvalidInput("too_many_hosts", f"a secret is bound to at most {MAX_SECRET_HOSTS} hosts")
    lowered = tuple(dict.fromkeys(host.lower() for host in hosts))
    for host in lowered:
        if len(host) > MAX_HOST or not _HOST.fullmatch(host):
            raise InvalidInput(
                "invalid_host",
                f"{host[:80]!r} is no host that a secret can be bound to: write 'api.example.com', '*.example.com' or "
                "'api.example.com:8443'",
            )
    return lowered


def check_secret_value(value: str) -> str:
    """Return `value` when it can be stored.

    Raises:
        InvalidInput: `invalid_secret_value`, which never quotes it.
    """
    size = len(value.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= MAX_SECRET_BYTES:
        raise InvalidInput("invalid_secret_value", f"a secret has 1 to {MAX_SECRET_BYTES} bytes; this one has {size}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput("invalid_secret_value", "the secret is not valid Unicode text: send it as UTF-8")
    return value
