"""What installations offer, in SQL: rows derived when a plugin is installed, so that nothing is derived at a start.

Functions over a connection, each run in one transaction by `plugins`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, delete, insert, select, text

from tool_server.errors import Unavailable
from tool_server.inspection.offering import definition_of, listing, needs_headers, offering_of, remainder
from tool_server.model.catalog import InstalledTool, OfferChanges, OfferedTool
from tool_server.model.manifest import ManifestLimits
from tool_server.model.names import tool_name
from tool_server.model.permission import Permissions
from tool_server.model.release import Program, Release
from tool_server.model.settings import InstallationSettings
from tool_server.storage import releases
from tool_server.storage.offer_rows import (
    KEYWORDS,
    QUARANTINED,
    SELECT_ALL_TOOLS,
    SELECT_CHANGED_TOOLS,
    SELECT_HEADS,
    SELECT_REVISION,
    Head,
    ToolRow,
    changes,
)
from tool_server.storage.tables import (
    UtcDateTime,
    installation_changes,
    installations,
    offered_tools,
    offers,
    versions,
)

Values = dict[str, Any]

_BATCH = 1_000
"""Rows fetched at a time."""


def derive(release: Release, settings: InstallationSettings) -> tuple[Values, list[Values]]:
    """The row of `offers` for a version and its rows of `offered_tools`."""
    offering = offering_of(release, settings.skip_tools, settings.tool_prefix)
    plugin, keywords, prefix = release.plugin, release.manifest.keywords, settings.tool_prefix
    offer = {
        "plugin": plugin,
        "program": _encode(release.program),
        "permissions": _encode(release.manifest.permissions),
        "limits": _encode(release.manifest.limits),
        "quarantined": QUARANTINED.dump_json(offering.quarantined).decode(),
        "keywords": KEYWORDS.dump_json(keywords).decode() if keywords else None,
    }
    tools = [
        {
            "plugin": plugin,
            "position": position,
            "name": tool_name(plugin, tool.name, prefix),
            "tool": tool.name,
            "needs_headers": needs_headers(tool),
            "listing": listing(plugin, release.version, tool, prefix),
            "remainder": remainder(tool),
        }
        for position, tool in enumerate(offering.tools)
    ]
    return offer, tools


def _encode(value: BaseModel) -> str:
    # As `encode_release` does it: an absent default is not the same as a null that was given.
    return value.model_dump_json(exclude_unset=True, by_alias=True)


def encode_settings(settings: InstallationSettings) -> str | None:
    """As stored; None for none."""
    return None if settings == InstallationSettings() else settings.model_dump_json()


def decode_settings(stored: str | None) -> InstallationSettings:
    """The inverse of `encode_settings`.

    Raises:
        ValidationError: they cannot be read.
    """
    return InstallationSettings() if stored is None else InstallationSettings.model_validate_json(stored)


def replace(connection: Connection, release: Release, settings: InstallationSettings) -> None:
    """Offer this version of an installed plugin and no other."""
    remove(connection, release.plugin)
    offer, tools = derive(release, settings)
    connection.execute(insert(offers), [offer])
    if tools:
        connection.execute(insert(offered_tools), tools)


def remove(connection: Connection, plugin: str) -> None:
    """Offer nothing of a plugin."""
    connection.execute(delete(offered_tools).where(offered_tools.c.plugin == plugin))
    connection.execute(delete(offers).where(offers.c.plugin == plugin))


def rebuild(connection: Connection) -> None:
    """Derive everything again. What cannot be read offers nothing; `db check` names it."""
    connection.execute(delete(offered_tools))
    connection.execute(delete(offers))
    for plugin in connection.scalars(select(installations.c.plugin)).all():
        installed = _installed(connection, plugin)
        if installed is not None:
            replace(connection, *installed)


def _installed(connection: Connection, plugin: str) -> tuple[Release, InstallationSettings] | None:
    row = connection.execute(
        select(versions.c.release, installations.c.settings)
        .join(
            installations,
            (versions.c.plugin == installations.c.plugin) & (versions.c.version == installations.c.version),
        )
        .where(installations.c.plugin == plugin)
    ).one_or_none()
    if row is None:
        return None
    try:
        return releases.decode_release(row.release, yanked=False, yank_reason=None), decode_settings(row.settings)
    except (Unavailable, ValidationError):
        return None


def contradictions(connection: Connection) -> Iterator[str]:
    """Where the derived rows are not what the installed versions give, as sentences."""
    for plugin in connection.scalars(select(installations.c.plugin).order_by(installations.c.plugin)).all():
        installed = _installed(connection, plugin)
        if installed is None:
            continue  # said elsewhere
        offer, tools = derive(*installed)
        stored = connection.execute(select(offers).where(offers.c.plugin == plugin)).mappings()
        rows = connection.execute(
            select(offered_tools).where(offered_tools.c.plugin == plugin).order_by(offered_tools.c.position)
        ).mappings()
        if [dict(row) for row in stored] != [offer] or [dict(row) for row in rows] != tools:
            yield f"what {plugin} offers is not what its version says: uninstall it and install it again"
    missing = select(installations.c.plugin).where(installations.c.plugin.not_in(select(installation_changes.c.plugin)))
    for plugin in connection.scalars(missing.order_by(installations.c.plugin)):
        yield f"no change is noted for {plugin}, so running servers do not see it: uninstall it and install it again"


def since(connection: Connection, revision: int) -> OfferChanges:
    """See `PluginStore.offers_since`."""
    current: int = connection.execute(text(SELECT_REVISION)).scalar_one()
    if current == revision:
        return OfferChanges(current, {})
    # A revision from the future is that of a database that is there no more, such as one a backup replaced.
    complete = not 0 <= revision < current
    seen = {"seen": -1 if complete else revision}
    heads = [Head(*row) for row in connection.execute(text(SELECT_HEADS).columns(installed_at=UtcDateTime), seen)]
    statement, bounds = (SELECT_ALL_TOOLS, {}) if complete else (SELECT_CHANGED_TOOLS, seen)
    rows = connection.execute(text(statement), bounds).yield_per(_BATCH)
    return changes(current, heads, cast(Iterable[ToolRow], rows), complete=complete)


def read_tools(connection: Connection, wanted: Sequence[OfferedTool]) -> tuple[InstalledTool | None, ...]:
    """See `PluginStore.read_tools`."""
    return tuple(_read_tool(connection, tool) for tool in wanted)


def _read_tool(connection: Connection, tool: OfferedTool) -> InstalledTool | None:
    row = connection.execute(
        select(
            offered_tools.c.remainder,
            offers.c.program,
            offers.c.permissions,
            offers.c.limits,
            installations.c.granted,
            installations.c.settings,
        )
        .join(offers, offers.c.plugin == offered_tools.c.plugin)
        .join(installations, installations.c.plugin == offered_tools.c.plugin)
        .join(installation_changes, installation_changes.c.plugin == offered_tools.c.plugin)
        .where(
            offered_tools.c.plugin == tool.plugin,
            offered_tools.c.position == tool.position,
            installation_changes.c.revision == tool.revision,
        )
    ).one_or_none()
    if row is None:
        return None
    try:
        return InstalledTool(
            definition=definition_of(tool.listing, row.remainder),
            program=Program.model_validate_json(row.program),
            requested=Permissions.model_validate_json(row.permissions),
            granted=Permissions.model_validate_json(row.granted),
            limits=ManifestLimits.model_validate_json(row.limits),
            size=len(tool.listing) + len(row.remainder),
            config=decode_settings(row.settings).config,
        )
    except ValidationError as error:
        raise Unavailable(
            "database_error",
            f"what is stored of the tool {tool.name!r} cannot be read: run 'tool-server db check', then uninstall "
            f"{tool.plugin} and install it again",
        ) from error
