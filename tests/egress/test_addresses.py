"""Which addresses are public: a table of the special ones, and properties over all."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.egress.addresses import AddressPolicy, is_public

NAT64 = IPv6Network("64:ff9b::/96")
"""Special to Python, and here as good as the IPv4 address in it."""

NOT_PUBLIC = """
0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
168.63.129.16 169.254.169.254 169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1
198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::10.9.8.7
64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 64:ff9b:1:ffff::1 100::1 2001::1 2001:0:808:808:: 2001:2::1 2001:10::1
2001:20::1 2001:db8::1 2002:7f00:1::1 2002:0808:0808::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1
fe80::1%eth0 fec0::1 ff02::1 ff0e::1 4000::1
""".split()

PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.1 192.167.255.255 198.17.255.255 198.20.0.0 223.255.255.255
2606:2800:220:1:248:1893:25c8:1946 2001:4860:4860::8888 2a00::1 64:ff9b::8.8.8.8
""".split()


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not AddressPolicy().permits(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_all_others_are_public(address: str) -> None:
    assert is_public(ip_address(address))
    assert AddressPolicy().permits(ip_address(address))


@given(st.ip_addresses())
def test_what_python_calls_special_is_never_public(address: IPv4Address | IPv6Address) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    if special and address not in NAT64:
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_of_another_is_no_way_around(address: IPv4Address) -> None:
    number = int(address)
    for prefix in (0, 0xFFFF << 32, 0xFFFF << 48, 0x2002 << 112 | number << 80, 0x64_FF9B_0001 << 80):
        assert not is_public(IPv6Address(prefix | number))
    nat64 = IPv6Address((0x64_FF9B << 96) | number)
    assert is_public(nat64) == is_public(address)


def test_an_operator_opens_networks_and_nothing_beside_them() -> None:
    policy = AddressPolicy(["10.1.0.0/16", "127.0.0.1/32", "fd00::/64"])
    opened = ("10.1.0.0", "10.1.255.255", "127.0.0.1", "fd00::7", "8.8.8.8")
    closed = ("10.0.255.255", "10.2.0.0", "127.0.0.2", "fd00:0:0:1::1", "::ffff:10.1.0.1", "::10.1.0.1")
    assert all(policy.permits(ip_address(address)) for address in opened)
    assert not any(policy.permits(ip_address(address)) for address in closed)
    with pytest.raises(ValueError, match="host bits"):
        AddressPolicy(["10.1.2.3/16"])
