"""Which IP addresses a guest's request may reach. Pure.

The blocks are those of IANA's special-purpose registries (RFC 6890,
https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry), written out since
`ipaddress.is_global` differs between versions of Python, and the addresses at which clouds serve credentials.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own service, on a public-looking address
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_GLOBAL_6 = IPv6Network("2000::/3")
"""All that is public; loopback, IPv4-mapped, -compatible and -translated, ULA, link- and site-local are elsewhere."""

_NOT_PUBLIC_6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)

_NAT64 = IPv6Network("64:ff9b::/96")
"""An IPv4 address in the last 32 bits (RFC 6052). Its sibling 64:ff9b:1::/48 is for local use, so never public."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet, where any guest with a permission may go."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _GLOBAL_6 and not any(address in block for block in _NOT_PUBLIC_6)


class AddressPolicy:
    """The public Internet, and the networks that an operator opened.

    Args:
        opened: CIDR blocks such as `10.1.0.0/16`.

    Raises:
        ValueError: one is no CIDR block.
    """

    def __init__(self, opened: Iterable[str] = ()) -> None:
        self._opened: tuple[Network, ...] = tuple(ip_network(block) for block in opened)

    def permits(self, address: Address) -> bool:
        """Whether a request may go there."""
        return is_public(address) or any(
            address.version == block.version and address in block for block in self._opened
        )
