"""The one way in which schemas are compiled, so that lint refuses what calls could not run."""

from __future__ import annotations

from typing import NoReturn, Protocol, TypedDict

import jsonschema_rs

from tool_server.errors import InvalidInput
from tool_server.model.json_value import JsonObject, JsonValue

MAX_PATTERN_PROGRAM = 2**22
r"""Bytes of one compiled pattern: `^\p{L}{1,64}$` takes nearly all of it, since every repetition is written out."""


class RetrieverProtocol(Protocol):
    """What fetches another document."""

    def __call__(self, uri: str, /) -> JsonValue: ...


def _refuse(uri: str, /) -> NoReturn:
    raise ValueError(f"{uri} is another document, and nothing is fetched")


class _Options(TypedDict):
    validate_formats: bool
    retriever: RetrieverProtocol
    pattern_options: jsonschema_rs.RegexOptions


def _options(size_limit: int = MAX_PATTERN_PROGRAM) -> _Options:
    return {
        "validate_formats": True,
        "retriever": _refuse,
        "pattern_options": jsonschema_rs.RegexOptions(size_limit=size_limit),
    }


def _without_dialect(schema: JsonObject) -> JsonObject:
    return {key: value for key, value in schema.items() if key != "$schema"}


def _invalid(error: ValueError | jsonschema_rs.ReferencingError) -> InvalidInput:
    message = error.message if isinstance(error, jsonschema_rs.ValidationError) else str(error)
    return InvalidInput("invalid_schema", f"the schema cannot be compiled: {message[:300]}")


def compile_schema(schema: JsonObject) -> jsonschema_rs.Draft202012Validator:
    """A compiled validator: draft 2020-12 whatever `$schema` says, formats asserted, patterns matched in linear time.

    Raises:
        InvalidInput: `invalid_schema`.
    """
    try:
        return jsonschema_rs.Draft202012Validator(_without_dialect(schema), **_options())
    except (ValueError, jsonschema_rs.ReferencingError) as error:  # its ValidationError is a ValueError
        raise _invalid(error) from error


def compile_map(schema: JsonObject) -> jsonschema_rs.ValidatorMap:
    """Validators of all subschemas, by JSON pointer with a leading `#`; the same options.

    Raises:
        InvalidInput: `invalid_schema`.
    """
    try:
        return jsonschema_rs.validator_map_for(_without_dialect(schema), **_options())
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise _invalid(error) from error


def compile_pattern(pattern: str, size_limit: int) -> jsonschema_rs.Draft202012Validator:
    """A validator of strings in which the pattern is found, in linear time; `size_limit` bytes at most when compiled.

    Raises:
        InvalidInput: `invalid_schema`.
    """
    try:
        return jsonschema_rs.Draft202012Validator({"type": "string", "pattern": pattern}, **_options(size_limit))
    except ValueError as error:
        raise _invalid(error) from error


def pattern_size(pattern: str) -> int | None:
    """Bytes of the compiled pattern, rounded up to a power of two from 512; None where the engine of calls refuses it.

    The engine matches in linear time and knows no lookaround and no back reference.
    """
    size = 512
    while size <= MAX_PATTERN_PROGRAM:
        try:
            jsonschema_rs.Draft202012Validator({"pattern": pattern}, **_options(size))
        except ValueError:
            size *= 2
        else:
            return size
    return None
