"""What an installed version offers beside tools, derived once when it is installed, and how its plugin is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel
from pydantic_core import to_json

from tool_server.errors import InvalidInput
from tool_server.inspection.content_blocks import guest_meta
from tool_server.inspection.manifest_limits import asked_limits, resolve_limits
from tool_server.inspection.offering import PLUGIN_KEY, VERSION_KEY
from tool_server.inspection.tool_filter import ToolFilter
from tool_server.model.catalog import CatalogEntry
from tool_server.model.item import InstalledItem, ItemDefinition, ItemEntry, QuestionKind
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.limits import Limits
from tool_server.model.names import tool_name
from tool_server.model.prompt import PromptDefinition
from tool_server.model.release import Release
from tool_server.model.resource import ResourceDefinition, ResourceTemplateDefinition
from tool_server.model.settings import InstallationSettings
from tool_server.model.tool import Binding, ToolDefinition

MAX_RECORDED = 200
"""Characters of the name under which a question is recorded."""

_MODELS: Mapping[ItemKind, type[ItemDefinition]] = {
    ItemKind.PROMPT: PromptDefinition,
    ItemKind.RESOURCE: ResourceDefinition,
    ItemKind.TEMPLATE: ResourceTemplateDefinition,
}


def items_of(release: Release, settings: InstallationSettings) -> Iterator[tuple[ItemKind, str, ItemDefinition]]:
    """Kind, client's name and definition of what a version offers, but for what the operator leaves out.

    Where its limits, or these patterns, cannot be read, it offers nothing.
    """
    try:
        asked_limits(release.manifest.limits)
        prompts = ToolFilter(settings.skip_prompts)
        resources = ToolFilter(settings.skip_resources)
        templates = ToolFilter(settings.skip_resource_templates)
    except InvalidInput:
        return
    for prompt in release.prompts:
        if not prompts.skips(prompt.name):
            yield ItemKind.PROMPT, tool_name(release.plugin, prompt.name, settings.tool_prefix), prompt
    for resource in release.resources:
        if not resources.skips(resource.uri):
            yield ItemKind.RESOURCE, resource.uri, resource
    for template in release.resource_templates:
        if not templates.skips(template.uriTemplate):
            yield ItemKind.TEMPLATE, template.uriTemplate, template


def item_listing(plugin: str, version: str, name: str, item: ItemDefinition) -> bytes:
    """MCP's `Prompt`, `Resource` or `ResourceTemplate` as compact JSON in UTF-8; absent values are left out."""
    listed: dict[str, JsonValue]
    match item:
        case PromptDefinition():
            arguments: list[JsonValue] = [_without_nothing(argument) for argument in item.arguments]
            listed = {"name": name, "title": item.title, "description": item.description, "arguments": arguments}
        case ResourceDefinition():
            listed = {"uri": item.uri, **_resource_fields(item), "size": _size(item)}
        case ResourceTemplateDefinition():
            listed = {"uriTemplate": item.uriTemplate, **_resource_fields(item)}
    listed["icons"] = [_without_nothing(icon) for icon in item.icons]
    shown: JsonObject = {key: value for key, value in listed.items() if value not in (None, "", [], {})}
    return to_json({**shown, "_meta": {**(guest_meta(item.meta) or {}), PLUGIN_KEY: plugin, VERSION_KEY: version}})


def _resource_fields(item: ResourceDefinition | ResourceTemplateDefinition) -> dict[str, JsonValue]:
    return {
        "name": item.name,
        "title": item.title,
        "description": item.description,
        "mimeType": item.mimeType,
        "annotations": None if item.annotations is None else _without_nothing(item.annotations),
    }


def _size(resource: ResourceDefinition) -> int | None:
    if resource.size is not None or resource.text is None:
        return resource.size
    return len(resource.text.encode())


def _without_nothing(model: BaseModel) -> JsonObject:
    return {
        key: value
        for key, value in model.model_dump(mode="json", by_alias=True, exclude_none=True).items()
        if value is not False and value != ""
    }


def item_text(item: ItemDefinition) -> str:
    """A definition as JSON, which `item_definition` takes back."""
    return item.model_dump_json(exclude_unset=True, by_alias=True)


def item_definition(kind: ItemKind, text: str) -> ItemDefinition:
    """The definition that `item_text` wrote.

    Raises:
        ValidationError: it is none.
    """
    return _MODELS[kind].model_validate_json(text)


def item_entry(item: OfferedItem, stored: InstalledItem, defaults: Limits, ceiling: Limits) -> ItemEntry:
    """All that asking an item's plugin needs, within this server's limits.

    Raises:
        InvalidInput: the manifest's limits cannot be read.
    """
    limits = resolve_limits(stored.limits, defaults, ceiling)
    permissions = stored.requested.intersect(stored.granted)
    bindings: dict[QuestionKind, Binding | None] = {}
    match stored.definition:
        case PromptDefinition() as prompt:
            bindings = {QuestionKind.PROMPT: prompt.binding, QuestionKind.COMPLETION: prompt.completion}
        case ResourceDefinition() as resource:
            bindings = {QuestionKind.RESOURCE: resource.binding}
        case ResourceTemplateDefinition() as template:
            bindings = {QuestionKind.RESOURCE: template.binding, QuestionKind.COMPLETION: template.completion}
    questions = {
        kind: CatalogEntry(
            name=recorded_name(kind, item.name),
            plugin=item.plugin,
            version=item.version,
            definition=_as_tool(kind, binding, stored.definition),
            program=stored.program,
            permissions=permissions,
            limits=limits,
            config=stored.config,
        )
        for kind, binding in bindings.items()
        if binding is not None
    }
    return ItemEntry(item, stored.definition, questions)


def recorded_name(kind: QuestionKind, name: str) -> str:
    """How a question is called in the call log, such as `resources/read notes://today`, cut to a bound."""
    return f"{kind} {name}"[:MAX_RECORDED]


def _as_tool(kind: QuestionKind, binding: Binding, item: ItemDefinition) -> ToolDefinition:
    """The export that is asked, as a tool that takes MCP's parameters and whose output form is MCP's result."""
    return ToolDefinition(name=kind, input_schema={"type": "object"}, source=item.source, binding=binding)
