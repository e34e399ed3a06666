"""What installations offer, in SQL: rows derived when a plugin is installed, so that nothing is derived at a start.

Functions over a connection, each run in one transaction by `plugins`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from sqlalchemy import Column, ColumnElement, Connection, Table, delete, insert, select, text

from tool_server.errors import Unavailable
from tool_server.inspection.item_offering import item_definition, item_listing, item_text, items_of
from tool_server.inspection.offering import definition_of, listing, needs_headers, offering_of, remainder
from tool_server.model.catalog import InstalledTool, OfferChanges, OfferedTool
from tool_server.model.item import InstalledItem
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.manifest import ManifestLimits
from tool_server.model.names import tool_name
from tool_server.model.permission import Permissions
from tool_server.model.release import Program, Release
from tool_server.model.settings import InstallationSettings
from tool_server.model.tool import TaskSupport
from tool_server.storage import releases
from tool_server.storage.offer_rows import (
    KEYWORDS,
    QUARANTINED,
    SELECT_ALL_ITEMS,
    SELECT_ALL_TOOLS,
    SELECT_CHANGED_ITEMS,
    SELECT_CHANGED_TOOLS,
    SELECT_HEADS,
    SELECT_REVISION,
    Head,
    ItemRow,
    ToolRow,
    changes,
)
from tool_server.storage.tables import (
    AnyRow,
    UtcDateTime,
    installation_changes,
    installations,
    offered_items,
    offered_tools,
    offers,
    versions,
)

Values = dict[str, Any]

_BATCH = 1_000
"""Rows fetched at a time."""


def derive(release: Release, settings: InstallationSettings) -> tuple[Values, list[Values], list[Values]]:
    """The row of `offers` for a version and its rows of `offered_tools` and of `offered_items`."""
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
            "task": None if tool.task is TaskSupport.FORBIDDEN else tool.task.value,
            "remainder": remainder(tool),
        }
        for position, tool in enumerate(offering.tools)
    ]
    return offer, tools, _derive_items(release, settings)


def _derive_items(release: Release, settings: InstallationSettings) -> list[Values]:
    positions: Counter[ItemKind] = Counter()
    rows: list[Values] = []
    for kind, name, item in items_of(release, settings):
        row = {"plugin": release.plugin, "kind": kind.value, "position": positions[kind], "name": name}
        rows.append(
            {
                **row,
                "listing": item_listing(release.plugin, release.version, name, item),
                "definition": item_text(item),
            }
        )
        positions[kind] += 1
    # As `contradictions` reads them.
    return sorted(rows, key=lambda row: (row["kind"], row["position"]))


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
    offer, tools, items = derive(release, settings)
    connection.execute(insert(offers), [offer])
    if tools:
        connection.execute(insert(offered_tools), tools)
    if items:
        connection.execute(insert(offered_items), items)


def remove(connection: Connection, plugin: str) -> None:
    """Offer nothing of a plugin."""
    for table in (offered_tools, offered_items):
        connection.execute(delete(table).where(table.c.plugin == plugin))
    connection.execute(delete(offers).where(offers.c.plugin == plugin))


def rebuild(connection: Connection) -> None:
    """Derive everything again. What cannot be read offers nothing; `db check` names it."""
    connection.execute(delete(offered_tools))
    connection.execute(delete(offered_items))
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
        offer, tools, items = derive(*installed)
        stored = connection.execute(select(offers).where(offers.c.plugin == plugin)).mappings()
        rows = connection.execute(
            select(offered_tools).where(offered_tools.c.plugin == plugin).order_by(offered_tools.c.position)
        ).mappings()
        others = connection.execute(
            select(offered_items)
            .where(offered_items.c.plugin == plugin)
            .order_by(offered_items.c.kind, offered_items.c.position)
        ).mappings()
        found = ([dict(row) for row in stored], [dict(row) for row in rows], [dict(row) for row in others])
        if found != ([offer], tools, items):
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
    statements = (SELECT_ALL_TOOLS, SELECT_ALL_ITEMS) if complete else (SELECT_CHANGED_TOOLS, SELECT_CHANGED_ITEMS)
    bounds = {} if complete else seen
    tools, items = (connection.execute(text(statement), bounds).yield_per(_BATCH) for statement in statements)
    return changes(current, heads, cast(Iterable[ToolRow], tools), cast(Iterable[ItemRow], items), complete=complete)


def read_tools(connection: Connection, wanted: Sequence[OfferedTool]) -> tuple[InstalledTool | None, ...]:
    """See `PluginStore.read_tools`."""
    return tuple(_read_tool(connection, tool) for tool in wanted)


def read_items(connection: Connection, wanted: Sequence[OfferedItem]) -> tuple[InstalledItem | None, ...]:
    """See `PluginStore.read_items`."""
    return tuple(_read_item(connection, item) for item in wanted)


def _read_item(connection: Connection, item: OfferedItem) -> InstalledItem | None:
    row = _read_offered(
        connection,
        item,
        offered_items,
        (offered_items.c.definition,),
        (offered_items.c.kind == item.kind.value, offered_items.c.position == item.position),
    )
    if row is None:
        return None
    with _readable(item):
        return InstalledItem(
            item_definition(item.kind, row.definition), size=len(row.definition), **_installed_with(row)
        )


def _read_tool(connection: Connection, tool: OfferedTool) -> InstalledTool | None:
    row = _read_offered(
        connection,
        tool,
        offered_tools,
        (offered_tools.c.remainder,),
        (offered_tools.c.position == tool.position,),
    )
    if row is None:
        return None
    with _readable(tool):
        definition = definition_of(tool.listing, row.remainder)
        return InstalledTool(definition, size=len(tool.listing) + len(row.remainder), **_installed_with(row))


def _read_offered(
    connection: Connection,
    wanted: OfferedTool | OfferedItem,
    table: Table,
    columns: Sequence[Column[Any]],
    conditions: Sequence[ColumnElement[bool]],
) -> AnyRow | None:
    """A row with these columns and what holds for all that its plugin offers; None where that has changed since."""
    return connection.execute(
        select(
            *columns,
            offers.c.program,
            offers.c.permissions,
            offers.c.limits,
            installations.c.granted,
            installations.c.settings,
        )
        .select_from(table)
        .join(offers, offers.c.plugin == table.c.plugin)
        .join(installations, installations.c.plugin == table.c.plugin)
        .join(installation_changes, installation_changes.c.plugin == table.c.plugin)
        .where(table.c.plugin == wanted.plugin, *conditions, installation_changes.c.revision == wanted.revision)
    ).one_or_none()


def _installed_with(row: AnyRow) -> dict[str, Any]:
    return {
        "program": Program.model_validate_json(row.program),
        "requested": Permissions.model_validate_json(row.permissions),
        "granted": Permissions.model_validate_json(row.granted),
        "limits": ManifestLimits.model_validate_json(row.limits),
        "config": decode_settings(row.settings).config,
    }


@contextmanager
def _readable(wanted: OfferedTool | OfferedItem) -> Generator[None]:
    try:
        yield
    except ValidationError as error:
        what = f"the {wanted.kind}" if isinstance(wanted, OfferedItem) else "the tool"
        raise Unavailable(
            "database_error",
            f"what is stored of {what} {wanted.name!r} cannot be read: run 'tool-server db check', then uninstall "
            f"{wanted.plugin} and install it again",
        ) from error
