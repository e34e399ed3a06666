"""What every `PluginStore` does with plugins and versions."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.examples import NOON, make_release
from tool_server.errors import Conflict, Denied, InvalidInput, NotFound, ToolServerError
from tool_server.interfaces import PluginStore
from tool_server.model.json_value import sha256_hex
from tool_server.model.release import PluginSummary, Release, VersionSummary
from tool_server.storage.database import Database, open_database
from tool_server.storage.plugins import SqlPluginStore


async def test_a_published_version_comes_back_equal_in_every_part(plugins: PluginStore) -> None:
    release = make_release("@acme/text-tools")
    assert await plugins.add_version(release) is True
    stored = await plugins.get_version("@acme/text-tools", "1.0.0")
    assert stored == release
    assert stored.published_at.utcoffset() is not None
    # An example without an output is another statement than one whose output is null.
    assert ["output" in example.model_fields_set for example in stored.tools[0].examples] == [False, True]


async def test_a_release_that_comes_in_yanked_is_stored_yanked(plugins: PluginStore) -> None:
    release = make_release().model_copy(update={"yanked": True, "yank_reason": "mirrored so"})
    await plugins.add_version(release)
    assert await plugins.get_version("text-tools", "1.0.0") == release
    assert [summary.latest for summary in await plugins.list_plugins()] == [None]


async def test_the_same_version_with_equal_bytes_is_accepted_and_changes_nothing(plugins: PluginStore) -> None:
    await plugins.add_version(make_release())
    again = make_release().model_copy(update={"published_at": NOON.replace(year=2027)})
    assert await plugins.add_version(again) is False
    assert await plugins.get_version("text-tools", "1.0.0") == make_release()
    assert [summary.versions for summary in await plugins.list_plugins()] == [1]


@pytest.mark.parametrize(
    "changed", [make_release(content="other"), make_release(description="other")], ids=["wasm", "manifest"]
)
async def test_the_same_version_with_other_bytes_is_a_conflict(plugins: PluginStore, changed: Release) -> None:
    await plugins.add_version(make_release())
    with pytest.raises(Conflict, match="raise the version") as caught:
        await plugins.add_version(changed)
    assert caught.value.code == "version_exists"
    assert await plugins.get_version("text-tools", "1.0.0") == make_release()


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
async def test_only_the_owner_publishes_under_a_name(plugins: PluginStore, version: str) -> None:
    await plugins.add_version(make_release())
    with pytest.raises(Denied, match="belongs to 'ada'") as caught:
        await plugins.add_version(make_release(version=version, publisher="eve"))
    assert caught.value.code == "not_owner"
    assert [found.version for found in await plugins.list_versions("text-tools")] == ["1.0.0"]


@pytest.mark.parametrize(
    ("plugin", "version", "code"),
    [
        ("nothing", "1.0.0", "unknown_plugin"),
        ("text-tools", "2.0.0", "unknown_version"),
        ("text-tools", "' OR 1=1 --", "unknown_version"),
        ("TEXT-TOOLS", "1.0.0", "unknown_plugin"),
        ("", "", "unknown_plugin"),
    ],
)
async def test_an_unknown_plugin_or_version_is_named_as_such(
    plugins: PluginStore, plugin: str, version: str, code: str
) -> None:
    await plugins.add_version(make_release())
    with pytest.raises(NotFound) as caught:
        await plugins.get_version(plugin, version)
    assert caught.value.code == code
    with pytest.raises(NotFound) as caught:
        await plugins.set_yanked(plugin, version, True)
    assert caught.value.code == code


async def test_listing_the_versions_of_an_unknown_plugin_is_refused(plugins: PluginStore) -> None:
    with pytest.raises(NotFound) as caught:
        await plugins.list_versions("nothing")
    assert caught.value.code == "unknown_plugin"


async def test_text_that_is_no_unicode_is_refused_with_a_typed_error(plugins: PluginStore) -> None:
    with pytest.raises(InvalidInput) as caught:
        await plugins.get_version("text\ud800", "1.0.0")
    assert caught.value.code == "invalid_text"


async def test_versions_are_listed_newest_first_by_semver(plugins: PluginStore) -> None:
    published = ["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1", "2.0.0-rc.11", "2.0.0-rc.2", "0.1.0"]
    for version in published:
        await plugins.add_version(make_release(version=version))
    listed = await plugins.list_versions("text-tools")
    assert [found.version for found in listed] == [
        *("2.0.0-rc.11", "2.0.0-rc.2", "2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0", "0.1.0")
    ]
    release = make_release(version="2.0.0-rc.11")
    assert listed[0] == VersionSummary(
        plugin="text-tools",
        version="2.0.0-rc.11",
        digest=release.program.digest,
        size=1_000,
        publisher="ada",
        published_at=NOON,
        yanked=False,
    )


async def test_a_summary_shows_the_newest_release(plugins: PluginStore) -> None:
    for version, description in [("1.9.0", "old"), ("1.10.0", "new"), ("1.2.0", "patch"), ("2.0.0-rc.1", "next")]:
        await plugins.add_version(make_release(version=version, description=description, keywords=(description,)))
    assert await plugins.list_plugins() == (
        PluginSummary(
            name="text-tools",
            latest="1.10.0",
            description="new",
            keywords=("new",),
            owner="ada",
            versions=4,
            published_at=NOON,
        ),
    )


async def test_yanking_hides_a_version_from_the_summary_and_keeps_it_readable(plugins: PluginStore) -> None:
    await plugins.add_version(make_release(version="1.0.0", description="first"))
    await plugins.add_version(make_release(version="1.1.0", description="second"))

    async def shown() -> tuple[str | None, str]:
        (summary,) = await plugins.list_plugins()
        return summary.latest, summary.description

    await plugins.set_yanked("text-tools", "1.1.0", True, "broken")
    assert await shown() == ("1.0.0", "first")
    assert await plugins.list_plugins("second") == ()
    yanked = await plugins.get_version("text-tools", "1.1.0")
    assert (yanked.yanked, yanked.yank_reason) == (True, "broken")
    listed = {found.version: (found.yanked, found.yank_reason) for found in await plugins.list_versions("text-tools")}
    assert listed == {"1.1.0": (True, "broken"), "1.0.0": (False, None)}
    await plugins.set_yanked("text-tools", "1.0.0", True)
    assert await shown() == (None, "second")
    await plugins.set_yanked("text-tools", "1.1.0", False, "a reason for showing is not kept")
    assert await shown() == ("1.1.0", "second")
    assert await plugins.get_version("text-tools", "1.1.0") == make_release(version="1.1.0", description="second")


async def test_a_version_published_after_all_were_yanked_is_the_latest(plugins: PluginStore) -> None:
    await plugins.add_version(make_release(version="2.0.0"))
    await plugins.set_yanked("text-tools", "2.0.0", True)
    await plugins.add_version(make_release(version="1.5.0", description="back-port"))
    (summary,) = await plugins.list_plugins()
    assert (summary.latest, summary.description, summary.versions) == ("1.5.0", "back-port", 2)


async def test_plugins_are_listed_by_name_in_pages(plugins: PluginStore) -> None:
    names = ["@acme/a", "@acme/b", "alpha", "beta", "gamma"]
    for name in reversed(names):
        await plugins.add_version(make_release(name))
    pages: list[list[str]] = []
    after = ""
    while page := await plugins.list_plugins(limit=2, after=after):
        pages.append([summary.name for summary in page])
        after = page[-1].name
    assert pages == [["@acme/a", "@acme/b"], ["alpha", "beta"], ["gamma"]]


@pytest.mark.parametrize(("limit", "found"), [(0, 0), (-1, 0), (1, 1), (10**30, 2)])
async def test_a_limit_bounds_the_listing(plugins: PluginStore, limit: int, found: int) -> None:
    for name in ("alpha", "beta"):
        await plugins.add_version(make_release(name))
    assert len(await plugins.list_plugins(limit=limit)) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["alpha", "beta", "gamma"]),
        ("ALPH", ["alpha"]),
        ("straSSe", ["beta"]),
        ("éCOLE", ["gamma"]),
        ("keyWORD", ["alpha"]),
        ("100%", ["alpha"]),
        ("%", ["alpha"]),
        ("_", ["beta"]),
        ("\\", ["gamma"]),
        ("a%a", []),
        ("alphabet", []),
        ("a\n100", []),
        ("' OR '1'='1", []),
        ("\0", []),
    ],
)
async def test_a_query_is_looked_for_literally_and_without_case(
    plugins: PluginStore, query: str, found: list[str]
) -> None:
    await plugins.add_version(make_release("alpha", description="does 100% of it", keywords=("Keyword",)))
    await plugins.add_version(make_release("beta", description="snake_case Straße", keywords=()))
    await plugins.add_version(make_release("gamma", description="back\\slash ÉCOLE", keywords=()))
    assert [summary.name for summary in await plugins.list_plugins(query)] == found


async def test_a_query_has_a_bounded_length(plugins: PluginStore) -> None:
    worst = "\N{GREEK SMALL LETTER IOTA WITH DIALYTIKA AND TONOS}%" * 500  # folds to three characters, escaped
    assert await plugins.list_plugins(worst) == ()
    with pytest.raises(InvalidInput, match="1001 characters") as caught:
        await plugins.list_plugins(f"{worst}x")
    assert caught.value.code == "query_too_long"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text(max_size=5), middle=st.text(min_size=1, max_size=8), after=st.text(max_size=5))
async def test_every_part_of_a_description_finds_its_plugin(
    plugins: PluginStore, before: str, middle: str, after: str
) -> None:
    description = before + middle + after
    name = f"p{sha256_hex(description.encode())[:40]}"
    await plugins.add_version(make_release(name, description=description, keywords=()))
    assert name in {summary.name for summary in await plugins.list_plugins(middle, limit=1_000)}


async def test_digests_of_all_versions_are_referenced_also_of_yanked_ones(plugins: PluginStore) -> None:
    releases = [make_release(version=version) for version in ("1.0.0", "1.1.0")]
    assert await plugins.referenced_digests() == frozenset()
    for release in releases:
        await plugins.add_version(release)
    await plugins.set_yanked("text-tools", "1.0.0", True)
    assert await plugins.referenced_digests() == {release.program.digest for release in releases}


async def test_a_store_in_good_order_has_no_problems(plugins: PluginStore) -> None:
    await plugins.add_version(make_release())
    assert await plugins.check() == ()


async def test_of_parallel_publishes_with_different_bytes_exactly_one_wins(
    database: Database, database_url: str
) -> None:
    outcomes: list[str] = []

    async def publish(store: PluginStore, version: str, content: str) -> None:
        try:
            assert await store.add_version(make_release(version=version, content=content))
            outcomes.append(version)
        except ToolServerError as error:
            outcomes.append(error.code)

    versions = [f"1.{minor}.0" for minor in range(5)]
    async with open_database(database_url) as second, anyio.create_task_group() as tasks:
        for version in versions:
            for number, opened in enumerate([database, second, database, second]):
                tasks.start_soon(publish, SqlPluginStore(opened), version, str(number))
    assert Counter(outcomes) == {"version_exists": 15} | dict.fromkeys(versions, 1)


async def test_a_cancelled_publish_is_stored_completely_or_not_at_all(plugins: PluginStore) -> None:
    for number in range(5):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(plugins.add_version, make_release(version=f"1.{number}.0"))
                for _ in range(number):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
    summaries = await plugins.list_plugins()
    stored = await plugins.list_versions("text-tools") if summaries else ()
    assert sum(summary.versions for summary in summaries) == len(stored)
    for found in stored:
        assert await plugins.get_version("text-tools", found.version) == make_release(version=found.version)
    assert await plugins.add_version(make_release(version="2.0.0"))
