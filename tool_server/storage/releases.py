"""Plugins and their versions in SQL: functions over a connection, each run in one transaction by `plugins`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, exists, insert, select, update

from tool_server.errors import Conflict, Denied, InvalidInput, NotFound, Unavailable
from tool_server.model.release import PluginSummary, Release, VersionSummary
from tool_server.model.versions import best_match, newest_first
from tool_server.storage.tables import plugins, versions

MAX_QUERY = 1_000
"""Characters. SQLite refuses patterns of 50,000 bytes; folding and escaping make up to 24 bytes of a character."""

_ESCAPE = "\\"
_MAX_LIMIT = 2**31 - 1
_keywords = TypeAdapter(tuple[str, ...])


def encode_release(release: Release) -> str:
    """The JSON text of a release, without what a yank changes.

    Only what was set is written: a default that is absent is not the same as a null that was given (`ToolExample`).
    """
    unyanked = release.model_copy(update={"yanked": False, "yank_reason": None})
    return unyanked.model_dump_json(exclude_unset=True, by_alias=True)


def decode_release(text: str, *, yanked: bool, yank_reason: str | None) -> Release:
    """The release that `encode_release` wrote, with its yank as it is now.

    Raises:
        Unavailable: `database_error`, the stored text is no release.
    """
    try:
        release = Release.model_validate_json(text)
    except ValidationError as error:
        raise Unavailable(
            "database_error",
            "a stored version cannot be read: run 'tool-server db check' to see which, and restore a backup",
        ) from error
    if (release.yanked, release.yank_reason) == (yanked, yank_reason):
        return release
    return release.model_copy(update={"yanked": yanked, "yank_reason": yank_reason})


def add_version(connection: Connection, release: Release) -> bool:
    """See `PluginStore.add_version`."""
    name = release.plugin
    if _is_published(connection, name, release.version, release.publisher, lambda: _digests(release)):
        return False
    plugin = connection.execute(
        select(plugins.c.latest, plugins.c.versions).where(plugins.c.name == name)
    ).one_or_none()
    if plugin is None:
        _insert_plugin(connection, release)
        _insert_version(connection, release)
    else:
        _insert_version(connection, release)
        _advance_summary(connection, release, plugin.latest, plugin.versions + 1)
    return True


def find_published(
    connection: Connection, name: str, version: str, publisher: str, digest: str, manifest_digest: Callable[[], str]
) -> Release | None:
    """See `PluginStore.find_published`."""
    if not _is_published(connection, name, version, publisher, lambda: (digest, manifest_digest())):
        return None
    return get_version(connection, name, version)


def _digests(release: Release) -> tuple[str, str]:
    return release.program.digest, release.manifest_digest


def _is_published(
    connection: Connection, name: str, version: str, publisher: str, digests: Callable[[], tuple[str, str]]
) -> bool:
    """Whether the version is stored with these digests of wasm and manifest.

    Raises:
        Denied: `not_owner`.
        Conflict: `version_exists`.
    """
    owner = connection.scalar(select(plugins.c.owner).where(plugins.c.name == name))
    if owner not in (None, publisher):
        raise Denied(
            "not_owner",
            f"the plugin {name!r} belongs to {owner!r}: publish under another name, or ask its owner",
            {"plugin": name, "owner": owner},
        )
    stored = connection.execute(
        select(versions.c.digest, versions.c.manifest_digest).where(*_is(name, version))
    ).one_or_none()
    if stored is None:
        return False
    offered = digests()
    if tuple(stored) == offered:
        return True
    raise Conflict(
        "version_exists",
        f"{name} {version} is already published with other bytes, and versions never change: raise the version",
        {"plugin": name, "version": version, "stored": stored.digest, "offered": offered[0]},
    )


def _is(plugin: str, version: str) -> tuple[Any, Any]:
    return versions.c.plugin == plugin, versions.c.version == version


def _insert_plugin(connection: Connection, release: Release) -> None:
    connection.execute(
        insert(plugins).values(
            name=release.plugin,
            owner=release.publisher,
            created_at=release.published_at,
            versions=1,
            latest=None if release.yanked else release.version,
            **_shown(release),
        )
    )


def _insert_version(connection: Connection, release: Release) -> None:
    connection.execute(
        insert(versions).values(
            plugin=release.plugin,
            version=release.version,
            digest=release.program.digest,
            size=release.program.size,
            manifest_digest=release.manifest_digest,
            publisher=release.publisher,
            published_at=release.published_at,
            yanked=release.yanked,
            yank_reason=release.yank_reason,
            release=encode_release(release),
        )
    )


def _shown(release: Release) -> dict[str, Any]:
    """The columns of `plugins` that a listing takes from the version it shows."""
    manifest = release.manifest
    searched = "\n".join((manifest.name, manifest.description, *manifest.keywords))
    return {
        "description": manifest.description,
        "keywords": _keywords.dump_json(manifest.keywords).decode(),
        "published_at": release.published_at,
        "search": fold(searched),
    }


def fold(text: str) -> str:
    """`text` as it is searched: without case, and without NUL, which ends a text for some databases."""
    return text.casefold().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _advance_summary(connection: Connection, release: Release, latest: str | None, count: int) -> None:
    # The new version against the shown one is enough: comparing all of them takes 65 ms at a thousand versions.
    changes: dict[str, Any] = {"versions": count}
    candidates = [version for version in (latest, release.version) if version is not None]
    if not release.yanked and best_match(candidates, "latest") == release.version:
        changes |= {"latest": release.version, **_shown(release)}
    connection.execute(update(plugins).where(plugins.c.name == release.plugin).values(changes))


def set_yanked(connection: Connection, plugin: str, version: str, yanked: bool, reason: str | None) -> None:
    """See `PluginStore.set_yanked`."""
    changed = connection.execute(
        update(versions).where(*_is(plugin, version)).values(yanked=yanked, yank_reason=reason if yanked else None)
    )
    if changed.rowcount == 0:
        raise missing_version(connection, plugin, version)
    rows = connection.execute(select(versions.c.version, versions.c.yanked).where(versions.c.plugin == plugin)).all()
    latest = best_match([row.version for row in rows if not row.yanked], "latest")
    shown = latest or best_match([row.version for row in rows], "latest") or version
    release = get_version(connection, plugin, shown)
    connection.execute(update(plugins).where(plugins.c.name == plugin).values(latest=latest, **_shown(release)))


def missing_version(connection: Connection, plugin: str, version: str) -> NotFound:
    """The error for a version that is not stored."""
    if _plugin_exists(connection, plugin):
        return NotFound(
            "unknown_version",
            f"{plugin} has no version {version!r}: 'extism-registry versions {plugin}' lists them",
            {"plugin": plugin, "version": version},
        )
    return _unknown_plugin(plugin)


def _plugin_exists(connection: Connection, plugin: str) -> bool:
    return bool(connection.scalar(select(exists().where(plugins.c.name == plugin))))


def _unknown_plugin(plugin: str) -> NotFound:
    return NotFound(
        "unknown_plugin",
        f"there is no plugin {plugin!r} in this registry: 'extism-registry search' lists what there is",
        {"plugin": plugin},
    )


def get_version(connection: Connection, plugin: str, version: str) -> Release:
    """See `PluginStore.get_version`."""
    row = connection.execute(
        select(versions.c.release, versions.c.yanked, versions.c.yank_reason).where(*_is(plugin, version))
    ).one_or_none()
    if row is None:
        raise missing_version(connection, plugin, version)
    return decode_release(row.release, yanked=row.yanked, yank_reason=row.yank_reason)


_SUMMARY_FIELDS = tuple(VersionSummary.model_fields)
_SUMMARY_COLUMNS = tuple(versions.c[field] for field in _SUMMARY_FIELDS)


def list_versions(connection: Connection, plugin: str) -> tuple[VersionSummary, ...]:
    """See `PluginStore.list_versions`."""
    rows = connection.execute(select(*_SUMMARY_COLUMNS).where(versions.c.plugin == plugin)).all()
    if not rows:
        raise _unknown_plugin(plugin)
    by_version = {row.version: row for row in rows}
    ordered = (by_version[version] for version in newest_first(by_version))
    return tuple(VersionSummary.model_validate(dict(zip(_SUMMARY_FIELDS, row, strict=True))) for row in ordered)


def list_plugins(connection: Connection, query: str, limit: int, after: str) -> tuple[PluginSummary, ...]:
    """See `PluginStore.list_plugins`.

    Raises:
        InvalidInput: `query_too_long`.
    """
    if len(query) > MAX_QUERY:
        raise InvalidInput("query_too_long", f"the query has {len(query)} characters, at most {MAX_QUERY} are searched")
    found = select(plugins).where(plugins.c.name > after).order_by(plugins.c.name)
    if query:
        found = found.where(plugins.c.search.contains(fold(query), autoescape=True, escape=_ESCAPE))
    rows = connection.execute(found.limit(min(max(limit, 0), _MAX_LIMIT)))
    return tuple(
        PluginSummary(
            name=row.name,
            latest=row.latest,
            description=row.description,
            keywords=_keywords.validate_json(row.keywords),
            owner=row.owner,
            versions=row.versions,
            published_at=row.published_at,
        )
        for row in rows
    )


def referenced_digests(connection: Connection) -> frozenset[str]:
    """See `PluginStore.referenced_digests`."""
    return frozenset(connection.scalars(select(versions.c.digest).distinct()))
