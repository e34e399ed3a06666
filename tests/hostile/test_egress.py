"""Guests, sites and names that attack by way of `http_request`."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator

import pytest

from tests.egress.place import Answer, Place, inhabited

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOST, FLIP = "api.example.com", "flip.example.com"
SITE = f"http://{HOST}"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    with inhabited(tmp_path_factory.mktemp("hostile")) as ready:
        yield ready


def test_a_name_that_changes_between_check_and_connection_never_leads_inside(place: Place) -> None:
    plugins = [place.plugin(FLIP) for _ in range(4)]
    place.do("flip")
    try:
        calls = [
            # A new connection each time: what is kept was checked when it was opened.
            place.begin("call", f"{plugins[number % 4]}_fetch", {"url": f"http://{FLIP}/gone", "method": "POST"})
            for number in range(400)
        ]
        answers = [Answer(call.result(120)) for call in calls]
    finally:
        place.do("stop_flipping")
    outcomes = {outcome for answer in answers for outcome in answer.outcomes}
    assert (
        {"connection_lost", "address_refused"}
        <= outcomes
        <= {*("connection_lost", "address_refused", "name_not_resolved", "busy")}
    )
    servers = {request["server"] for answer in answers for request in answer.seen}
    assert servers == {"93.184.216.34:80"}


def test_bad_sites_all_at_once_cost_bounded_memory_and_disturb_nobody(place: Place) -> None:
    honest = place.plugin(HOST)
    assert place.fetch(honest, f"{SITE}/compressed?how=gzip").status == 200
    before = place.do("measure")
    paths = ("/endless", "/compressed?how=bomb", "/compressed?how=bombs", "/headers?bytes=90000", "/large?bytes=900000")
    hostile = [place.plugin(HOST) for _ in paths]
    calls = [
        place.begin("call", f"{plugin}_fetch", {"url": f"{SITE}{path}"})
        for _ in range(6)
        for plugin, path in zip(hostile, paths, strict=True)
    ]
    for number in range(10):
        assert place.fetch(honest, f"{SITE}/honest{number}").echoed["target"] == f"/honest{number}"
    ended = [Answer(call.result(120)) for call in calls]
    assert {outcome for answer in ended for outcome in answer.outcomes} == {"response_too_large", "ok"}
    after = place.do("measure")
    # The sites live in the same process; unbounded, the bombs alone would be 1.5 GB.
    assert after["peak"] - before["now"] < 150 * MEGABYTE
    assert after["descriptors"] <= before["descriptors"] + 40


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_plugin_with_every_host_cannot_send_a_secret_to_its_author(place: Place, how: str) -> None:
    name = place.secret("the-value")
    plugin = place.plugin("*", secrets=(name,))
    reference = f"${{secret:{name}}}"
    url = "https://second.example.net/" + (f"?key={reference}" if how == "query" else "")
    answer = place.fetch(plugin, url, headers={"X": reference} if how == "header" else {})
    assert (answer.outcomes, answer.seen) == (["secret_needs_host"], [])


def test_the_command_line_does_the_same_and_shows_no_value(place: Place) -> None:
    plugin = place.plugin(HOST, secrets=("CLI_KEY",))
    tool_server = (sys.executable, "-m", "tool_server")
    done = place.do("run", *tool_server, "secret", "set", "CLI_KEY", "--host", HOST, stdin="the-value\n")
    assert (done["code"], done["stdout"]) == (0, f"CLI_KEY is set, to be sent to {HOST}\n"), done
    arguments = {"url": f"https://{HOST}/", "headers": {"X-Key": "${secret:CLI_KEY}"}}
    called = place.do("run", *tool_server, "call", f"{plugin}_fetch", json.dumps(arguments))
    assert called["code"] == 0, called
    assert "[secret CLI_KEY]" in called["stdout"]
    arguments["url"] = "https://internal.example.com/"
    refused = place.do("run", *tool_server, "call", f"{plugin}_fetch", json.dumps(arguments))
    assert (refused["code"], "may not send GET to internal.example.com" in refused["stderr"]) == (7, True), refused
    assert "the-value" not in str((done, called, refused))
