"""Secrets by reference: put in after the decision, where they may go, and taken out of all that comes back."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from tests.egress.place import Answer, Place

pytestmark = pytest.mark.slow

HOST, OTHER = "api.example.com", "other.example.com"
SITE = f"https://{HOST}"
VALUE = 'p/ss w+rd"<ü>&\\1234567890'


def reference(name: str) -> str:
    """As a plugin writes it."""
    return f"${{secret:{name}}}"


def bearer(place: Place, plugin: str, name: str, url: str = f"{SITE}/") -> Answer:
    """A request with the secret in the Authorization header."""
    return place.fetch(plugin, url, headers={"Authorization": f"Bearer {reference(name)}"})


def test_a_secret_is_put_into_header_values_and_the_query(place: Place) -> None:
    first, second = place.secret("one-value"), place.secret("two & value")
    plugin = place.plugin(HOST, secrets=(first, second))
    answer = place.fetch(
        plugin,
        f"{SITE}/?a={reference(second)}&b={reference(first)}x",
        headers={"Authorization": f"Bearer {reference(first)}", "X-Two": f"{reference(first)}-{reference(second)}"},
    )
    (seen,) = answer.seen
    assert seen["target"] == "/?a=two%20%26%20value&b=one-valuex"
    assert seen["headers"]["authorization"] == "Bearer one-value"
    assert seen["headers"]["x-two"] == "one-value-two & value"
    assert "value" not in answer.body.replace(f"[secret {first}]", "")
    assert f"Bearer [secret {first}]" in answer.body


def test_whatever_spelling_a_server_answers_in_the_guest_does_not_see_the_value(place: Place) -> None:
    name = place.secret(VALUE)
    plugin = place.plugin(HOST, secrets=(name,))
    for answer in (
        bearer(place, plugin, name, f"{SITE}/leak"),
        place.fetch(plugin, f"{SITE}/leak?key={reference(name)}"),
    ):
        raw = VALUE.encode()
        shown = answer.raw["text"]
        assert shown.count(f"[secret {name}]") >= 13
        spellings = (VALUE, quote(VALUE, safe=""), raw.hex(), raw.hex().upper(), VALUE[:8], base64.b64encode(raw)[:20])
        for spelling in spellings:
            text = spelling if isinstance(spelling, str) else spelling.decode()
            assert text not in shown
        assert "secret" not in answer.requests[0]["path"]


@pytest.mark.parametrize(
    ("url", "arguments", "outcome"),
    [
        ("{site}/{ref}", {}, "misplaced_secret"),
        ("https://{ref}.example.com/", {}, "invalid_url"),
        ("{site}/", {"headers": {"X-{ref}": "a"}}, "misplaced_secret"),
        ("{site}/?a=${{secret:}}", {}, "invalid_secret_reference"),
        ("{site}/?a=${{secret:NAME", {}, "invalid_secret_reference"),
        ("{site}/", {"headers": {"X": "${{secret:a b}}"}}, "invalid_secret_reference"),
        ("{site}/", {"headers": {"X": "{ref} ${{secret:"}}, "invalid_secret_reference"),
    ],
)
def test_a_reference_elsewhere_or_half_of_one_is_refused(
    place: Place, url: str, arguments: dict[str, dict[str, str]], outcome: str
) -> None:
    name = place.secret("value-of-it")
    plugin = place.plugin(HOST, secrets=(name,))

    def filled(text: str) -> str:
        return text.format(site=SITE, ref=reference(name))

    headers = {filled(key): filled(value) for key, value in arguments.get("headers", {}).items()}
    answer = place.fetch(plugin, filled(url), headers=headers)
    assert (answer.outcomes, answer.seen) == ([outcome], [])
    assert "value-of-it" not in answer.message


def test_a_body_is_sent_as_it_is(place: Place) -> None:
    name = place.secret("value-of-it")
    answer = place.fetch(place.plugin(HOST, secrets=(name,)), SITE, method="POST", body=reference(name))
    assert answer.echoed["body"] == reference(name)


def test_a_secret_that_is_not_permitted_or_not_there_is_named(place: Place) -> None:
    name = place.secret("value-of-it")
    refused = bearer(place, place.plugin(HOST), name)
    assert refused.outcomes == ["secret_not_permitted"]
    assert name in refused.message
    assert "permissions.secrets" in refused.message
    missing = bearer(place, place.plugin(HOST, secrets=("MISSING",)), "MISSING")
    assert missing.outcomes == ["unknown_secret"]
    assert "tool-server secret set MISSING" in missing.message
    granted = place.fresh_name()
    place.do("install", granted, {"network": [HOST], "secrets": [name]}, {"network": [HOST], "secrets": []})
    assert bearer(place, granted, name).outcomes == ["secret_not_permitted"]
    assert refused.seen + missing.seen == []


@pytest.mark.parametrize(
    ("bound", "network", "url", "outcome"),
    [
        ((), (HOST,), f"{SITE}/", "ok"),
        ((), ("*.example.com",), f"{SITE}/", "secret_needs_host"),
        ((), ("*",), f"{SITE}/", "secret_needs_host"),
        # The wildcard takes the name in, and so nobody has said that it is this host that gets the secret.
        ((), ("*.example.com", HOST), f"{SITE}/", "secret_needs_host"),
        ((), ("*.example.com", HOST), f"https://{OTHER}/", "secret_needs_host"),
        ((HOST,), ("*",), f"{SITE}/", "ok"),
        ((HOST,), (HOST, OTHER), f"https://{OTHER}/", "secret_not_for_host"),
        (("*.example.com",), ("*",), f"https://{OTHER}/", "ok"),
        (("*.example.com",), ("*",), "https://second.example.net/", "secret_not_for_host"),
        ((f"{HOST}:9443",), (HOST,), f"{SITE}/", "secret_not_for_host"),
        ((HOST,), (HOST,), f"http://{HOST}/", "secret_needs_https"),
        ((), (HOST,), f"http://{HOST}/", "secret_needs_https"),
    ],
)
def test_a_secret_goes_where_it_is_bound_to(
    place: Place, bound: tuple[str, ...], network: tuple[str, ...], url: str, outcome: str
) -> None:
    name = place.secret("value-of-it", *bound)
    answer = bearer(place, place.plugin(*network, secrets=(name,)), name, url)
    assert answer.outcomes == [outcome]
    assert len(answer.seen) == (outcome == "ok")
    if outcome != "ok":
        assert name in answer.message


def test_an_operator_may_let_a_secret_go_without_tls(place: Place) -> None:
    name = place.secret("value-of-it", plain_http=True)
    answer = bearer(place, place.plugin(HOST, secrets=(name,)), name, f"http://{HOST}/")
    assert answer.seen[0]["headers"]["authorization"] == "Bearer value-of-it"


@pytest.mark.parametrize("value", ["two\nlines", "nul\x00", " blank", "tab\t"])
def test_a_value_that_cannot_stand_in_a_header_goes_into_a_query_alone(place: Place, value: str) -> None:
    name = place.secret(value)
    plugin = place.plugin(HOST, secrets=(name,))
    refused = bearer(place, plugin, name)
    assert (refused.outcomes, refused.seen) == (["invalid_secret_value"], [])
    answer = place.fetch(plugin, f"{SITE}/?a={reference(name)}")
    assert answer.seen[0]["target"] == f"/?a={quote(value, safe='')}"


def test_a_new_value_is_used_at_once_and_a_removed_one_no_more(place: Place) -> None:
    name = place.secret("first-value")
    plugin = place.plugin(HOST, secrets=(name,))
    assert bearer(place, plugin, name).seen[0]["headers"]["authorization"] == "Bearer first-value"
    place.do("set_secret", name, "second-value")
    assert bearer(place, plugin, name).seen[0]["headers"]["authorization"] == "Bearer second-value"
    place.do("remove_secret", name)
    assert bearer(place, plugin, name).outcomes == ["unknown_secret"]


def test_nothing_of_a_request_but_its_path_is_recorded(place: Place) -> None:
    name = place.secret("value-of-it")
    plugin = place.plugin(HOST, secrets=(name,))
    answer = place.fetch(plugin, f"{SITE}/p?q=query-text&k={reference(name)}", method="POST", body="body-text")
    recorded = str(answer.requests)
    assert "/p" in recorded
    assert not [part for part in ("query-text", "body-text", "value-of-it", name) if part in recorded]


def test_what_a_plugin_says_of_a_value_it_guessed_is_taken_out_too(place: Place) -> None:
    # Belt and braces: the server's own redaction of a call's result, error and log, whatever the guest did.
    name = place.secret("value-of-it")
    plugin = place.plugin(HOST, secrets=(name,), tools=["fetch", "fetch_and_tell"])
    arguments = {"url": f"{SITE}/", "headers": {"X": reference(name)}, "say": "it is value-of-it"}
    told = Answer(place.do("call", f"{plugin}_fetch_and_tell", arguments))
    assert told.raw["text"] == f"it is [secret {name}]"
    failed = Answer(place.do("call", f"{plugin}_fetch_and_tell", {**arguments, "fail": 1}))
    assert failed.message == f"it is [secret {name}]"
    log = [line for line in place.do("look")["log"] if line.startswith("it is")]
    assert log == [f"it is [secret {name}]"] * 2
