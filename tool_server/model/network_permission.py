"""Which requests to which hosts a permission allows: `[METHOD[,METHOD…] ]HOST[:PORT]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Self

from tool_server.model.permission_refusal import no_permission

GRAMMAR = (
    "'HOST', '*.example.com' (its subdomains), '*' (any host), each with ':PORT' for another port than 80 (http) and "
    "443 (https), and with methods in front to allow only these, such as 'GET,HEAD api.example.com'; an IPv6 address "
    "stands in brackets"
)

MAX_HOST = 253
"""Characters of a host name (RFC 1035, section 2.3.4, without the root's dot)."""

_ANY = "*"
_METHOD = re.compile(r"[A-Z]{1,20}(?:-[A-Z]{1,20})?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LEFT = (None, *_DEFAULT_PORTS.values())
"""What an intersection with no port can have as its port."""


def normal_host(host: str) -> str:
    """A host's one spelling: lower case, IDNA names as A-labels, addresses canonical, IPv6 without brackets.

    Names are mapped by UTS 46 and encoded by RFC 5891. A name that ends in a number is an IPv4 address or nothing, as
    in the URL standard (https://url.spec.whatwg.org/#ends-in-a-number-checker): resolvers read `2130706433`, `0x7f.1`
    and `127.1` as addresses too.

    Raises:
        ValueError: it is no host.
    """
    if host.startswith("["):
        return _ipv6(host[1:-1]) if host.endswith("]") else _refuse(host)
    if len(host) > MAX_HOST + 1:
        return _refuse(host)
    if not host.isascii():
        host = _a_labels(host)
    name = host.lower().removesuffix(".")
    if ":" in name:
        return _ipv6(name)
    labels = name.split(".")
    if len(name) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        return _refuse(host)
    return str(_ipv4(name)) if _NUMBER.fullmatch(labels[-1]) else name


def _a_labels(host: str) -> str:
    import idna  # its tables of Unicode are for the few names that need them

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{host[:80]!r} is no host name: {error}") from error


def _refuse(host: str) -> str:
    raise ValueError(f"{host[:80]!r} is no host name and no address")


def _ipv4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise ValueError(f"{text[:80]!r} ends in a number and is no IPv4 address of four decimal parts") from error


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError as error:
        raise ValueError(f"{text[:80]!r} is no IPv6 address") from error
    if address.scope_id is not None:
        raise ValueError(f"{text[:80]!r} names a network interface: leave out what follows '%'")
    return address.compressed


@dataclass(frozen=True, slots=True)
class NetworkPermission:
    """A set of requests.

    Without a port: http to port 80 and https to port 443. With one: any scheme to that port, but for http to 443 and
    https to 80, which no permission allows.
    """

    host: str
    """A normalised name or address; `*.example.com` for its subdomains at any depth; `*` for every host."""
    port: int | None = None
    methods: frozenset[str] | None = None
    """Upper case; None for all."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one item of `permissions.network`.

        Raises:
            InvalidInput: `invalid_permission`, naming the item and the grammar.
        """
        try:
            methods, _, place = text.rpartition(" ")
            host, port = _split_port(place)
            return cls(_pattern(host), port, _methods(methods))
        except ValueError as error:
            raise no_permission("network", text, str(error), GRAMMAR) from error

    def __str__(self) -> str:
        methods = "" if self.methods is None else f"{','.join(sorted(self.methods))} "
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{methods}{host}" + ("" if self.port is None else f":{self.port}")

    @property
    def names_one_host(self) -> bool:
        """Whether it is no pattern."""
        return not self.host.startswith(_ANY)

    def allows(self, method: str, scheme: str, host: str, port: int) -> bool:
        """Whether a request is in the set; what cannot be understood is not."""
        default = _DEFAULT_PORTS.get(scheme)
        if default is None or (port != default and port in _DEFAULT_PORTS.values()):
            return False
        if port != (default if self.port is None else self.port):
            return False
        if self.methods is not None and method not in self.methods:
            return False
        try:
            return _host_covers(self.host, normal_host(host))
        except ValueError:
            return False

    def intersect(self, other: NetworkPermission) -> NetworkPermission | None:
        """The requests in both sets; None where there are none."""
        if _host_covers(other.host, self.host):
            host = self.host
        elif _host_covers(self.host, other.host):
            host = other.host
        else:
            return None
        port = self.port if other.port is None else other.port
        # No port means the default ports: of them is left the one that the other side names.
        if any(own not in (port, None) or (own is None and port not in _LEFT) for own in (self.port, other.port)):
            return None
        methods = self.methods if other.methods is None else other.methods
        if self.methods is not None and other.methods is not None:
            methods = self.methods & other.methods
        return NetworkPermission(host, port, methods) if methods is None or methods else None


def _host_covers(pattern: str, host: str) -> bool:
    """Whether every host that `host`, a name or a pattern, stands for is one of `pattern`'s."""
    if pattern in (_ANY, host):
        return True
    # An address never ends like a name: the last label of a pattern is no number.
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def _split_port(place: str) -> tuple[str, int | None]:
    if "/" in place:
        raise ValueError("a host has no scheme and no path")
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        return place, None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ValueError(f"{port[:20]!r} is no port from 1 to 65535")
    return host, int(port)


def _pattern(host: str) -> str:
    if host == _ANY:
        return host
    wild = host.startswith("*.")
    own = host[2:] if wild else host
    if ":" in own and not own.startswith("["):
        raise ValueError("an IPv6 address stands in brackets")
    name = normal_host(own)
    if not wild:
        return name
    if ":" in name or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise ValueError("an address has no subdomains")
    return f"*.{name}"


def _methods(text: str) -> frozenset[str] | None:
    if not text:
        return None
    methods = text.split(",")
    for method in methods:
        if not _METHOD.fullmatch(method):
            raise ValueError(f"{method[:30]!r} is no request method in upper case")
    return frozenset(methods)
