"""Prompts, resources and completions of the installed plugins: found, checked, and asked of their plugin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from tool_server.errors import InvalidInput, NotFound
from tool_server.inspection.item_offering import recorded_name
from tool_server.model.call import Pending
from tool_server.model.caller import Caller, Scope
from tool_server.model.catalog import CatalogEntry
from tool_server.model.client import NO_CLIENT, ClientChannel
from tool_server.model.item import ItemEntry, QuestionKind
from tool_server.model.item_catalog import ItemCatalog
from tool_server.model.item_kind import ItemKind, OfferedItem
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.prompt import PromptDefinition
from tool_server.model.resource import ResourceDefinition, ResourceTemplateDefinition
from tool_server.model.uri_template import read_template

NO_COMPLETION: JsonObject = {"completion": {"values": [], "hasMore": False}}
"""Of what nothing completes."""

Find = Callable[[Callable[[ItemCatalog], OfferedItem | None]], Awaitable[ItemEntry | None]]


class AskPlugin(Protocol):
    """What puts a question to a plugin, and records it."""

    async def __call__(
        self, entry: CatalogEntry, params: JsonObject, caller: Caller, client: ClientChannel = NO_CLIENT, /
    ) -> JsonObject | Pending:
        """See `InvokeService.ask_plugin`."""
        ...


class PluginContentService:
    """Answers what clients ask of prompts and resources.

    Args:
        find: the catalogue's look-up.
        ask: puts a question to a plugin.
    """

    def __init__(self, find: Find, ask: AskPlugin) -> None:
        self._find = find
        self._ask = ask

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str], caller: Caller, client: ClientChannel = NO_CLIENT
    ) -> JsonObject | Pending:
        """MCP's `GetPromptResult`, or what the plugin asks its client first.

        Args:
            name: the prompt's MCP name.
            arguments: by name.
            caller: who asks.
            client: whom the plugin may ask and tell things.

        Raises:
            NotFound: `unknown_prompt`.
            InvalidInput: `invalid_arguments`, some are missing or unknown.
            ToolServerError: as a tool's call fails.
        """
        entry = await self._seen(lambda items: items.find(ItemKind.PROMPT, name), caller)
        if entry is None or not isinstance(entry.definition, PromptDefinition):
            raise NotFound(
                "unknown_prompt",
                f"there is no prompt {name[:100]!r} here: list the prompts again",
                {"prompt": name[:200]},
            )
        prompt = entry.definition
        caller.require(Scope.CALL)
        _check_arguments(prompt, arguments)
        params: JsonObject = {"name": prompt.name, "arguments": dict(arguments)}
        return await self._ask(entry.questions[QuestionKind.PROMPT], params, caller, client)

    async def read_resource(self, uri: str, caller: Caller, client: ClientChannel = NO_CLIENT) -> JsonObject | Pending:
        """MCP's `ReadResourceResult`, or what the plugin asks its client first.

        Of a resource that stands in its manifest nothing is run or recorded.

        Raises:
            NotFound: `unknown_resource`.
            ToolServerError: as a tool's call fails.
        """
        entry = await self._seen(lambda items: items.reader_of(uri), caller)
        if entry is None:
            raise NotFound("unknown_resource", f"there is no resource {uri[:200]!r} here", {"uri": uri[:2_000]})
        caller.require(Scope.CALL)
        definition = entry.definition
        question = entry.questions.get(QuestionKind.RESOURCE)
        if question is None:
            return _standing(definition) if isinstance(definition, ResourceDefinition) else {"contents": []}
        # Recorded by the URI, where it is a template that was found.
        named = replace(question, name=recorded_name(QuestionKind.RESOURCE, uri))
        result = await self._ask(question if named.name == question.name else named, {"uri": uri}, caller, client)
        if isinstance(result, Pending):
            return result
        return {**result, "contents": [_with_uri(contents, uri) for contents in _list(result.get("contents"))]}

    async def complete_prompt(
        self, name: str, argument: str, value: str, context: Mapping[str, str], caller: Caller
    ) -> JsonObject:
        """MCP's `CompleteResult` for an argument of a prompt, empty where its plugin completes nothing.

        Args:
            name: the prompt's MCP name.
            argument: which one.
            value: what is there of it.
            context: the arguments that are there already.
            caller: who asks.

        Raises:
            NotFound: `unknown_prompt`.
            InvalidInput: `invalid_arguments`, the prompt has no such argument.
            ToolServerError: as a tool's call fails.
        """
        entry = await self._seen(lambda items: items.find(ItemKind.PROMPT, name), caller)
        if entry is None or not isinstance(entry.definition, PromptDefinition):
            raise NotFound("unknown_prompt", f"there is no prompt {name[:100]!r} here", {"prompt": name[:200]})
        prompt = entry.definition
        _require_known("prompt", name, argument, [each.name for each in prompt.arguments])
        reference: JsonObject = {"type": "ref/prompt", "name": prompt.name}
        return await self._complete(entry, reference, argument, value, context, caller)

    async def complete_template(
        self, template: str, argument: str, value: str, context: Mapping[str, str], caller: Caller
    ) -> JsonObject:
        """The same for a variable of a resource template; of a resource that is none, nothing is completed.

        Raises:
            NotFound: `unknown_resource`.
            InvalidInput: `invalid_arguments`, the template has no such variable.
            ToolServerError: as a tool's call fails.
        """
        entry = await self._seen(lambda items: items.find(ItemKind.TEMPLATE, template), caller)
        if entry is None or not isinstance(entry.definition, ResourceTemplateDefinition):
            if await self._seen(lambda items: items.find(ItemKind.RESOURCE, template), caller) is not None:
                return NO_COMPLETION
            raise NotFound(
                "unknown_resource", f"there is no resource template {template[:200]!r} here", {"uri": template[:2_000]}
            )
        _require_known("template", template, argument, read_template(template).variables)
        reference: JsonObject = {"type": "ref/resource", "uri": template}
        return await self._complete(entry, reference, argument, value, context, caller)

    async def _complete(
        self,
        entry: ItemEntry,
        reference: JsonObject,
        argument: str,
        value: str,
        context: Mapping[str, str],
        caller: Caller,
    ) -> JsonObject:
        caller.require(Scope.CALL)
        question = entry.questions.get(QuestionKind.COMPLETION)
        if question is None:
            return NO_COMPLETION
        params: JsonObject = {"ref": reference, "argument": {"name": argument, "value": value}}
        if context:
            params["context"] = {"arguments": dict(context)}
        result = await self._ask(question, params, caller)
        # Without a client there is nobody to ask.
        return NO_COMPLETION if isinstance(result, Pending) else result

    async def _seen(self, choose: Callable[[ItemCatalog], OfferedItem | None], caller: Caller) -> ItemEntry | None:
        """What is found, where the caller's view shows it."""

        def choose_seen(items: ItemCatalog) -> OfferedItem | None:
            item = choose(items)
            return item if item is not None and caller.view.admits_items_of(item.plugin) else None

        return await self._find(choose_seen)


def _check_arguments(prompt: PromptDefinition, arguments: Mapping[str, str]) -> None:
    known = {argument.name for argument in prompt.arguments}
    missing = [argument.name for argument in prompt.arguments if argument.required and argument.name not in arguments]
    if missing:
        raise InvalidInput(
            "invalid_arguments",
            f"the prompt needs {', '.join(map(ascii, missing[:20]))}: give a string for each",
            {"missing": missing[:20]},
        )
    unknown = sorted(arguments.keys() - known)
    if unknown:
        there = ", ".join(ascii(name) for name in sorted(known)[:20]) or "none"
        raise InvalidInput(
            "invalid_arguments",
            f"the prompt has no argument {unknown[0][:80]!a}; there are: {there}",
            {"unknown": [name[:200] for name in unknown[:20]]},
        )


def _require_known(what: str, name: str, argument: str, known: Sequence[str]) -> None:
    if argument not in known:
        there = ", ".join(map(ascii, known[:20])) or "none"
        raise InvalidInput(
            "invalid_arguments",
            f"the {what} {name[:100]!r} has no argument {argument[:80]!a}; there are: {there}",
            {"argument": argument[:200]},
        )


def _standing(resource: ResourceDefinition) -> JsonObject:
    contents: JsonObject = {"uri": resource.uri}
    if resource.mimeType is not None:
        contents["mimeType"] = resource.mimeType
    if resource.blob is not None:
        contents["blob"] = resource.blob
    else:
        contents["text"] = resource.text or ""
    return {"contents": [contents]}


def _with_uri(contents: JsonValue, uri: str) -> JsonValue:
    return {**contents, "uri": contents.get("uri") or uri} if isinstance(contents, dict) else contents


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
