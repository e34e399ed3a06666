"""The sets of capabilities: what an item means, and that an intersection never grants more than either side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.model.permission import MAX_ITEMS, PARSERS, Permissions

network = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "GET ", "GET,HEAD ", "POST "]),
    st.sampled_from(["*", "a.example", "*.a.example", "b.a.example", "*.b.a.example", "127.0.0.1", "[::1]"]),
    st.sampled_from(["", ":80", ":443", ":8080"]),
)
filesystem = st.builds(
    "{}:{}".format,
    st.sampled_from(["/", "/data", "/data/in", "/data/in/deep", "/database", "/other"]),
    st.sampled_from(["read", "write"]),
)
names = st.sampled_from(["A", "B", "C", "*"])
functions = st.sampled_from(["shop.a", "shop.b", "extism:host/user.a", "*"])
FIELDS = {
    "network": network,
    "filesystem": filesystem,
    "environment": names,
    "secrets": names,
    "tools": names,
    "functions": functions,
}
permissions = st.builds(
    Permissions, **{kind: st.lists(item, max_size=4, unique=True).map(tuple) for kind, item in FIELDS.items()}
)
requests = st.tuples(
    st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
    st.sampled_from(["a.example", "b.a.example", "c.b.a.example", "other.example", "127.0.0.1", "::1"]),
    st.sampled_from([80, 443, 8080]),
    st.sampled_from(["http", "https", "ftp"]),
)


def as_sets(value: Permissions) -> dict[str, set[str]]:
    return {kind: set(getattr(value, kind)) for kind in PARSERS}


@given(permissions, permissions)
def test_intersecting_commutes_up_to_the_order_of_the_request(one: Permissions, other: Permissions) -> None:
    assert as_sets(one.intersect(other)) == as_sets(other.intersect(one))


@given(permissions, permissions)
def test_intersecting_again_changes_nothing(one: Permissions, other: Permissions) -> None:
    both = one.intersect(other)
    assert both.intersect(both) == both
    assert as_sets(both.intersect(one)) == as_sets(both) == as_sets(both.intersect(other))


@given(permissions)
def test_nothing_absorbs_and_everything_leaves_all(value: Permissions) -> None:
    everything = Permissions(
        network=("*", "*:8080"),
        filesystem=("/:write",),
        environment=("*",),
        secrets=("*",),
        tools=("*",),
        functions=("*",),
    )
    assert value.intersect(Permissions()).empty
    assert Permissions().intersect(value).empty
    assert as_sets(value.intersect(everything)) == as_sets(value.intersect(value))
    assert value.without(everything).empty
    assert value.without(Permissions()) == value.normalised()


@given(permissions, permissions, requests)
def test_a_request_is_allowed_by_both_sides_exactly_where_it_is_by_the_intersection(
    one: Permissions, other: Permissions, request: tuple[str, str, int, str]
) -> None:
    allowed = one.intersect(other).allows_request(*request)
    assert allowed == (one.allows_request(*request) and other.allows_request(*request))


@given(permissions, permissions, filesystem)
def test_a_folder_is_open_in_the_intersection_exactly_where_it_is_on_both_sides(
    one: Permissions, other: Permissions, probe: str
) -> None:
    def opens(value: Permissions) -> bool:
        return Permissions(filesystem=(probe,)).without(value).empty

    assert opens(one.intersect(other)) == (opens(one) and opens(other))


@given(permissions, permissions)
def test_what_is_not_wholly_granted_is_what_a_further_grant_must_hold(one: Permissions, other: Permissions) -> None:
    missing = one.without(other)
    complete = Permissions(**{kind: getattr(other, kind) + getattr(missing, kind) for kind in PARSERS})
    assert one.without(complete).empty
    assert as_sets(one.intersect(complete)) == as_sets(one.intersect(one))


@pytest.mark.parametrize(
    ("requested", "granted", "effective"),
    [
        ("network=*.example.com", "network=api.example.com", "network=api.example.com"),
        ("network=api.example.com", "network=*.example.com", "network=api.example.com"),
        ("network=*.a.example.com", "network=*.example.com", "network=*.a.example.com"),
        ("network=*.example.com", "network=example.com", None),
        ("network=*.example.com", "network=*.example.org", None),
        ("network=badexample.com", "network=*.example.com", None),
        ("network=*", "network=GET 10.0.0.1", "network=GET 10.0.0.1"),
        ("network=example.com", "network=example.com:443", "network=example.com:443"),
        ("network=example.com", "network=example.com:8443", None),
        ("network=example.com:8443", "network=example.com:9443", None),
        ("network=GET,POST example.com", "network=POST,PUT *", "network=POST example.com"),
        ("network=GET example.com", "network=POST example.com", None),
        ("filesystem=/data/in:write", "filesystem=/data:read", "filesystem=/data/in:read"),
        ("filesystem=/data:read", "filesystem=/data/in:write", "filesystem=/data/in:read"),
        ("filesystem=/data:write", "filesystem=/data:write", "filesystem=/data:write"),
        ("filesystem=/data:read", "filesystem=/database:read", None),
        ("filesystem=/data:read", "filesystem=/:read", "filesystem=/data:read"),
        ("environment=LANG", "environment=*", "environment=LANG"),
        ("environment=LANG", "environment=lang", None),
        ("secrets=API_KEY", "secrets=API_KEY", "secrets=API_KEY"),
        ("secrets=API_KEY", "environment=API_KEY", None),
        ("tools=text_count", "tools=*", "tools=text_count"),
    ],
)
def test_an_intersection_is_the_narrower_side(requested: str, granted: str, effective: str | None) -> None:
    both = Permissions.parse([requested]).intersect(Permissions.parse([granted]))
    assert both == Permissions.parse([] if effective is None else [effective])


def test_of_two_results_the_one_inside_the_other_is_left_out_and_the_order_is_the_requests() -> None:
    requested = Permissions(network=("z.example", "a.example", "*.example"), filesystem=("/b:read", "/a:write"))
    granted = Permissions(network=("*", "a.example"), filesystem=("/a:read", "/a/x:write", "/b:read"))
    assert requested.intersect(granted) == Permissions(
        network=("*.example",), filesystem=("/b:read", "/a:read", "/a/x:write")
    )


@pytest.mark.parametrize(
    ("item", "spelled"),
    [
        ("network=API.Example.COM.", "network=api.example.com"),
        ("network=HEAD,GET,GET Example.com:443", "network=GET,HEAD example.com:443"),
        ("network=bücher.example", "network=xn--bcher-kva.example"),
        ("network=*.BÜCHER.example:8080", "network=*.xn--bcher-kva.example:8080"),
        ("network=straße。example", "network=xn--strae-oqa.example"),
        ("network=my_service:9000", "network=my_service:9000"),
        ("network=\uff11\uff12\uff17.0.0.1", "network=127.0.0.1"),
        ("network=[0:0::0001]:8080", "network=[::1]:8080"),
        ("network=[::FFFF:1.2.3.4]", "network=[::ffff:102:304]"),
        ("filesystem=//data/./in//:read", "filesystem=/data/in:read"),
        ("filesystem=/with:colon:write", "filesystem=/with:colon:write"),
        ("filesystem=/:read", "filesystem=/:read"),
        ("filesystem=/mit leer/ä:read", "filesystem=/mit leer/ä:read"),
    ],
)
def test_every_item_has_one_spelling(item: str, spelled: str) -> None:
    assert Permissions.parse([item]).items() == (spelled,)
    assert Permissions.parse([item, spelled, item]) == Permissions.parse([spelled])


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("api.example.com", "KIND=VALUE"),
        ("net=api.example.com", "network, filesystem"),
        ("=x", "KIND=VALUE"),
        ("", "KIND=VALUE"),
        ("network=", "HOST"),
        ("network=https://example.com", "no scheme"),
        ("network=example.com/path", "no path"),
        ("network=user@example.com", "no host name"),
        ("network=exa mple.com", "request method"),
        ("network=get example.com", "upper case"),
        ("network=GET,,HEAD example.com", "request method"),
        ("network=example.com:0", "no port"),
        ("network=example.com:65536", "no port"),
        ("network=example.com:http", "no port"),
        ("network=a.*.example.com", "no host name"),
        ("network=*example.com", "no host name"),
        ("network=**", "no host name"),
        ("network=*.", "no host name"),
        ("network=*.127.0.0.1", "no subdomains"),
        ("network=*.[::1]", "no subdomains"),
        ("network=::1", "brackets"),
        ("network=[::1", "brackets"),
        ("network=[fe80::1%eth0]", "network interface"),
        ("network=[::1]x", "brackets"),
        ("network=127.1", "IPv4"),
        ("network=0x7f.1", "IPv4"),
        ("network=2130706433", "IPv4"),
        ("network=0177.0.0.1", "IPv4"),
        ("network=1.2.3.4.5", "IPv4"),
        ("network=256.1.1.1", "IPv4"),
        ("network=a..example", "no host name"),
        ("network=-a.example", "no host name"),
        ("network=ex\u200dample.com", "no host name"),
        ("network=" + "a" * 64 + ".example", "no host name"),
        ("network=" + "a." * 200 + "example", "no host name"),
        ("network=ü" * 5_000, "no host name"),
        ("network=a.example\x00", "no host name"),
        ("network=a.example\n", "no host name"),
        ("filesystem=/data", "':read'"),
        ("filesystem=/data:", "':read'"),
        ("filesystem=/data:rw", "':read'"),
        ("filesystem=data:read", "not absolute"),
        ("filesystem=:read", "not absolute"),
        ("filesystem=C:\\data:read", "not absolute"),
        ("filesystem=/data/../etc:read", "'..'"),
        ("filesystem=/..:read", "'..'"),
        ("filesystem=/da\x00ta:read", "printed"),
        ("filesystem=/data\n:read", "printed"),
        ("filesystem=/" + "a" * 1_100 + ":read", "longer"),
        ("environment=", "API_KEY"),
        ("environment=MY KEY", "API_KEY"),
        ("environment=A=B", "API_KEY"),
        ("environment=TOOL_SERVER_TOKEN", "TOOL_SERVER_"),
        ("environment=tool_server_token", "TOOL_SERVER_"),
        ("secrets=**", "API_KEY"),
        ("secrets=" + "k" * 129, "API_KEY"),
        ("functions=price", "shop.price"),
        ("functions=shop.", "shop.price"),
        ("functions=.price", "shop.price"),
        ("functions=shop.*", "shop.price"),
        ("functions=shop.price.more", "shop.price"),
        ("functions=a b.price", "shop.price"),
        ("tools=a.b", "MCP name"),
    ],
)
def test_what_is_no_permission_is_refused_with_the_item_and_the_grammar(item: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Permissions.parse(["secrets=FINE", item])
    assert refused.value.code == "invalid_permission"
    assert said in refused.value.message
    assert len(refused.value.message) < 800
    assert refused.value.data["item"][:5] in item


@given(st.text(max_size=60), st.sampled_from(list(PARSERS)))
def test_any_text_is_an_item_with_one_stable_spelling_or_refused(text: str, kind: str) -> None:
    try:
        items = Permissions.parse([f"{kind}={text}"]).items()
    except InvalidInput:
        assert Permissions(**{kind: (text,)}).intersect(Permissions(**{kind: (text, "*")})).empty
    else:
        assert Permissions.parse(items).items() == items


def test_a_manifest_may_not_request_what_has_no_name_or_is_endless() -> None:
    for kind in ("environment", "secrets", "tools", "functions"):
        with pytest.raises(InvalidInput, match="list the") as refused:
            Permissions(**{kind: ("shop.fine" if kind == "functions" else "FINE", "*")}).check_requested()
        assert (refused.value.data["kind"], refused.value.data["index"]) == (kind, 1)
    with pytest.raises(InvalidInput) as refused:
        Permissions(filesystem=("/a:read", "/b")).check_requested()
    assert (refused.value.data["kind"], refused.value.data["index"]) == ("filesystem", 1)
    with pytest.raises(InvalidInput) as refused:
        Permissions(network=tuple(f"h{number}.example" for number in range(MAX_ITEMS + 1))).check_requested()
    assert refused.value.code == "too_many_permissions"
    Permissions(network=("*",), secrets=("KEY",), filesystem=("/:write",)).check_requested()


@pytest.mark.parametrize(
    ("permission", "request_", "allowed"),
    [
        ("example.com", ("GET", "EXAMPLE.com.", 443, "https"), True),
        ("example.com", ("GET", "example.com", 80, "http"), True),
        ("example.com", ("GET", "example.com", 443, "http"), False),
        ("example.com:443", ("GET", "example.com", 443, "http"), False),
        ("example.com:80", ("GET", "example.com", 80, "https"), False),
        ("example.com", ("GET", "example.com", 8080, "http"), False),
        ("example.com:8080", ("GET", "example.com", 8080, "http"), True),
        ("example.com:8080", ("GET", "example.com", 8080, "https"), True),
        ("example.com:8080", ("GET", "example.com", 443, "https"), False),
        ("example.com", ("GET", "www.example.com", 443, "https"), False),
        ("*.example.com", ("GET", "a.b.example.com", 443, "https"), True),
        ("*.example.com", ("GET", "example.com", 443, "https"), False),
        ("*.example.com", ("GET", "evilexample.com", 443, "https"), False),
        ("*", ("BREW", "10.0.0.1", 80, "http"), True),
        ("*", ("GET", "127.1", 80, "http"), False),
        ("*", ("GET", "a.example", 22, "ssh"), False),
        ("GET example.com", ("POST", "example.com", 443, "https"), False),
        ("GET example.com", ("get", "example.com", 443, "https"), False),
        ("[::1]", ("GET", "[0::1]", 80, "http"), True),
        ("[::1]", ("GET", "::1", 80, "http"), True),
        ("127.0.0.1", ("GET", "[::ffff:127.0.0.1]", 80, "http"), False),
        ("127.0.0.1", ("GET", "0177.0.0.1", 80, "http"), False),
        ("xn--bcher-kva.example", ("GET", "BÜCHER.example", 443, "https"), True),
        ("example.com", ("GET", "exam ple.com", 443, "https"), False),
        ("example.com", ("GET", "", 443, "https"), False),
    ],
)
def test_a_network_permission_allows_exactly_its_requests(
    permission: str, request_: tuple[str, str, int, str], allowed: bool
) -> None:
    method, host, port, scheme = request_
    assert Permissions(network=(permission,)).allows_request(method, host, port, scheme) is allowed
    assert not Permissions().allows_request(method, host, port, scheme)


def test_what_was_stored_before_it_was_checked_grants_nothing() -> None:
    old = Permissions(network=("http://a.example", "b.example"), filesystem=("/data",), secrets=("no name",))
    assert old.intersect(old) == Permissions(network=("b.example",))
    assert not Permissions(network=("http://a.example",)).allows_request("GET", "a.example", 80, "http")
