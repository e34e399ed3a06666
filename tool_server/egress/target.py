"""URLs of guests, read strictly: what could mean one host here and another one elsewhere is refused.

The forms are those of RFC 3986, narrowed to `http` and `https` with an authority. An IPv4 address has one spelling,
four decimal numbers; the others that the C library's resolver takes (`0x7f.1`, `2130706433`, `0177.0.0.1`) are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NoReturn

from tool_server.errors import InvalidInput

MAX_URL = 8_192
"""Characters."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.IGNORECASE
)
_PRINTABLE = re.compile(r"[\x21-\x7e]*")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,254})(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    scheme: str
    """`http` or `https`."""
    host: str
    """Lower case, without a final dot; an IPv6 address without its brackets."""
    port: int
    path: str
    """Begins with a slash."""
    query: str = ""
    """With its question mark; empty for none."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials belong to."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The IP address that stands in place of a name, or None."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def parse_target(url: str) -> Target:
    """Read an absolute URL; its fragment is dropped.

    Raises:
        InvalidInput: `invalid_url`.
    """
    if len(url) > MAX_URL:
        _refuse(f"it has {len(url)} characters; at most {MAX_URL} are accepted")
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        _refuse("it holds a blank, a backslash, a control character or a letter beyond ASCII: percent-encode them")
    match = _URL.fullmatch(url)
    if match is None:
        _refuse("write 'https://HOST/PATH' (or http)")
    authority = match["authority"]
    if "@" in authority:
        _refuse("it holds a user name or password: send an Authorization header instead")
    place = _AUTHORITY.fullmatch(authority)
    if place is None:
        _refuse(f"{authority[:80]!r} is no host with an optional port")
    scheme = match["scheme"].lower()
    port = DEFAULT_PORTS[scheme] if place["port"] is None else int(place["port"])
    if not 1 <= port <= 65_535:
        _refuse(f"there is no port {port}")
    path = match["path"] or "/"
    return Target(scheme, _host(place["host"].lower()), port, path, match["query"] or "")


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            _refuse(f"{text} is no IPv6 address")
    name = text.removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse(f"{text[:80]!r} is no host name")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))
        except ValueError:
            _refuse(f"{text[:80]!r} is no IPv4 address: write four decimal numbers without leading zeros")
    return name


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput("invalid_url", f"the URL of http_request is refused: {problem}")
