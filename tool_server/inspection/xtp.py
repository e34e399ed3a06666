"""Tools of an XTP schema: what its `exports` say about each exported function.

Source: dylibso/xtp-bindgen, `schema.yaml`; versions `v0` (names alone) and `v1-draft`. Guests generated from such a
schema read exactly one value from the Extism input, encoded by its content type, and write one to the output.
"""

from __future__ import annotations

from dataclasses import dataclass

from tool_server.inspection.json_paths import check_plain
from tool_server.inspection.local_references import references, wrap_result
from tool_server.inspection.xtp_types import Path, check_fields, read_components, refuse, type_schema
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.manifest import MAX_TOOLS
from tool_server.model.tool import InputForm, OutputForm

SECTION_NAME = "xtp"
"""The custom section where a module may carry its XTP schema as JSON. Extism itself names none."""

JSON = "application/json"
TEXT = "text/plain"
BINARY = "application/x-binary"

_DOCUMENT_FIELDS = frozenset({"version", "exports", "imports", "components"})
_EXPORT_FIELDS = frozenset({"description", "codeSamples", "input", "output"})
_BASE64: JsonObject = {"type": "string", "contentEncoding": "base64"}


@dataclass(frozen=True, slots=True)
class XtpTool:
    """One export: its types, and how they are carried."""

    description: str
    input_schema: JsonObject
    output_schema: JsonObject | None
    input: InputForm
    output: OutputForm


def tools_from_xtp(schema: JsonObject) -> dict[str, XtpTool]:
    """Every export of an XTP schema as a tool, in order.

    Input: an object of `application/json` becomes the arguments themselves; any other value stands in an argument
    `input`. An export without an input takes no arguments and reads no bytes. Output: an object of `application/json`
    becomes the structured result; other JSON values and binary ones are wrapped as `{"result": …}`; text is text. In
    `v0` every export takes text and returns text. A recursive type stays a `$ref`; each tool carries the `$defs` that
    it reaches and no others.

    Raises:
        InvalidInput: `invalid_xtp`; `data` holds `path`, `expected` and `got`.
    """
    check_plain(schema, code="invalid_xtp", what="XTP schema")
    match schema.get("version"):
        case "v0":
            return _v0(schema)
        case "v1-draft":
            return _v1(schema)
        case other:
            refuse(["version"], "'v1-draft' or 'v0'", other)


def _v0(schema: JsonObject) -> dict[str, XtpTool]:
    names = check_fields(schema, frozenset({"version", "exports"}), ()).get("exports")
    if not isinstance(names, list):
        refuse(["exports"], "an array of export names", names)
    _require_few(names, ("exports",))
    tools: dict[str, XtpTool] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name or name in tools:
            refuse(["exports", index], "the name of an export, once", name)
        tools[name] = XtpTool("", plain_text_input(), None, InputForm.TEXT, OutputForm.TEXT)
    return tools


def _require_few(functions: JsonObject | list[JsonValue], path: Path) -> None:
    if len(functions) > MAX_TOOLS:
        refuse(path, f"at most {MAX_TOOLS} functions", functions)


def plain_text_input() -> JsonObject:
    """The input of an export about which nothing is known: text, which may be left out."""
    text: JsonObject = {"type": "string", "description": "Text for the function's input."}
    return {"type": "object", "properties": {"input": text}, "additionalProperties": False}


def _v1(schema: JsonObject) -> dict[str, XtpTool]:
    document = check_fields(schema, _DOCUMENT_FIELDS, ())
    components = read_components(document.get("components"))
    for name, component in components.items():
        _follow(component, components, ("components", "schemas", name))
    _exports(document.get("imports", {}), components, ("imports",))
    if "exports" not in document:
        refuse(["exports"], "an object of exports by name", None)
    return _exports(document["exports"], components, ("exports",))


def _exports(exports: JsonValue, components: dict[str, JsonObject], path: Path) -> dict[str, XtpTool]:
    if not isinstance(exports, dict):
        refuse(path, "an object of functions by name", exports)
    _require_few(exports, path)
    return {name: _export(value, components, (*path, name)) for name, value in exports.items()}


def _export(value: JsonValue, components: dict[str, JsonObject], path: Path) -> XtpTool:
    fields = check_fields(value, _EXPORT_FIELDS, path)
    description = fields.get("description", "")
    if not isinstance(description, str):
        refuse((*path, "description"), "a string", description)
    input_form, input_schema = _input(fields.get("input"), components, (*path, "input"))
    output_form, output_schema = _output(fields.get("output"), components, (*path, "output"))
    return XtpTool(description.strip(), input_schema, output_schema, input_form, output_form)


def _input(value: JsonValue, components: dict[str, JsonObject], path: Path) -> tuple[InputForm, JsonObject]:
    if value is None:
        # TEXT without an argument "input" is an empty Extism input, which is what such a guest is generated for.
        return InputForm.TEXT, {"type": "object", "properties": {}, "additionalProperties": False}
    content_type, schema = _parameter(value, components, path)
    if content_type == JSON:
        target = _follow(schema, components, path)
        if target.get("type") == "object":
            return InputForm.ARGUMENTS, _with_definitions(_as_root(schema, target), components)
        return InputForm.VALUE, _argument(schema, components)
    if content_type == TEXT:
        return InputForm.TEXT, _argument(schema, components)
    return InputForm.BYTES, _argument(schema, components)


def _output(value: JsonValue, components: dict[str, JsonObject], path: Path) -> tuple[OutputForm, JsonObject | None]:
    if value is None:
        return OutputForm.TEXT, None
    content_type, schema = _parameter(value, components, path)
    if content_type == TEXT:
        return OutputForm.TEXT, None
    if content_type == BINARY:
        return OutputForm.BYTES, wrap_result(schema)
    target = _follow(schema, components, path)
    if target.get("type") == "object":
        return OutputForm.JSON, _with_definitions(_as_root(schema, target), components)
    wrapper: JsonObject = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return OutputForm.VALUE, _with_definitions(wrapper, components)


def _parameter(value: JsonValue, components: dict[str, JsonObject], path: Path) -> tuple[str, JsonObject]:
    if not isinstance(value, dict):
        refuse(path, "an object with contentType and type", value)
    given = value.get("contentType")
    content_type = given.partition(";")[0].strip().lower() if isinstance(given, str) else ""
    if content_type not in (JSON, TEXT, BINARY):
        refuse((*path, "contentType"), f"'{JSON}', '{TEXT}; charset=utf-8' or '{BINARY}'", given)
    node = {field: item for field, item in value.items() if field != "contentType"}
    if not {"type", "$ref", "items", "enum", "properties", "additionalProperties"} & set(node):
        refuse(path, "a 'type' or a '$ref'", value)
    schema = type_schema(node, frozenset(components), path)
    if content_type != JSON:
        kind = _follow(schema, components, path).get("type")
        if kind != "string" and kind != ["string", "null"]:
            expected = "a string, or a reference to one" if content_type == TEXT else "a buffer"
            refuse(path, f"{expected}, as the content type is '{content_type}'", value)
    if content_type == BINARY:
        return BINARY, {**_BASE64, **{k: v for k, v in schema.items() if k == "description"}}
    return content_type, schema


def _argument(schema: JsonObject, components: dict[str, JsonObject]) -> JsonObject:
    wrapper: JsonObject = {
        "type": "object",
        "properties": {"input": schema},
        "required": ["input"],
        "additionalProperties": False,
    }
    return _with_definitions(wrapper, components)


def _follow(schema: JsonObject, components: dict[str, JsonObject], path: Path) -> JsonObject:
    """What `schema` is once its chain of references ends."""
    seen: set[str] = set()
    while isinstance(reference := schema.get("$ref"), str):
        name = reference.rpartition("/")[2]
        if name in seen:
            refuse(path, "a reference that ends at a type", f"a circle of references through {name}")
        seen.add(name)
        schema = components[name]
    return schema


def _as_root(schema: JsonObject, target: JsonObject) -> JsonObject:
    # Clients look for `type: object` at the root, so that a referenced component is copied there.
    root = {keyword: value for keyword, value in target.items() if keyword != "description"}
    description = schema.get("description") or target.get("description")
    return {**root, "description": description} if description else root


def _with_definitions(schema: JsonObject, components: dict[str, JsonObject]) -> JsonObject:
    reached: JsonObject = {}
    pending = list(references(schema))
    while pending:
        name = pending.pop(0).rpartition("/")[2]
        if name not in reached:
            reached[name] = components[name]
            pending.extend(references(components[name]))
    return {**schema, "$defs": reached} if reached else schema
