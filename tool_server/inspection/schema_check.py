"""Whether a document is a JSON Schema of draft 2020-12, by the meta-schema alone."""

from __future__ import annotations

from tool_server.errors import InvalidInput
from tool_server.model.json_value import JsonObject


def check_schema(schema: JsonObject, *, where: str) -> None:
    """Do nothing when `schema` fits the meta-schema of draft 2020-12. References are not followed, nothing is fetched.

    Args:
        schema: the document.
        where: how the message names it, such as `"the input schema of 'add'"`.

    Raises:
        InvalidInput: `invalid_schema`, with the JSON path of the place and what the meta-schema says about it.
    """
    # Imported when something is published: a tenth of the time in which a server over stdio starts.
    from jsonschema import Draft202012Validator, FormatChecker, SchemaError

    # `pattern` has the format `regex` in the meta-schema; jsonschema would ask Python's `re`, another language.
    no_formats = FormatChecker(formats=())
    try:
        # The schema is the instance here: only the built-in meta-schemas are ever looked up.
        Draft202012Validator.check_schema(schema, format_checker=no_formats)
    except SchemaError as error:
        message = error.message if len(error.message) <= 300 else f"{error.message[:300]}…"
        raise InvalidInput(
            "invalid_schema",
            f"{where} is not a JSON Schema of draft 2020-12: at {error.json_path}: {message}",
            {"path": error.json_path},
        ) from error
    except RecursionError as error:
        raise InvalidInput("invalid_schema", f"{where} is nested too deeply to be checked", {"path": "$"}) from error
