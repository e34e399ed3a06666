"""Lint of prompts, resources and templates: what clients and models would stumble over, or a reviewer not see.

Each function gives what is wrong with one item as rule, path inside the item, and words.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from pydantic import BaseModel

from tool_server.errors import InvalidInput
from tool_server.inspection.lint_text import hidden_character, hidden_in_value
from tool_server.model.names import MAX_TOOL_NAME, tool_name
from tool_server.model.prompt import PromptDefinition
from tool_server.model.resource import ResourceDefinition, ResourceFacts, ResourceTemplateDefinition
from tool_server.model.uri_template import UriTemplate, check_uri

Problem = tuple[str, str, str]
"""Rule, path, words."""

_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_MIME_TYPE = re.compile(rf"{_WORD}/{_WORD}(?: *; *{_WORD}=(?:{_WORD}|\"[^\"]*\"))*")


def lint_prompt(plugin: str, prompt: PromptDefinition) -> tuple[Problem, ...]:
    """What is wrong with a prompt."""
    return tuple(_prompt(plugin, prompt))


def lint_resource(resource: ResourceDefinition) -> tuple[Problem, ...]:
    """What is wrong with a resource."""
    return tuple(_resource(resource))


def lint_template(template: ResourceTemplateDefinition) -> tuple[Problem, ...]:
    """What is wrong with a resource template."""
    return tuple(_template(template))


def _prompt(plugin: str, prompt: PromptDefinition) -> Iterator[Problem]:
    mapped = tool_name(plugin, prompt.name)
    if not prompt.name.strip():
        yield "name-empty", "$.name", "it has no name: give it one"
    if len(mapped) > MAX_TOOL_NAME:
        words = f"'{mapped[:200]}' has {len(mapped)} characters, {MAX_TOOL_NAME} is the most"
        yield "name-too-long", "$.name", f"{words}: shorten the prompt's name by {len(mapped) - MAX_TOOL_NAME}"
    seen: set[str] = set()
    for index, argument in enumerate(prompt.arguments):
        path = f"$.arguments[{index}].name"
        if not argument.name.strip():
            yield "name-empty", path, "the argument has no name: give it one"
        if argument.name in seen:
            yield "duplicate-name", path, f"two arguments are called {argument.name[:80]!a}: rename one"
        seen.add(argument.name)
    names = [("$.name", prompt.name), ("$.title", prompt.title or "")]
    names += [(f"$.arguments[{index}].name", argument.name) for index, argument in enumerate(prompt.arguments)]
    yield from _hidden(prompt, names)


def _resource(resource: ResourceDefinition) -> Iterator[Problem]:
    try:
        check_uri(resource.uri)
    except InvalidInput as error:
        yield "invalid-uri", "$.uri", error.message
    if resource.text is not None and resource.blob is not None:
        yield "two-contents", "$.blob", "it has both 'text' and 'blob': keep one"
    if resource.binding is not None and (resource.text is not None or resource.blob is not None):
        yield "two-contents", "$.export", "it stands in the manifest and has an 'export': keep one"
    if resource.blob is not None:
        try:
            binascii.a2b_base64(resource.blob.encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            yield "invalid-base64", "$.blob", "it is no base64 with padding and without blanks (RFC 4648)"
    yield from _facts(resource)


def _template(template: ResourceTemplateDefinition) -> Iterator[Problem]:
    try:
        UriTemplate(template.uriTemplate)
    except InvalidInput as error:
        yield "invalid-uri-template", "$.uriTemplate", error.message
    yield from _facts(template)


def _facts(item: ResourceFacts) -> Iterator[Problem]:
    if not item.name.strip():
        yield "name-empty", "$.name", "it has no name: give it one"
    if item.mimeType is not None and not _MIME_TYPE.fullmatch(item.mimeType):
        yield "invalid-mime-type", "$.mimeType", f"{item.mimeType[:80]!a} is no media type, such as text/plain"
    yield from _hidden(item, [("$.name", item.name), ("$.title", item.title or "")])


def _hidden(item: BaseModel, names: list[tuple[str, str]]) -> Iterator[Problem]:
    found = {path: words for path, text in names if (words := hidden_character(text, name=True)) is not None}
    # Surrogates cannot be: whoever reads manifests, sections and descriptions refuses them.
    document = item.model_dump(mode="json", by_alias=True, exclude={"binding", "completion", "source"})
    for path, words in hidden_in_value(document, "$"):
        found.setdefault(path, words)
    for path, words in found.items():
        yield (
            "hidden-characters",
            path,
            f"{words} is invisible to the people who review this, but not to a model: delete it",
        )
