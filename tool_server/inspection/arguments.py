"""Validation at call time: arguments are completed and checked before a tool runs, its output before it is sent.

A validator is made once for a schema. Making it compiles, so it is for the tool's first call and not for the catalogue.
"""

from __future__ import annotations

from tool_server.errors import CallFailed, InvalidInput
from tool_server.inspection.compiled_schema import CompiledSchema
from tool_server.inspection.defaults import DefaultFiller, TooManyDefaultsError
from tool_server.inspection.instance_bounds import InstanceSize, OutOfBoundsError
from tool_server.inspection.validation_messages import Problem
from tool_server.model.json_value import JsonObject, JsonValue

_NOT_JSON = "it holds half of a surrogate pair or something else that is no JSON: send whole characters"


class ArgumentsValidator:
    """Completes and checks a tool's arguments.

    Args:
        schema: the tool's input schema.
        quick: whether an event loop makes it and is to use it.

    Raises:
        InvalidInput: `invalid_schema`, for a schema that publish lint refuses.
        NotQuickError: making it is too much for an event loop.
    """

    def __init__(self, schema: JsonObject, *, quick: bool = False) -> None:
        self._schema = CompiledSchema(schema, quick=quick)
        filler = DefaultFiller(self._schema.graph)
        self._filler = filler if filler.needed else None

    def check(self, value: JsonObject, *, quick: bool = False) -> JsonObject:
        """The arguments with the schema's defaults filled in; `value` is not changed.

        Args:
            value: the arguments.
            quick: whether an event loop waits for the answer.

        Raises:
            InvalidInput: `invalid_arguments`. The message lists up to five problems for a model to act on, `data` holds
                `{"errors": [{"path", "expected", "got", "keyword"}]}`.
            NotQuickError: with `quick`, the answer could take too long; it would be the same without.
        """
        try:
            size = self._schema.measured(value, quick=quick)
            if self._filler is not None:
                value, size = self._completed(self._filler, value, size, quick)
            problems = self._schema.misfits(value, size, quick=quick)
        except (OutOfBoundsError, TooManyDefaultsError) as error:
            raise _refused("the arguments cannot be checked", str(error)) from error
        except ValueError as error:
            raise _refused("the arguments cannot be checked", _NOT_JSON) from error
        if not problems:
            return value
        raise InvalidInput(
            "invalid_arguments",
            _listed("the arguments do not fit the tool's input schema", problems),
            {"errors": [problem.as_data() for problem in problems]},
        )

    def _completed(
        self, filler: DefaultFiller, value: JsonObject, size: InstanceSize, quick: bool
    ) -> tuple[JsonObject, InstanceSize]:
        filled = filler.fill_quickly(value, size.values) if quick else filler.fill(value, size.values)
        if filled is value:
            return value, size
        return filled, self._schema.measured(filled, quick=quick)


class OutputValidator:
    """Checks a tool's structured output.

    Args:
        schema: the tool's output schema.
        quick: whether an event loop makes it and is to use it.

    Raises:
        InvalidInput: `invalid_schema`, for a schema that publish lint refuses.
        NotQuickError: making it is too much for an event loop.
    """

    def __init__(self, schema: JsonObject, *, quick: bool = False) -> None:
        self._schema = CompiledSchema(schema, quick=quick)

    def check(self, value: JsonValue, *, quick: bool = False) -> None:
        """Do nothing when the output fits.

        Args:
            value: the structured output.
            quick: whether an event loop waits for the answer.

        Raises:
            CallFailed: `bad_output`, with up to five places where the plugin's output breaks its own schema.
            NotQuickError: with `quick`, the answer could take too long; it would be the same without.
        """
        try:
            problems = self._schema.misfits(value, self._schema.measured(value, quick=quick), quick=quick)
        except OutOfBoundsError as error:
            raise CallFailed("bad_output", f"the plugin's output cannot be checked: {error}") from error
        except ValueError as error:
            raise CallFailed("bad_output", f"the plugin's output cannot be checked: {_NOT_JSON}") from error
        if not problems:
            return
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
