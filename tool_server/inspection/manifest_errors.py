"""Validating a plugin.json in canonical form, with errors that name the place, what was expected and what was got."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tool_server.errors import InvalidInput
from tool_server.inspection.json_paths import json_path, shown
from tool_server.model.icon import Icon
from tool_server.model.json_value import JsonObject, JsonValue, compact_json
from tool_server.model.manifest import Manifest, ManifestBuild, ManifestLimits, ManifestTool
from tool_server.model.manifest_items import ManifestPrompt, ManifestResource, ManifestResourceTemplate
from tool_server.model.names import check_plugin_name
from tool_server.model.permission import Permissions
from tool_server.model.prompt import PromptArgument
from tool_server.model.resource import ContentAnnotations
from tool_server.model.tool import ToolAnnotations, ToolExample
from tool_server.model.versions import check_range, check_version

ALSO_READ = (
    "main",
    "exports",
    "runtime",
    "tags",
    "schema",
    "language",
    "allowedHosts",
    "allowedPaths",
    "allowedEnv",
    "resourceLimits",
)
"""Fields of other formats that `manifest_forms` rewrites."""

_REPORTED = 5
_EXAMINED = 50
"""Errors that are put into words: finding the field that was meant costs a third of a millisecond each."""

_ITEMS: Mapping[str, type[BaseModel]] = {
    "prompts": ManifestPrompt,
    "resources": ManifestResource,
    "resourceTemplates": ManifestResourceTemplate,
}

_EXPECTED = {
    "missing": "a value: the field is required",
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "an array",
    "tuple_type": "an array",
}


def refuse(path: Sequence[str | int], expected: str, got: JsonValue, *, code: str = "invalid_manifest") -> NoReturn:
    """Stop with a message about one place.

    Raises:
        InvalidInput: always.
    """
    place = json_path(path)
    raise InvalidInput(
        code,
        f"plugin.json: {place}: expected {expected}, got {shown(got)}",
        {"path": place, "expected": expected, "got": shown(got)},
    )


def closest(name: str, known: Iterable[str]) -> str:
    """`": did you mean 'version'?"`, or `""` where nothing is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name[:100].lower(), by_lower, 1, 0.6)
    return f": did you mean {by_lower[near[0]]!r}?" if near else ""


def refuse_unknown(path: Sequence[str | int], known: Iterable[str], *, code: str = "invalid_manifest") -> NoReturn:
    """Stop at a field that is not known, naming the closest that is.

    Raises:
        InvalidInput: always.
    """
    names = sorted(known)
    place, name = json_path(path), str(path[-1])
    suggestion = closest(name, names) or f": known are {', '.join(names)}"
    raise InvalidInput(
        code,
        f"plugin.json: {place} is not a known field{suggestion}",
        {"path": place, "expected": names, "got": name[:200]},
    )


def validate_manifest(document: JsonObject) -> Manifest:
    """The model of `document`, which must be in canonical form.

    Raises:
        InvalidInput: `invalid_manifest`; `data` holds `path`, `expected`, `got` of the first error, and `errors`.
    """
    _check_named_values(document)
    if "schema_uri" in document:  # the attribute's name, which pydantic takes beside the field's own
        refuse_unknown(["schema_uri"], ["$schema"])
    try:
        # Through JSON, since that is where pydantic is strict and still reads arrays as tuples.
        return Manifest.model_validate_json(compact_json(document), strict=True)
    except ValidationError as error:
        raise _refusal(document, error.errors(include_url=False, include_input=False)) from error


def _refusal(document: JsonObject, details: Sequence[ErrorDetails]) -> InvalidInput:
    # The members of a union each complain about the same place: one problem with several expectations.
    grouped: dict[str, list[InvalidInput]] = {}
    for detail in details[:_EXAMINED]:
        problem = _problem(document, detail)
        grouped.setdefault(str(problem.data["path"]), []).append(problem)
    problems = [_joined(group) for group in grouped.values()]
    messages = [problem.message.removeprefix("plugin.json: ") for problem in problems[:_REPORTED]]
    further = max(0, len(problems) - _REPORTED) + len(details[_EXAMINED:])
    more = f" (and {further} more)" if further else ""
    errors = [problem.data for problem in problems[:_REPORTED]]
    return InvalidInput(
        "invalid_manifest", f"plugin.json: {'; '.join(messages)}{more}", {**problems[0].data, "errors": errors}
    )


def _joined(group: list[InvalidInput]) -> InvalidInput:
    first = group[0]
    if len(group) == 1 or not isinstance(first.data["expected"], str):
        return first
    expected = " or ".join(dict.fromkeys(str(problem.data["expected"]) for problem in group))
    message = f"plugin.json: {first.data['path']}: expected {expected}, got {first.data['got']}"
    return InvalidInput(first.code, message, {**first.data, "expected": expected})


def _check_named_values(document: JsonObject) -> None:
    # These raise our own error, which pydantic passes on without saying where.
    _check(check_plugin_name, document.get("name"), ["name"])
    _check(check_version, document.get("version"), ["version"])
    dependencies = document.get("dependencies")
    if isinstance(dependencies, dict):
        for name, text in dependencies.items():
            _check(check_plugin_name, name, ["dependencies", name])
            _check(check_range, text, ["dependencies", name])


def _check(check: Callable[[str], str], value: JsonValue, path: Sequence[str | int]) -> None:
    if not isinstance(value, str):
        return
    try:
        check(value)
    except InvalidInput as error:
        place = json_path(path)
        raise InvalidInput(
            "invalid_manifest",
            f"plugin.json: {place}: {error.message}",
            {"path": place, "expected": error.code.removeprefix("invalid_"), "got": shown(value)},
        ) from error


def _problem(document: JsonObject, detail: ErrorDetails) -> InvalidInput:
    location = _existing(document, detail["loc"])
    kind = detail["type"]
    try:
        if kind == "extra_forbidden":
            refuse_unknown(location, known_fields(location))
        if kind == "missing":
            place = json_path(detail["loc"])
            return InvalidInput(
                "invalid_manifest",
                f"plugin.json: {place} is missing: the field is required",
                {"path": place, "expected": _EXPECTED[kind], "got": "nothing"},
            )
        refuse(location, _EXPECTED.get(kind) or _in_words(detail["msg"]), _at(document, location))
    except InvalidInput as error:
        return error


def _in_words(message: str) -> str:
    words = message.removeprefix("Input should be ").removeprefix("Input should ")
    return words[:1].lower() + words[1:]


def _existing(document: JsonValue, location: tuple[int | str, ...]) -> list[str | int]:
    # Pydantic appends the name of a union's member, which is no place in the document.
    path: list[str | int] = []
    for part in location:
        if isinstance(document, dict) and isinstance(part, str) and part in document:
            document = document[part]
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            break
        path.append(part)
    return path


def _at(document: JsonValue, path: Sequence[str | int]) -> JsonValue:
    for part in path:
        if isinstance(document, dict):
            document = document[str(part)]
        elif isinstance(document, list):
            document = document[int(part)]
    return document


def known_fields(path: Sequence[str | int]) -> tuple[str, ...]:
    """What may stand beside the field at `path`, in every form that is read."""
    match [str(part) for part in path[:-1]]:
        case ["tools", _]:
            return tuple(field.alias or name for name, field in ManifestTool.model_fields.items())
        case ["tools", _, "icons", _]:
            return tuple(Icon.model_fields)
        case ["tools", _, "annotations"]:
            return tuple(ToolAnnotations.model_fields)
        case ["tools", _, "examples", _]:
            return tuple(ToolExample.model_fields)
        case ["permissions"]:
            return tuple(Permissions.model_fields)
        case ["limits"]:
            return tuple(ManifestLimits.model_fields)
        case ["build"]:
            return tuple(ManifestBuild.model_fields)
        case ["prompts" | "resources" | "resourceTemplates", _, *_] as places:
            return _fields_of_item(places)
        case _:
            return ("$schema", *(name for name in Manifest.model_fields if name != "schema_uri"), *ALSO_READ)


def _fields_of_item(places: Sequence[str]) -> tuple[str, ...]:
    """The same inside of a prompt, resource or template."""
    match places:
        case [_, _, "arguments", *_]:
            model = PromptArgument
        case [_, _, "annotations", *_]:
            model = ContentAnnotations
        case [_, _, "icons", *_]:
            model = Icon
        case _:
            model = _ITEMS[places[0]]
    return tuple(field.alias or name for name, field in model.model_fields.items())
