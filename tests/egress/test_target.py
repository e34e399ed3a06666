"""URLs: what is accepted means the same to every program, everything else is refused."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.egress.target import Target, parse_target
from tool_server.errors import InvalidInput

PIECES = (
    *(
        "http",
        "https",
        "://",
        "/",
        "//",
        "\\",
        "@",
        ":",
        "?",
        "#",
        "[",
        "]",
        "::1",
        "%",
        "%2f",
        ".",
        "..",
        "a.b",
        "0x7f",
    ),
    *("127.1", "0177.0.0.1", "1.2.3.4", "80", "99999", "${secret:A}", " ", "\t", "\r\n", "\0", "\u3002", "\u00e9", "_"),
)


def is_an_address_to_the_c_library(host: str) -> bool:
    """Whether the resolver would not look this up, but read it as a number."""
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


urls = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)
urls_with_scheme = urls.map("http://".__add__)


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("http://a.example", Target("http", "a.example", 80, "/"), "a.example"),
        ("HTTPS://A.Example.:443?q", Target("https", "a.example", 443, "/", "?q"), "a.example"),
        (
            "http://a.example:8080/x//y/../z?a=b?c#d",
            Target("http", "a.example", 8080, "/x//y/../z", "?a=b?c"),
            "a.example:8080",
        ),
        ("http://1.2.3.4/", Target("http", "1.2.3.4", 80, "/"), "1.2.3.4"),
        ("http://[2001:DB8:0::1]:81/", Target("http", "2001:db8::1", 81, "/"), "[2001:db8::1]:81"),
        ("http://localhost/", Target("http", "localhost", 80, "/"), "localhost"),
        ("http://my_host-1.example/", Target("http", "my_host-1.example", 80, "/"), "my_host-1.example"),
    ],
)
def test_a_url_is_read_into_its_parts(url: str, target: Target, authority: str) -> None:
    assert parse_target(url) == target
    assert target.authority == authority


@given(urls | urls_with_scheme)
def test_what_is_accepted_means_the_same_to_python_and_to_the_resolver(url: str) -> None:
    with contextlib.suppress(InvalidInput):
        target = parse_target(url)
        parts = urlsplit(url)
        assert (parts.scheme, parts.username, parts.password) == (target.scheme, None, None)
        assert parts.hostname is not None
        assert parts.port in (None, target.port)
        address = target.address
        if address is None:
            assert parts.hostname.removesuffix(".") == target.host
            assert not is_an_address_to_the_c_library(target.host)
        else:
            assert ip_address(parts.hostname.removesuffix(".")) == address


@given(urls_with_scheme)
def test_an_accepted_url_reads_the_same_when_it_is_written_again(url: str) -> None:
    with contextlib.suppress(InvalidInput):
        target = parse_target(url)
        again = f"{target.scheme}://{target.authority}{target.path}{target.query}"
        assert parse_target(again) == target
        assert again.isascii()
        assert again.isprintable()


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["{}", "0x{:x}", "0{:o}", "127.{}", "0x7f.{}", "1.2.{}", "1.2.3.0{}", "{}."]),
)
def test_no_odd_spelling_of_an_ipv4_address_is_a_name(number: int, form: str) -> None:
    with pytest.raises(InvalidInput, match="IPv4"):
        parse_target(f"http://{form.format(number)}/")
