"""Bearer tokens: made, believed for a second, ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from tests.services.publishing import CALLER, SettableClock, until
from tests.support.server import tool_server
from tool_server.bootstrap.services import build
from tool_server.config import Config
from tool_server.errors import Conflict, Denied, InvalidInput, NotFound, ToolServerError
from tool_server.model.caller import LOCAL, Scope
from tool_server.model.view import EVERYTHING, View, ViewMode
from tool_server.services.tokens import CACHE_SECONDS, TokenService
from tool_server.storage.database import Database, open_database
from tool_server.storage.tokens import SqlTokenStore


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with open_database(f"sqlite:///{tmp_path / 'tool-server.db'}") as opened:
        yield opened


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def tokens(database: Database, clock: SettableClock) -> TokenService:
    return TokenService(SqlTokenStore(database), clock)


async def refusal(tokens: TokenService, secret: str) -> str:
    """Why a token is refused."""
    with pytest.raises(Denied) as refused:
        await tokens.authenticate(secret)
    assert refused.value.code == "unauthenticated"
    assert "tool-server token create" in refused.value.message
    return refused.value.message


async def test_a_token_stands_for_its_name_and_scopes_and_its_secret_is_not_stored(
    database: Database, tokens: TokenService
) -> None:
    made = await tokens.create("agent", [Scope.CALL, Scope.READ, Scope.CALL], LOCAL)
    caller = await tokens.authenticate(made.secret)
    assert (caller.name, caller.scopes) == ("agent", frozenset({Scope.CALL, Scope.READ}))
    assert await tokens.list_tokens(LOCAL) == (made.record,)
    rows = await database.read(lambda connection: connection.exec_driver_sql("SELECT * FROM tokens").all())
    assert len(rows) == 1
    assert made.secret[16:] not in str(rows)


async def test_the_caller_behind_a_token_sees_what_the_token_was_made_to_see(tokens: TokenService) -> None:
    view = View(mode=ViewMode.SEARCH, plugins=("text",), tools=("hash_digest",))
    made = await tokens.create("agent", [Scope.CALL, Scope.READ], LOCAL, view=view)
    assert (await tokens.authenticate(made.secret)).view == view
    assert (await tokens.authenticate((await tokens.create("other", [Scope.CALL], LOCAL)).secret)).view is EVERYTHING


async def test_an_admin_who_could_make_any_token_is_not_given_a_restricted_one(tokens: TokenService) -> None:
    with pytest.raises(InvalidInput) as refused:
        await tokens.create("admin", [Scope.ADMIN, Scope.CALL], LOCAL, view=View(plugins=("text",)))
    assert refused.value.code == "invalid_view"
    assert (await tokens.create("admin", [Scope.ADMIN], LOCAL, view=View(mode=ViewMode.SEARCH))).record.view.searches


async def test_a_token_works_to_its_last_second_and_not_in_the_next(tokens: TokenService, clock: SettableClock) -> None:
    made = await tokens.create("brief", [Scope.READ], LOCAL, timedelta(hours=1))
    clock.advance(3_599.9)
    await tokens.authenticate(made.secret)
    clock.advance(0.1)
    assert "expired at 2026-01-01T01:00:00+00:00" in await refusal(tokens, made.secret)


async def test_a_revoked_token_is_refused_at_once_where_it_was_revoked(tokens: TokenService) -> None:
    made = await tokens.create("agent", [Scope.CALL], LOCAL)
    await tokens.authenticate(made.secret)
    await tokens.revoke("agent", LOCAL)
    assert "revoked" in await refusal(tokens, made.secret)


async def test_a_revocation_elsewhere_is_seen_when_the_cache_is_a_second_old(
    database: Database, tokens: TokenService, clock: SettableClock
) -> None:
    elsewhere = TokenService(SqlTokenStore(database), clock)
    made = await elsewhere.create("agent", [Scope.CALL], LOCAL)
    await tokens.authenticate(made.secret)
    await elsewhere.revoke(made.record.id, LOCAL)
    clock.advance(CACHE_SECONDS - 0.01)
    await tokens.authenticate(made.secret)
    clock.advance(0.01)
    assert "revoked" in await refusal(tokens, made.secret)
    assert CACHE_SECONDS <= 1


async def test_a_token_revoked_by_another_process_is_refused_soon(tmp_path: Path) -> None:
    async with build(Config(data_dir=tmp_path / "data")) as services:
        made = await services.tokens.create("agent", [Scope.CALL], LOCAL)
        await services.tokens.authenticate(made.secret)
        await anyio.to_thread.run_sync(lambda: tool_server("token", "revoke", "agent", data_dir=tmp_path / "data"))

        async def refused() -> bool:
            try:
                await services.tokens.authenticate(made.secret)
            except Denied:
                return True
            return False

        await until(refused)


SECRET = "A" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ts_",
        "password",
        f"ts_0123456789ab_{SECRET}",
        f"ts_0123456789AB_{SECRET}",
        f"ts_0123456789ab_{SECRET}A",
        f" ts_0123456789ab_{SECRET}",
        f"ts_0123456789ab_{SECRET}\n",
        f"ts_{chr(0x661) * 12}_{SECRET}",
        f"ghp_0123456789ab_{SECRET}",
        "\udcff" * 60,
        "x" * 100_000,
    ],
    ids=range(12),
)
async def test_a_foreign_or_malformed_token_is_not_known(tokens: TokenService, text: str) -> None:
    assert "not known" in await refusal(tokens, text)


async def test_a_wrong_secret_is_refused_as_if_the_token_did_not_exist(tokens: TokenService) -> None:
    made, other = [await tokens.create(name, [Scope.ADMIN], LOCAL) for name in ("one", "two")]
    unknown = await refusal(tokens, f"ts_0123456789ab_{SECRET}")
    assert await refusal(tokens, f"ts_{made.record.id}_{SECRET}") == unknown
    assert await refusal(tokens, f"ts_{made.record.id}_{other.secret[16:]}") == unknown


async def test_a_token_of_another_server_is_not_known(tokens: TokenService, tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path / 'other.db'}") as elsewhere:
        made = await TokenService(SqlTokenStore(elsewhere), SettableClock()).create("agent", [Scope.ADMIN], LOCAL)
    assert "not known" in await refusal(tokens, made.secret)


@pytest.mark.parametrize(
    ("name", "scopes", "lifetime", "error", "code"),
    [
        ("", [Scope.READ], None, InvalidInput, "invalid_token_name"),
        ("two words", [Scope.READ], None, InvalidInput, "invalid_token_name"),
        ("a" * 65, [Scope.READ], None, InvalidInput, "invalid_token_name"),
        ("agent", list[Scope](), None, InvalidInput, "no_scopes"),
        ("agent", [Scope.READ], timedelta(0), InvalidInput, "invalid_lifetime"),
        ("agent", [Scope.READ], timedelta(days=-1), InvalidInput, "invalid_lifetime"),
        ("agent", [Scope.READ], timedelta(days=4_000), InvalidInput, "invalid_lifetime"),
        ("local", [Scope.READ], None, Conflict, "token_exists"),
        ("anonymous", [Scope.READ], None, Conflict, "token_exists"),
        ("taken", [Scope.READ], None, Conflict, "token_exists"),
    ],
)
async def test_a_token_that_makes_no_sense_is_not_made(
    tokens: TokenService,
    name: str,
    scopes: list[Scope],
    lifetime: timedelta | None,
    error: type[ToolServerError],
    code: str,
) -> None:
    await tokens.create("taken", [Scope.READ], LOCAL)
    with pytest.raises(error) as refused:
        await tokens.create(name, scopes, LOCAL, lifetime)
    assert refused.value.code == code
    assert len(await tokens.list_tokens(LOCAL)) == 1


async def test_only_admins_handle_tokens(tokens: TokenService) -> None:
    await tokens.create("agent", [Scope.CALL], LOCAL)
    for refused in (
        tokens.create("mine", [Scope.ADMIN], CALLER),
        tokens.list_tokens(CALLER),
        tokens.revoke("agent", CALLER),
    ):
        with pytest.raises(Denied):
            await refused
    with pytest.raises(NotFound):
        await tokens.revoke("nobody", LOCAL)
    assert [token.revoked_at for token in await tokens.list_tokens(LOCAL)] == [None]
