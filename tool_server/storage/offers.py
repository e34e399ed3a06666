"""What installations offer, in SQL: rows derived when a plugin is installed, so that nothing is derived at a start.

Functions over a connection, each run in one transaction by `plugins`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import Connection, Select, delete, insert, select

from tool_server.errors import Unavailable
from tool_server.inspection.offering import definition_of, listing, needs_headers, offering_of, remainder
from tool_server.model.catalog import InstalledTool, Offer, OfferChanges, OfferedTool
from tool_server.model.manifest import ManifestLimits
from tool_server.model.names import tool_name
from tool_server.model.permission import Permissions
from tool_server.model.release import Program, Release
from tool_server.model.tool import QuarantinedTool
from tool_server.storage import releases
from tool_server.storage.tables import (
    INSTALLATION_REVISION,
    AnyRow,
    counters,
    installation_changes,
    installations,
    offered_tools,
    offers,
    versions,
)

Values = dict[str, Any]

_quarantined = TypeAdapter(tuple[QuarantinedTool, ...])

_BATCH = 1_000
"""Rows fetched at a time."""

_TOOL_COLUMNS = ("plugin", "position", "name", "tool", "needs_headers", "listing")


def derive(release: Release) -> tuple[Values, list[Values]]:
    """The row of `offers` for a version and its rows of `offered_tools`."""
    offering = offering_of(release)
    plugin = release.plugin
    offer = {
        "plugin": plugin,
        "program": _encode(release.program),
        "permissions": _encode(release.manifest.permissions),
        "limits": _encode(release.manifest.limits),
        "quarantined": _quarantined.dump_json(offering.quarantined).decode(),
    }
    tools = [
        {
            "plugin": plugin,
            "position": position,
            "name": tool_name(plugin, tool.name),
            "tool": tool.name,
            "needs_headers": needs_headers(tool),
            "listing": listing(plugin, release.version, tool),
            "remainder": remainder(tool),
        }
        for position, tool in enumerate(offering.tools)
    ]
    return offer, tools


def _encode(value: BaseModel) -> str:
    # As `encode_release` does it: an absent default is not the same as a null that was given.
    return value.model_dump_json(exclude_unset=True, by_alias=True)


def replace(connection: Connection, release: Release) -> None:
    """Offer this version of an installed plugin and no other."""
    remove(connection, release.plugin)
    offer, tools = derive(release)
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
        release = _installed_release(connection, plugin)
        if release is not None:
            replace(connection, release)


def _installed_release(connection: Connection, plugin: str) -> Release | None:
    row = connection.execute(
        select(versions.c.release)
        .join(
            installations,
            (versions.c.plugin == installations.c.plugin) & (versions.c.version == installations.c.version),
        )
        .where(installations.c.plugin == plugin)
    ).one_or_none()
    if row is None:
        return None
    try:
        return releases.decode_release(row.release, yanked=False, yank_reason=None)
    except Unavailable:
        return None


def contradictions(connection: Connection) -> Iterator[str]:
    """Where the derived rows are not what the installed versions give, as sentences."""
    for plugin in connection.scalars(select(installations.c.plugin).order_by(installations.c.plugin)).all():
        release = _installed_release(connection, plugin)
        if release is None:
            continue  # said elsewhere
        offer, tools = derive(release)
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
    current = connection.execute(select(counters.c.value).where(counters.c.name == INSTALLATION_REVISION)).scalar_one()
    if current == revision:
        return OfferChanges(current, {})
    # A revision from the future is that of a database that is there no more, such as one a backup replaced.
    complete = not 0 <= revision < current
    seen = -1 if complete else revision
    heads = {row.plugin: row for row in connection.execute(_heads(seen))}
    tools: dict[str, list[OfferedTool]] = {}
    for plugin, position, name, tool, headers, wire in connection.execute(_tools(seen)).yield_per(_BATCH):
        head = heads.get(plugin)
        if head is not None:
            # The head's strings, not the row's own copies of them: there may be tens of thousands of rows.
            offered = OfferedTool(name, head.plugin, head.version, tool, position, head.revision, headers, wire)
            tools.setdefault(head.plugin, []).append(offered)
    return OfferChanges(
        current, {plugin: _offer(head, tools.get(plugin, ())) for plugin, head in heads.items()}, complete
    )


def _heads(seen: int) -> Select[*tuple[Any, ...]]:
    """Of each plugin that changed after a revision, what holds for all of its tools."""
    return (
        select(
            installation_changes.c.plugin,
            installation_changes.c.revision,
            installations.c.version,
            installations.c.installed_at,
            offers.c.quarantined,
        )
        .outerjoin(installations, installations.c.plugin == installation_changes.c.plugin)
        .outerjoin(offers, offers.c.plugin == installation_changes.c.plugin)
        .where(installation_changes.c.revision > seen)
    )


def _tools(seen: int) -> Select[*tuple[Any, ...]]:
    columns = select(*(offered_tools.c[name] for name in _TOOL_COLUMNS))
    ordered = columns.order_by(offered_tools.c.plugin, offered_tools.c.position)
    if seen < 0:
        return ordered
    return ordered.join(installation_changes, installation_changes.c.plugin == offered_tools.c.plugin).where(
        installation_changes.c.revision > seen
    )


def _offer(head: AnyRow, tools: Sequence[OfferedTool]) -> Offer | None:
    if head.version is None:
        return None
    quarantined = () if head.quarantined in (None, "[]") else _quarantined.validate_json(head.quarantined)
    return Offer(head.plugin, head.version, head.installed_at, tuple(tools), quarantined)


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
        )
    except ValidationError as error:
        raise Unavailable(
            "database_error",
            f"what is stored of the tool {tool.name!r} cannot be read: run 'tool-server db check', then uninstall "
            f"{tool.plugin} and install it again",
        ) from error
