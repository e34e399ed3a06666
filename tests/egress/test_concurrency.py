"""Many requests at once, connections that are kept, and callers who hang up."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.egress.place import Answer, Place, inhabited

pytestmark = pytest.mark.slow

HOST = "api.example.com"
SITE = f"http://{HOST}"


def test_a_connection_is_kept_for_the_plugin_that_opened_it(place: Place) -> None:
    one, other = place.plugin(HOST), place.plugin(HOST)
    numbers = [request["connection"] for request in place.fetch(one, SITE, times=3).seen]
    assert len(set(numbers)) == 1
    assert place.fetch(one, SITE).seen[0]["connection"] == numbers[0]
    assert place.fetch(other, SITE).seen[0]["connection"] != numbers[0]
    assert place.fetch(one, f"https://{HOST}/").seen[0]["connection"] != numbers[0]


def test_a_connection_that_carried_a_secret_carries_nothing_else(place: Place) -> None:
    name = place.secret("value-of-it", plain_http=True)
    plugin = place.plugin(HOST, secrets=(name,))
    headers = {"X": f"${{secret:{name}}}"}
    carried = place.fetch(plugin, SITE, headers=headers).seen[0]["connection"]
    assert place.fetch(plugin, SITE).seen[0]["connection"] != carried
    assert place.fetch(plugin, SITE, headers=headers).seen[0]["connection"] == carried


def test_a_kept_connection_that_the_server_closed_is_replaced(place: Place) -> None:
    plugin = place.plugin(HOST)
    first = place.fetch(plugin, SITE).seen[0]["connection"]
    again = place.fetch(plugin, f"{SITE}/gone")
    # Once on the kept connection, where it may be chance, and once on a new one.
    assert [request["connection"] == first for request in again.seen] == [True, False]
    assert again.outcomes == ["connection_lost"]
    posted = place.fetch(plugin, SITE).seen[0]["connection"]
    lost = place.fetch(plugin, f"{SITE}/gone", method="POST", body="once")
    assert [request["connection"] for request in lost.seen] == [posted]


def test_no_more_than_so_many_connections_stay_open(place: Place) -> None:
    plugins = [place.plugin(HOST) for _ in range(40)]
    for plugin in plugins:
        assert place.fetch(plugin, SITE).status == 200
    place.until(lambda web: int(str(web["open"])) <= 32)


def test_a_plugin_s_requests_wait_for_its_own_alone(place: Place) -> None:
    greedy, modest = place.plugin(HOST), place.plugin(HOST)
    held = [place.begin("call", f"{greedy}_fetch", {"url": f"{SITE}/hold"}) for _ in range(3)]
    place.until(lambda web: web["holding"] == 2)
    assert place.fetch(modest, SITE).status == 200
    assert place.do("look")["holding"] == 2
    place.do("release")
    place.until(lambda web: web["holding"] == 1)
    place.do("release")
    ended = [Answer(call.result(60)) for call in held]
    assert [answer.body for answer in ended] == ["held"] * 3


def test_hanging_up_closes_the_connection(place: Place) -> None:
    plugin = place.plugin(HOST)
    call = place.begin("call", f"{plugin}_fetch", {"url": f"{SITE}/hold"}, "hung-up")
    place.until(lambda web: web["holding"] == 1)
    place.do("cancel", "hung-up")
    answer = Answer(call.result(60))
    assert (answer.raw["cancelled"], answer.raw["outcome"]) == (True, "cancelled")
    assert answer.outcomes == ["cancelled"]
    place.until(lambda web: web["holding"] == 0)
    assert place.fetch(plugin, SITE).status == 200


def test_the_call_s_own_deadline_ends_a_request(place: Place) -> None:
    plugin = place.plugin(HOST, limits={"timeout": "500ms"})
    answer = place.fetch(plugin, f"{SITE}/hold")
    assert (answer.raw["error"], answer.outcomes) == ("timeout", ["cancelled"])
    place.until(lambda web: web["holding"] == 0)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    """A server that gives sites no time."""
    with inhabited(tmp_path_factory.mktemp("hasty"), timeout="300ms") as ready:
        yield ready


@pytest.mark.parametrize("path", ["/silent", "/slow", "/hold"])
def test_a_site_that_does_not_answer_in_time_is_left(hasty: Place, path: str) -> None:
    plugin = hasty.plugin(HOST)
    calls = [hasty.begin("call", f"{plugin}_fetch", {"url": f"{SITE}{path}"}) for _ in range(6)]
    for call in calls:
        answer = Answer(call.result(60))
        assert f"{HOST} did not answer within 300 ms" in answer.message
        assert answer.outcomes == ["request_timeout"]
    hasty.until(lambda web: web["open"] == 0)


@pytest.mark.parametrize("tls", [False, True])
def test_many_callers_get_their_own_answers(place: Place, tls: bool) -> None:
    plugins = [place.plugin(HOST) for _ in range(3)]
    site = f"https://{HOST}" if tls else SITE
    calls = [
        (number, place.begin("call", f"{plugins[number % 3]}_fetch", {"url": f"{site}/n{number}"}))
        for number in range(60)
    ]
    for number, call in calls:
        assert Answer(call.result(60)).echoed["target"] == f"/n{number}"
