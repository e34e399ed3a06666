"""What every `TokenStore` does."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from tests.storage.examples import NOON, make_token
from tool_server.errors import Conflict, NotFound
from tool_server.interfaces import TokenStore
from tool_server.model.view import View, ViewMode


async def test_a_token_comes_back_equal(tokens: TokenStore) -> None:
    token = make_token(expires_minutes=60)
    await tokens.add(token)
    assert await tokens.get("t1") == token
    assert await tokens.get("laptop") is None


@pytest.mark.parametrize(
    "view",
    [
        View(mode=ViewMode.SEARCH),
        View(plugins=("@acme/text", "hash")),
        View(mode=ViewMode.SEARCH, tools=("a_b", "c-d")),
    ],
)
async def test_what_a_token_sees_comes_back_equal(tokens: TokenStore, view: View) -> None:
    token = make_token().model_copy(update={"view": view})
    await tokens.add(token)
    assert await tokens.get("t1") == token
    assert await tokens.list_tokens() == (token,)
    assert (await tokens.revoke("t1", NOON)).view == view


async def test_a_moment_given_in_another_time_zone_is_the_same_moment(tokens: TokenStore) -> None:
    elsewhere = make_token().model_copy(update={"created_at": NOON.astimezone(timezone(timedelta(hours=-7)))})
    await tokens.add(elsewhere)
    stored = await tokens.get("t1")
    assert stored is not None
    assert stored.created_at == NOON


async def test_tokens_are_listed_newest_first(tokens: TokenStore) -> None:
    for number in (2, 3, 1):
        await tokens.add(make_token(f"t{number}", f"name {number}", minutes=number))
    assert [token.id for token in await tokens.list_tokens()] == ["t3", "t2", "t1"]


async def test_a_name_is_taken_while_its_token_lives(tokens: TokenStore) -> None:
    await tokens.add(make_token())
    with pytest.raises(Conflict, match="token revoke laptop") as caught:
        await tokens.add(make_token("t2"))
    assert caught.value.code == "token_exists"
    await tokens.revoke("laptop", NOON)
    await tokens.add(make_token("t2"))
    assert [token.id for token in await tokens.list_tokens()] == ["t2", "t1"]


@pytest.mark.parametrize(("minutes", "free"), [(59, False), (60, True), (61, True)])
async def test_a_name_is_free_once_its_token_has_expired(tokens: TokenStore, minutes: int, free: bool) -> None:
    await tokens.add(make_token(expires_minutes=60))
    if free:
        await tokens.add(make_token("t2", minutes=minutes))
    else:
        with pytest.raises(Conflict):
            await tokens.add(make_token("t2", minutes=minutes))


async def test_an_id_is_never_used_twice(tokens: TokenStore) -> None:
    await tokens.add(make_token())
    await tokens.revoke("t1", NOON)
    with pytest.raises(Conflict) as caught:
        await tokens.add(make_token("t1", "other name"))
    assert caught.value.code == "token_exists"


@pytest.mark.parametrize("spelling", ["laptop", "t1"])
async def test_a_token_is_revoked_by_name_or_id_once(tokens: TokenStore, spelling: str) -> None:
    await tokens.add(make_token())
    revoked = make_token().model_copy(update={"revoked_at": NOON})
    assert await tokens.revoke(spelling, NOON) == revoked
    assert await tokens.revoke(spelling, NOON + timedelta(hours=1)) == revoked
    assert await tokens.get("t1") == revoked


async def test_revoking_a_name_spares_other_tokens_also_one_named_like_an_id(tokens: TokenStore) -> None:
    await tokens.add(make_token("t1", "laptop"))
    await tokens.add(make_token("t2", "t1"))
    await tokens.revoke("t1", NOON)
    assert {token.id: token.revoked_at for token in await tokens.list_tokens()} == {"t1": NOON, "t2": None}


async def test_an_unknown_token_cannot_be_revoked(tokens: TokenStore) -> None:
    await tokens.add(make_token())
    with pytest.raises(NotFound) as caught:
        await tokens.revoke("phone", NOON)
    assert caught.value.code == "unknown_token"
    assert await tokens.get("t1") == make_token()
