"""Validation at call time: arguments are completed and checked before a tool runs, its output before it is sent.

A validator is made once for a schema. Making it compiles, so it is for the tool's first call and not for the catalogue.
"""

from __future__ import annotations

from tool_server.errors import CallFailed, InvalidInput
from tool_server.inspection.compiled_schema import CompiledSchema
from tool_server.inspection.defaults import DefaultFiller, TooManyDefaultsError
from tool_server.inspection.instance_bounds import OutOfBoundsError
from tool_server.inspection.validation_messages import Problem
from tool_server.model.json_value import JsonObject, JsonValue

_NOT_JSON = "it holds half of a surrogate pair or something else that is no JSON: send whole characters"


class ArgumentsValidator:
    """Completes and checks a tool's arguments.

    Raises:
        InvalidInput: `invalid_schema`, for a schema that publish lint refuses.
    """

    def __init__(self, schema: JsonObject) -> None:
        self._schema = CompiledSchema(schema)
        filler = DefaultFiller(self._schema.graph)
        self._filler = filler if filler.needed else None

    def check(self, value: JsonObject) -> JsonObject:
        """The arguments with the schema's defaults filled in; `value` is not changed.

        Raises:
            InvalidInput: `invalid_arguments`. The message lists up to five problems for a model to act on, `data` holds
                `{"errors": [{"path", "expected", "got", "keyword"}]}`.
        """
        try:
            size = self._schema.require_bounds(value)
            if self._filler is not None:
                value = self._completed(self._filler, value, size.values)
            if self._schema.is_valid(value):
                return value
            problems = self._schema.problems(value)
        except (OutOfBoundsError, TooManyDefaultsError) as error:
            raise _refused("the arguments cannot be checked", str(error)) from error
        except ValueError as error:
            raise _refused("the arguments cannot be checked", _NOT_JSON) from error
        raise InvalidInput(
            "invalid_arguments",
            _listed("the arguments do not fit the tool's input schema", problems),
            {"errors": [problem.as_data() for problem in problems]},
        )

    def _completed(self, filler: DefaultFiller, value: JsonObject, values: int) -> JsonObject:
        filled = filler.fill(value, values)
        if filled is not value:
            self._schema.require_bounds(filled)
        return filled


class OutputValidator:
    """Checks a tool's structured output.

    Raises:
        InvalidInput: `invalid_schema`, for a schema that publish lint refuses.
    """

    def __init__(self, schema: JsonObject) -> None:
        self._schema = CompiledSchema(schema)

    def check(self, value: JsonValue) -> None:
        """Do nothing when the output fits.

        Raises:
            CallFailed: `bad_output`, with up to five places where the plugin's output breaks its own schema.
        """
        try:
            self._schema.require_bounds(value)
            if self._schema.is_valid(value):
                return
            problems = self._schema.problems(value)
        except OutOfBoundsError as error:
            raise CallFailed("bad_output", f"the plugin's output cannot be checked: {error}") from error
        except ValueError as error:
            raise CallFailed("bad_output", f"the plugin's output cannot be checked: {_NOT_JSON}") from error
        raise CallFailed(
            "bad_output",
            _listed("the plugin's output breaks its output schema (the plugin must be fixed)", problems),
            {"errors": [problem.as_data() for problem in problems]},
        )


def _refused(what: str, reason: str) -> InvalidInput:
    error: JsonObject = {"path": "$", "expected": "a value within bounds", "got": reason, "keyword": "bounds"}
    return InvalidInput("invalid_arguments", f"{what}: {reason}", {"errors": [error]})


def _listed(what: str, problems: list[Problem]) -> str:
    if len(problems) == 1:
        return f"{what}: {problems[0].sentence}"
    return f"{what}:\n" + "\n".join(f"- {problem.sentence}" for problem in problems)
