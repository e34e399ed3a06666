"""Redirects: followed by the server, each one decided like a first request, credentials left behind at the border."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.egress.place import Place

pytestmark = pytest.mark.slow

HOST, OTHER, SECOND = "api.example.com", "other.example.com", "second.example.net"


def to(url: str, code: int = 302, base: str = f"http://{HOST}") -> str:
    """A URL whose answer redirects to `url`."""
    return f"{base}/redirect?code={code}&to={quote(url, safe='')}"


@pytest.mark.parametrize(
    ("code", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ],
)
def test_the_method_changes_as_the_status_says(place: Place, code: int, method: str, then: str) -> None:
    answer = place.get(
        to("/there?a=b#c", code), HOST, method=method, body="data", headers={"Content-Type": "text/plain", "X-Own": "1"}
    )
    first, last = answer.seen
    assert (first["method"], last["method"], last["target"]) == (method, then, "/there?a=b")
    kept = then == method
    assert last["body"] == ("data" if kept else "")
    assert ("content-type" in last["headers"]) is kept
    assert last["headers"]["x-own"] == "1"
    assert [(request["path"], request["status"]) for request in answer.requests] == [
        ("/redirect", code),
        ("/there", 200),
    ]


def test_other_statuses_and_redirects_without_an_address_are_answers(place: Place) -> None:
    for code in (300, 304, 302):
        answer = place.get(f"http://{HOST}/status?code={code}", HOST)
        assert (answer.status, len(answer.seen)) == (code, 1)


def test_so_many_redirects_are_followed_and_no_more(place: Place) -> None:
    url = f"http://{HOST}/end"
    for _ in range(3):
        url = to(url)
    assert place.get(url, HOST).requests[-1]["path"] == "/end"
    answer = place.get(to(url), HOST)
    assert "redirects more than 3 times" in answer.message
    assert [request["status"] for request in answer.requests] == [302] * 4


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        (f"http://{OTHER}/", "network_not_permitted"),
        (f"http://{HOST}:8080/", "network_not_permitted"),
        ("http://internal.example.com/", "address_refused"),
        ("http://169.254.169.254/latest/meta-data/", "network_not_permitted"),
        ("http://mixed.example.com/", "address_refused"),
        ("ftp://api.example.com/", "invalid_url"),
        ("file:///etc/passwd", "invalid_url"),
        ("http://user:pass@api.example.com/", "invalid_url"),
        ("//2130706433/", "invalid_url"),
        ("http://api.example.com/\u00fc", "invalid_url"),
    ],
)
def test_a_redirect_is_decided_like_a_first_request(place: Place, target: str, outcome: str) -> None:
    answer = place.get(to(target), HOST, "internal.example.com", "mixed.example.com")
    assert answer.outcomes == ["ok", outcome]
    assert answer.raw["error"] == "host_function"
    assert len(answer.seen) == 1


def test_no_redirect_leads_from_https_to_http(place: Place) -> None:
    answer = place.get(to(f"http://{HOST}/", base=f"https://{HOST}"), HOST)
    assert answer.outcomes == ["ok", "insecure_redirect"]
    assert place.get(to(f"https://{HOST}/"), HOST).echoed["server"].endswith(":443")


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        (f"https://{HOST}/there", True),
        ("/there", True),
        (f"https://{OTHER}/there", False),
        (f"https://{SECOND}/there", False),
    ],
)
def test_credentials_stay_with_their_origin(place: Place, target: str, kept: bool) -> None:
    headers = {"Authorization": "Bearer own", "Cookie": "a=b", "X-Plain": "1"}
    answer = place.get(to(target, base=f"https://{HOST}"), HOST, OTHER, SECOND, headers=headers)
    last = answer.echoed["headers"]
    assert last["x-plain"] == "1"
    assert {"authorization", "cookie"} <= last.keys() if kept else not {"authorization", "cookie"} & last.keys()


def test_another_port_or_scheme_is_another_origin(place: Place) -> None:
    for target in (f"http://{HOST}:8080/", f"https://{HOST}/"):
        answer = place.get(to(target), HOST, f"{HOST}:8080", headers={"Authorization": "Bearer own"})
        assert "authorization" not in answer.echoed["headers"]


def test_a_secret_is_left_behind_at_the_border_and_kept_within(place: Place) -> None:
    name = place.secret("s3cr3t-value")
    plugin = place.plugin(HOST, OTHER, secrets=(name,))
    headers = {"X-Api-Key": f"${{secret:{name}}}"}
    within = place.fetch(plugin, to("/there", base=f"https://{HOST}"), headers=headers)
    assert [request["headers"]["x-api-key"] for request in within.seen] == ["s3cr3t-value"] * 2
    beyond = place.fetch(plugin, to(f"https://{OTHER}/", base=f"https://{HOST}"), headers=headers)
    assert beyond.seen[0]["headers"]["x-api-key"] == "s3cr3t-value"
    assert "x-api-key" not in beyond.seen[1]["headers"]


def test_a_secret_in_the_query_does_not_go_along(place: Place) -> None:
    name = place.secret("s3cr3t/value")
    plugin = place.plugin(HOST, OTHER, secrets=(name,))
    base = f"https://{HOST}/redirect?key=${{secret:{name}}}&code=302&to="
    answer = place.fetch(plugin, base + quote(f"https://{OTHER}/there", safe=""))
    assert "key=s3cr3t%2Fvalue" in answer.seen[0]["target"]
    assert answer.echoed["target"] == "/there"


def test_a_server_cannot_hand_a_secret_on_to_another_site(place: Place) -> None:
    name = place.secret("s3cr3t/value")
    plugin = place.plugin(HOST, OTHER, secrets=(name,))
    base = f"https://{HOST}/leaving?key=${{secret:{name}}}&to="
    answer = place.fetch(plugin, base + quote(f"https://{OTHER}/there", safe=""))
    assert answer.outcomes == ["ok", "secret_in_redirect"]
    assert len(answer.seen) == 1
    assert "s3cr3t" not in str(answer.raw["message"])
    within = place.fetch(plugin, base + quote("/there/s3cr3t%2Fvalue", safe=""))
    assert [request["path"] for request in within.requests] == ["/leaving", f"/there/[secret {name}]"]
    assert "s3cr3t" not in within.body


def test_a_redirect_cannot_ask_for_a_secret(place: Place) -> None:
    name = place.secret("s3cr3t-value")
    plugin = place.plugin(HOST, secrets=(name,))
    answer = place.fetch(plugin, to(f"/there?key=${{secret:{name}}}", base=f"https://{HOST}"))
    assert answer.echoed["target"] == f"/there?key=${{secret:{name}}}"
