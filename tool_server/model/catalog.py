"""What this server offers right now: an immutable snapshot of all installed tools, made from the one before it.

A snapshot holds of each tool what a listing shows, as bytes that are ready for the wire; what a call needs besides is
read when the tool is first called (`CatalogEntry`). An update copies references, never tools: some 30,000 of them in
about a millisecond, which is less than any structure of shared parts would save.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tool_server.model.item_catalog import ItemCatalog, ItemOffer
from tool_server.model.item_kind import OfferedItem
from tool_server.model.limits import Limits
from tool_server.model.manifest import ManifestLimits
from tool_server.model.permission import Permissions
from tool_server.model.release import Program
from tool_server.model.tool import QuarantinedTool, TaskSupport, ToolDefinition
from tool_server.model.view import View

NAME_COLLISION = "name-collision"
"""The rule that holds back a tool whose name another installation has."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class CatalogEntry:
    """One offered tool with all that a call to it needs. Compared and hashed by identity."""

    name: str
    """The MCP name, `{plugin}_{tool}`."""
    plugin: str
    version: str
    definition: ToolDefinition
    program: Program
    permissions: Permissions
    """Effective: requested and granted."""
    limits: Limits
    config: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Values of settings that the installation brings along."""


@dataclass(frozen=True, slots=True)
class InstalledTool:
    """What is stored of an offered tool, before this server's limits: what a `CatalogEntry` is made from."""

    definition: ToolDefinition
    program: Program
    requested: Permissions
    granted: Permissions
    limits: ManifestLimits
    size: int
    """Bytes that the definition takes as JSON."""
    config: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


class OfferedTool(NamedTuple):
    """One tool as it is listed. A tuple, since there may be tens of thousands of them."""

    name: str
    """The MCP name, `{plugin}_{tool}`."""
    plugin: str
    version: str
    tool: str
    """The tool's own name in its plugin."""
    position: int
    """Which of its version's tools it is, from 0."""
    revision: int
    """The store's revision at which the plugin's installation last changed."""
    needs_headers: bool
    """Whether the input schema maps parameters to HTTP headers (`x-mcp-header`)."""
    listing: bytes
    """MCP's `Tool` object as compact JSON in UTF-8."""
    task: TaskSupport = TaskSupport.FORBIDDEN
    """Whether a call may become an MCP task."""


class Offer(NamedTuple):
    """What one installation offers and holds back, name collisions aside."""

    plugin: str
    version: str
    installed_at: datetime
    tools: tuple[OfferedTool, ...]
    quarantined: tuple[QuarantinedTool, ...] = ()
    keywords: tuple[str, ...] = ()
    """Of the version's manifest."""
    items: tuple[OfferedItem, ...] = ()
    """Prompts, resources and resource templates."""


class OfferChanges(NamedTuple):
    """What became of offers since a revision."""

    revision: int
    """The store's revision that the changes lead to."""
    offers: Mapping[str, Offer | None]
    """By plugin: the offer as it is now, None where the plugin was uninstalled."""
    complete: bool = False
    """Whether these are all offers there are, so that plugins not named here are not installed."""


class ChangedLists(NamedTuple):
    """Which of the lists that clients see have changed."""

    tools: bool
    prompts: bool
    resources: bool
    """Those of resources, of resource templates, or both."""


class Catalog:
    """All offers of one moment. Of two installations whose tools have one name, the earlier keeps it.

    Never changed once made: `updated` returns another one.

    Args:
        revision: the store's revision that this snapshot shows; -1 before the first load.
        offers: one for each installed plugin.
    """

    __slots__ = ("_contested", "_names", "_offers", "_tools", "items", "revision")

    def __init__(self, revision: int = -1, offers: Iterable[Offer] = ()) -> None:
        self.revision = revision
        self._offers: dict[str, Offer] = {}
        self._tools: dict[str, OfferedTool] = {}
        self._names: list[str] = []
        self._contested: dict[str, tuple[OfferedTool, ...]] = {}
        """Names that more than one tool claims, with all claims; the first has it."""
        self.items = ItemCatalog()
        """Prompts, resources and resource templates."""
        self._apply({offer.plugin: offer for offer in offers})

    def updated(self, changes: OfferChanges) -> Catalog:
        """The snapshot after these changes."""
        if changes.complete:
            return Catalog(changes.revision, (offer for offer in changes.offers.values() if offer is not None))
        catalog = Catalog(changes.revision)
        catalog._offers = dict(self._offers)
        catalog._tools = dict(self._tools)
        catalog._names = self._names
        catalog._contested = dict(self._contested)
        catalog.items = self.items
        catalog._apply(changes.offers)
        return catalog

    def _apply(self, changes: Mapping[str, Offer | None]) -> None:
        """Only while the snapshot is being made."""
        self.items = self.items.updated(
            {
                plugin: None if offer is None or not offer.items else ItemOffer(offer.installed_at, offer.items)
                for plugin, offer in changes.items()
            }
        )
        claims: dict[str, list[OfferedTool]] = {}
        for plugin, offer in changes.items():
            before = self._offers.pop(plugin, None)
            for tool in () if before is None else before.tools:
                claims.setdefault(tool.name, [])
            if offer is not None:
                self._offers[plugin] = offer
                for tool in offer.tools:
                    claims.setdefault(tool.name, []).append(tool)
        lost: set[str] = set()
        gained: list[str] = []
        for name, new in claims.items():
            known = name in self._tools
            kept = [tool for tool in self._claims_to(name) if tool.plugin not in changes]
            if self._settle(name, kept + new) and not known:
                gained.append(name)
            elif known and name not in self._tools:
                lost.add(name)
        if lost or gained:
            # Sorting again costs little more than a pass: what was there is one long run in order.
            self._names = sorted([name for name in self._names if name not in lost] + gained)

    def _settle(self, name: str, claims: list[OfferedTool]) -> bool:
        """Give the name to the first of its claims; whether there is any."""
        self._contested.pop(name, None)
        if not claims:
            self._tools.pop(name, None)
            return False
        if len(claims) > 1:
            claims.sort(key=self._seniority)
            self._contested[name] = tuple(claims)
        self._tools[name] = claims[0]
        return True

    def _seniority(self, tool: OfferedTool) -> tuple[datetime, str, int]:
        return self._offers[tool.plugin].installed_at, tool.plugin, tool.position

    def _claims_to(self, name: str) -> Sequence[OfferedTool]:
        contested = self._contested.get(name)
        if contested is not None:
            return contested
        holder = self._tools.get(name)
        return () if holder is None else (holder,)

    def __len__(self) -> int:
        """How many tools are offered."""
        return len(self._names)

    def __iter__(self) -> Iterator[OfferedTool]:
        """The offered tools, by name."""
        return map(self._tools.__getitem__, self._names)

    @property
    def names(self) -> tuple[str, ...]:
        """The MCP names of all offered tools, sorted."""
        return tuple(self._names)

    @property
    def plugins(self) -> int:
        """How many plugins are installed."""
        return len(self._offers)

    def within(self, view: View) -> Catalog:
        """The part that a view shows, itself where that is all. Of what is held back a smaller part shows nothing."""
        if not view.restricted:
            return self
        names = {name for name in view.tools if name in self._tools}
        names.update(name for plugin in view.plugins for name in self.tools_of(plugin))
        part = Catalog(self.revision)
        part.items = self.items.within(view)
        part._names = sorted(names)
        part._tools = {name: self._tools[name] for name in part._names}
        held: dict[str, list[OfferedTool]] = {}
        for tool in part._tools.values():
            held.setdefault(tool.plugin, []).append(tool)
        part._offers = {
            plugin: self._offers[plugin]._replace(tools=tuple(tools), quarantined=()) for plugin, tools in held.items()
        }
        return part

    def changed_since(self, before: Catalog) -> ChangedLists:
        """Which lists may be others than in an earlier snapshot."""
        plugins = {
            plugin
            for plugin in self._offers.keys() | before._offers.keys()
            if self._offers.get(plugin) is not before._offers.get(plugin)
        }
        tools = any(_shown(self._offers.get(plugin)) != _shown(before._offers.get(plugin)) for plugin in plugins)
        prompts, resources = self.items.changed_since(before.items)
        return ChangedLists(tools, prompts, resources)

    def keywords_of(self, plugin: str) -> tuple[str, ...]:
        """The keywords of an installed plugin; none where it is not installed."""
        offer = self._offers.get(plugin)
        return () if offer is None else offer.keywords

    def find(self, name: str) -> OfferedTool | None:
        """An offered tool by its MCP name, or None."""
        return self._tools.get(name)

    def page(self, after: str = "", limit: int | None = None) -> tuple[OfferedTool, ...]:
        """At most `limit` offered tools by name, those after the name `after` (None: all of them)."""
        start = bisect_right(self._names, after) if after else 0
        end = len(self._names) if limit is None else start + limit
        return tuple(self._tools[name] for name in self._names[start:end])

    def listings(self, after: str = "", limit: int | None = None) -> Sequence[tuple[str, bytes]]:
        """At most `limit` names with their MCP `Tool` objects as compact JSON, those after the name `after`."""
        return [(tool.name, tool.listing) for tool in self.page(after, limit)]

    def has_after(self, name: str) -> bool:
        """Whether an offered tool comes after this name."""
        return bisect_right(self._names, name) < len(self._names)

    def needs_headers(self, name: str) -> bool:
        """Whether an offered tool of this name maps parameters to HTTP headers (`x-mcp-header`)."""
        tool = self._tools.get(name)
        return tool is not None and tool.needs_headers

    def tools_of(self, plugin: str) -> tuple[str, ...]:
        """The MCP names that a plugin offers, sorted; those it lost to others are not among them."""
        offer = self._offers.get(plugin)
        claimed = () if offer is None else offer.tools
        return tuple(sorted(tool.name for tool in claimed if self._tools[tool.name] is tool))

    @property
    def quarantined(self) -> tuple[tuple[str, QuarantinedTool], ...]:
        """Plugin and tool that are not offered, with the reason; the plugins in the order of their installation."""
        holding = {plugin for plugin, offer in self._offers.items() if offer.quarantined}
        holding.update(tool.plugin for claims in self._contested.values() for tool in claims[1:])
        ordered = sorted(holding, key=lambda plugin: (self._offers[plugin].installed_at, plugin))
        return tuple((plugin, tool) for plugin in ordered for tool in self.quarantined_of(plugin))

    def quarantined_of(self, plugin: str) -> tuple[QuarantinedTool, ...]:
        """The tools of a plugin that are not offered, with the reason."""
        offer = self._offers.get(plugin)
        if offer is None:
            return ()
        collided = ((tool, self._tools[tool.name]) for tool in offer.tools)
        return (*offer.quarantined, *(_taken(tool, by) for tool, by in collided if by is not tool))


def _shown(offer: Offer | None) -> tuple[datetime, list[tuple[str, bytes]]] | None:
    """What decides on a plugin's part of the list."""
    if offer is None or not offer.tools:
        return None
    return offer.installed_at, [(tool.name, tool.listing) for tool in offer.tools]


def _taken(tool: OfferedTool, by: OfferedTool) -> QuarantinedTool:
    reason = f"the name {tool.name!r} is already taken by {by.plugin} {by.version}"
    return QuarantinedTool(name=tool.tool, rule=NAME_COLLISION, reason=reason)
