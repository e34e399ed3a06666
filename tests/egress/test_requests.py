"""What guests get from `http_request`: answers as they came, within bounds; the network is a real one of its own."""

from __future__ import annotations

import pytest

from tests.egress.place import Place

pytestmark = pytest.mark.slow

SITE = "http://api.example.com"
HOST = "api.example.com"


def test_a_request_arrives_as_the_guest_made_it(place: Place) -> None:
    headers = {"X-One": " one ", "Content-Type": "text/plain", "Accept-Encoding": "br", "Connection": "close"}
    answer = place.get(f"{SITE}/a/../b?c=d&e=%20#part", HOST, method="post", headers=headers, body="hello")
    assert (answer.status, answer.headers["x-seen"]) == (200, "POST")
    echoed = answer.echoed
    assert (echoed["method"], echoed["target"], echoed["body"]) == ("POST", "/a/../b?c=d&e=%20", "hello")
    sent = echoed["headers"]
    assert (sent["host"], sent["x-one"], sent["content-type"]) == (HOST, "one", "text/plain")
    assert (sent["accept-encoding"], sent["content-length"]) == ("gzip, deflate", "5")
    assert sent["user-agent"].startswith("tool-server/")
    assert "connection" not in sent
    (record,) = answer.requests
    assert record.pop("duration_us") > 0
    assert record == {
        "method": "POST",
        "scheme": "http",
        "host": HOST,
        "port": 80,
        "path": "/a/../b",
        "outcome": "ok",
        "address": "93.184.216.34",
        "status": 200,
        "bytes_out": 5,
        "bytes_in": answer.length,
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_every_method_is_sent_that_is_permitted(place: Place, method: str) -> None:
    answer = place.get(SITE, HOST, method=method)
    assert answer.seen[0]["method"] == method
    assert (answer.length == 0) is (method == "HEAD")


@pytest.mark.parametrize("code", [204, 304, 400, 401, 404, 429, 500, 503])
def test_an_error_status_is_no_error(place: Place, code: int) -> None:
    answer = place.get(f"{SITE}/status?code={code}", HOST)
    assert (answer.status, answer.headers["x-why"]) == (code, "because")
    assert (answer.requests[0]["outcome"], answer.requests[0]["status"]) == ("ok", code)


@pytest.mark.parametrize("how", ["gzip", "members", "deflate", "raw", "identity"])
def test_compressed_bodies_are_decompressed(place: Place, how: str) -> None:
    answer = place.get(f"{SITE}/compressed?how={how}", HOST)
    assert answer.body == "well compressed " * 100
    assert not answer.headers.keys() & {"content-encoding", "content-length", "transfer-encoding"}


@pytest.mark.parametrize(
    ("path", "outcome", "says"),
    [
        ("/compressed?how=broken", "bad_response", "breaks off"),
        ("/compressed?how=damaged", "bad_response", "is damaged"),
        ("/compressed?how=unknown", "bad_response", "encoding 'br'"),
        ("/compressed?how=twice", "bad_response", "encoding 'gzip, gzip'"),
        ("/compressed?how=bomb", "response_too_large", "egress.response_bytes"),
        ("/compressed?how=bombs", "response_too_large", "egress.response_bytes"),
        ("/large?bytes=1048577", "response_too_large", "1048576 bytes"),
        ("/endless", "response_too_large", "1048576 bytes"),
        ("/headers?bytes=20000", "response_too_large", "egress.header_bytes"),
        ("/headers?bytes=1000000", "bad_response", "HTTP/1.1"),
        ("/gone", "connection_lost", "closed the connection"),
        ("/raw?text=nonsense%0D%0A%0D%0A", "bad_response", "HTTP/1.1"),
        ("/raw?text=HTTP/1.1 200 OK%0D%0AContent-Length: 9%0D%0A%0D%0Ashort", "connection_lost", "before its answer"),
        ("/raw?text=HTTP/1.1 200 OK%0D%0AContent-Length: 9%0D%0AContent-Length: 8%0D%0A%0D%0A", "bad_response", "HTTP"),
        ("/raw?text=HTTP/1.1 101 Switching%0D%0AUpgrade: x%0D%0A%0D%0A", "bad_response", "HTTP/1.1"),
    ],
)
def test_a_bad_answer_ends_the_call_with_host_and_reason(place: Place, path: str, outcome: str, says: str) -> None:
    answer = place.get(f"{SITE}{path}".replace(" ", "%20"), HOST)
    assert answer.raw["error"] == "host_function"
    assert HOST in answer.message
    assert says in answer.message
    assert answer.outcomes == [outcome]
    assert answer.requests[0]["address"] == "93.184.216.34"
    assert place.get(SITE, HOST).status == 200


def test_a_body_of_exactly_the_limit_is_taken(place: Place) -> None:
    answer = place.get(f"{SITE}/large?bytes=1048576", HOST)
    assert (answer.length, answer.requests[0]["bytes_in"]) == (2**20, 2**20)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://api.example.com/", "https://HOST/PATH"),
        ("file:///etc/passwd", "https://HOST/PATH"),
        ("http:///path", "no host"),
        ("http://user:pass@api.example.com/", "user name or password"),
        ("http://api.example.com@evil.example/", "user name or password"),
        ("http://api.example.com:0/", "no port 0"),
        ("http://api.example.com:99999/", "no port 99999"),
        ("http://api.example.com:/", "optional port"),
        ("http://api.example.com\\\\@evil.example/", "backslash"),
        ("http://api.example.com/a b", "percent-encode"),
        ("http://api.example.com/\u00e9", "percent-encode"),
        ("http://m\u00fcnchen.example/", "percent-encode"),
        ("http://api..example.com/", "no host name"),
        ("http://0x7f.1/", "no IPv4 address"),
        ("http://2130706433/", "no IPv4 address"),
        ("http://0177.0.0.1/", "no IPv4 address"),
        ("http://127.1/", "no IPv4 address"),
        ("http://127.0.0.1./", "is at 127.0.0.1"),
        ("http://[::1%25lo]/", "optional port"),
        ("http://[::1", "optional port"),
        ("not a url", "percent-encode"),
        ("", "https://HOST/PATH"),
        ("http://api.example.com/" + "a" * 9000, "characters"),
    ],
)
def test_a_url_that_could_mean_two_things_is_refused(place: Place, url: str, says: str) -> None:
    answer = place.get(url.replace("\\\\", "\\"), "*", "api.example.com")
    assert says in answer.message
    assert answer.seen == []
    assert len(answer.outcomes) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"method": "CONNECT"}, "'CONNECT' is no method"),
        ({"method": "TRACE"}, "no method"),
        ({"method": "GET /x HTTP/1.1\r\n"}, "no method"),
        ({"method": 7}, "no method"),
        ({"method": ""}, "no method"),
        ({"headers": []}, "must be an object"),
        ({"headers": {"X": 7}}, "header 'X' is not valid"),
        ({"headers": {"X": "a\r\nY: b"}}, "header 'X' is not valid"),
        ({"headers": {"X": "a\u0000"}}, "header 'X' is not valid"),
        ({"headers": {"X Y": "a"}}, "header 'X Y' is not valid"),
        ({"headers": {"X:": "a"}}, "is not valid"),
        ({"headers": {"": "a"}}, "is not valid"),
        ({"headers": {"Host": "evil.example"}}, "'host' belongs to the server"),
        ({"headers": {"Content-Length": "99"}}, "'content-length' belongs"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "'transfer-encoding' belongs"),
        ({"headers": {"Connection": "upgrade"}}, "'connection' belongs"),
        ({"headers": {"Upgrade": "h2c"}}, "'upgrade' belongs"),
        ({"headers": {"Proxy-Authorization": "x"}}, "'proxy-authorization' belongs"),
        ({"headers": {f"X-{number}": "" for number in range(65)}}, "at most 64"),
        ({"headers": {"X": "v" * 33_000}}, "more than 32768 bytes"),
        ({"body": "b" * 8_000, "method": "POST", "headers": {"Content-Length": "1"}}, "'content-length' belongs"),
    ],
)
def test_a_request_that_is_not_valid_is_refused(place: Place, arguments: dict[str, object], says: str) -> None:
    answer = place.get(SITE, HOST, **arguments)
    assert says in answer.message
    assert answer.seen == []
    assert len(answer.outcomes) == 1


def test_headers_that_say_what_the_server_says_anyway_are_no_mistake(place: Place) -> None:
    headers = {"Host": HOST, "Content-Length": "2", "Connection": "keep-alive"}
    assert place.get(SITE, HOST, method="POST", body="ab", headers=headers).echoed["headers"]["content-length"] == "2"


@pytest.mark.parametrize(
    ("network", "method", "url"),
    [
        ((), "GET", SITE),
        (("other.example.com",), "GET", SITE),
        (("*.example.com",), "GET", "http://example.com/"),
        (("*.api.example.com",), "GET", SITE),
        ((HOST,), "GET", f"{SITE}:8080/"),
        ((f"{HOST}:8080",), "GET", SITE),
        ((f"GET,HEAD {HOST}",), "POST", SITE),
        ((HOST,), "GET", "http://93.184.216.34/"),
        ((HOST,), "GET", "http://xapi.example.com/"),
        ((HOST,), "GET", "http://api.example.com.evil.example/"),
    ],
)
def test_what_the_permission_does_not_name_is_refused(
    place: Place, network: tuple[str, ...], method: str, url: str
) -> None:
    answer = place.get(url, *network, method=method)
    assert answer.raw["error"] == "host_function"
    assert f"may not send {method} to {answer.requests[0]['host']} port {answer.requests[0]['port']}" in answer.message
    assert (answer.outcomes, answer.seen) == (["network_not_permitted"], [])
    assert answer.requests[0]["address"] is None


@pytest.mark.parametrize(
    ("network", "url"),
    [
        ("*.example.com", SITE),
        (f"{HOST}:8080", f"{SITE}:8080/"),
        (f"GET,HEAD {HOST}", SITE),
        (HOST, "http://API.Example.COM./"),
        ("93.184.216.34", "http://93.184.216.34/"),
        ("six.example.com", "http://six.example.com/"),
    ],
)
def test_what_the_permission_names_is_allowed(place: Place, network: str, url: str) -> None:
    assert place.get(url, network).status == 200


def test_a_permission_that_was_not_granted_is_none(place: Place) -> None:
    name = place.fresh_name()
    place.do("install", name, {"network": [HOST]}, {"network": []})
    assert place.fetch(name, SITE).outcomes == ["network_not_permitted"]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("internal.example.com", "10.9.8.7"),
        ("metadata.example.com", "169.254.169.254"),
        ("loopback.example.com", "127.0.0.1"),
        ("mapped.example.com", "::ffff:a09:807"),
        ("mixed.example.com", "10.9.8.7"),
        ("mixed2.example.com", "10.9.8.7"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("[::1]", "::1"),
        ("[::ffff:10.9.8.7]", "::ffff:a09:807"),
        ("[64:ff9b::10.9.8.7]", "64:ff9b::a09:807"),
    ],
)
def test_a_name_that_leads_inside_is_refused_whatever_else_it_leads_to(place: Place, host: str, address: str) -> None:
    answer = place.get(f"http://{host}/", "*")
    assert answer.outcomes == ["address_refused"]
    assert "public Internet" in answer.message
    assert f"is at {address}" in answer.message
    assert answer.seen == []


def test_the_next_address_is_tried_where_one_does_not_answer(place: Place) -> None:
    answer = place.get("http://spare.example.com/", "spare.example.com")
    assert (answer.status, answer.requests[0]["address"]) == (200, "93.184.216.34")


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("http://nowhere.example.com/", "name_not_resolved"),
        ("http://api.example.com:81/", "connect_failed"),
        ("https://wrong.example.com/", "tls_failed"),
        ("https://api.example.com:9443/", "tls_failed"),
        ("https://93.184.216.34/", "tls_failed"),
    ],
)
def test_a_site_that_cannot_be_reached_or_trusted_ends_the_call(place: Place, url: str, outcome: str) -> None:
    host, _, port = url.split("/")[2].partition(":")
    answer = place.get(url, f"{host}:{port}" if port else host)
    assert answer.outcomes == [outcome]
    assert host in answer.message
    assert answer.seen == []


def test_tls_is_verified_for_the_name(place: Place) -> None:
    assert place.get("https://api.example.com/", HOST).status == 200
    assert "certificate" in place.get("https://wrong.example.com/", "wrong.example.com").message


def test_a_call_makes_so_many_requests_and_no_more(place: Place) -> None:
    plugin = place.plugin(HOST)
    assert len(place.fetch(plugin, SITE, times=6).requests) == 6
    seventh = place.fetch(plugin, SITE, times=7)
    assert seventh.outcomes == ["ok"] * 6 + ["too_many_requests"]
    assert "at most 6 requests" in seventh.message


def test_a_call_without_requests_has_none_in_its_record(place: Place) -> None:
    assert place.get(SITE, HOST, times=0).requests == []
