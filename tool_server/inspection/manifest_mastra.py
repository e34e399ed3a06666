"""What `mastra {displayName, parameters, examples, …}` of the Extismx format says about tools.

The object itself is carried on unchanged; `category` and `icon` have no other use here.
"""

from __future__ import annotations

from tool_server.inspection.manifest_errors import refuse
from tool_server.inspection.manifest_exports import schema_of_values
from tool_server.model.json_value import JsonObject, JsonValue


def apply_mastra(tools: JsonObject, mastra: JsonObject) -> tuple[JsonObject, list[tuple[str, str]]]:
    """Entries of `tools` with what they lacked, and which field of `mastra` was read as what.

    `displayName` is the title, `examples` the examples and `parameters` the input of a tool that stands alone; where
    tools have an input already, `parameters` describe its properties of the same name.

    Raises:
        InvalidInput: `invalid_manifest`, for `parameters` that are no list of values.
    """
    changed: JsonObject = dict(tools)
    uses: list[tuple[str, str]] = []
    name = next(iter(tools))
    alone = tools[name] if len(tools) == 1 else None
    if isinstance(alone, dict):
        changed[name], uses = _complete(alone, mastra)
    parameters = _described(mastra.get("parameters"))
    for tool_name, tool in changed.items():
        described = _with_descriptions(tool, parameters)
        if described != tool:
            changed[tool_name] = described
            uses.append(("parameters", f"descriptions of the input of '{tool_name}'"))
    return changed, uses


def _complete(tool: JsonObject, mastra: JsonObject) -> tuple[JsonObject, list[tuple[str, str]]]:
    complete, uses = dict(tool), list[tuple[str, str]]()
    title = mastra.get("displayName")
    if isinstance(title, str) and title and not tool.get("title"):
        complete["title"] = title
        uses.append(("displayName", "the tool's title"))
    parameters = mastra.get("parameters")
    if parameters is not None and not isinstance(parameters, list):
        refuse(["mastra", "parameters"], "an array of {name, type, description}", parameters)
    if parameters and tool.get("input") is None:
        complete["input"] = schema_of_values(parameters, ["mastra", "parameters"])
        uses.append(("parameters", "the tool's input"))
    examples = mastra.get("examples")
    if isinstance(examples, list) and examples and not tool.get("examples") and all(map(_is_example, examples)):
        complete["examples"] = examples
        uses.append(("examples", "the tool's examples"))
    return complete, uses


def _is_example(example: JsonValue) -> bool:
    return isinstance(example, dict) and isinstance(example.get("input"), dict) and set(example) <= {"input", "output"}


def _described(parameters: JsonValue) -> dict[str, str]:
    found: dict[str, str] = {}
    for parameter in parameters if isinstance(parameters, list) else ():
        if isinstance(parameter, dict):
            name, description = parameter.get("name"), parameter.get("description")
            if isinstance(name, str) and isinstance(description, str) and description:
                found[name] = description
    return found


def _with_descriptions(tool: JsonValue, descriptions: dict[str, str]) -> JsonValue:
    schema = tool.get("input") if isinstance(tool, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(tool, dict) or not isinstance(schema, dict) or not isinstance(properties, dict):
        return tool
    filled: JsonObject = {
        name: {**value, "description": descriptions[name]}
        if isinstance(value, dict) and "description" not in value and name in descriptions
        else value
        for name, value in properties.items()
    }
    return tool if filled == properties else {**tool, "input": {**schema, "properties": filled}}
