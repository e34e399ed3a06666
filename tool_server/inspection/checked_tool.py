"""One tool with its validators: arguments in, Extism input out; Extism output in, result out.

Made and used in two places: in the server's event loop for what is quick there (`quick=True`), and in a process of its
own for everything else. Both give equal answers, in equal words.
"""

from __future__ import annotations

import re

from tool_server.errors import CallFailed
from tool_server.inspection.arguments import ArgumentsValidator, OutputValidator
from tool_server.inspection.carriage import decode_output, encode_input
from tool_server.inspection.instance_bounds import MAX_OUTPUT_VALUES, QUICK, NotQuickError, count_values
from tool_server.model.call import ToolResult
from tool_server.model.json_value import JsonObject
from tool_server.model.tool import OutputForm, ToolDefinition

_PARSED = frozenset(
    {
        *(OutputForm.JSON, OutputForm.VALUE, OutputForm.CONTENT),
        *(OutputForm.PROMPT, OutputForm.RESOURCE, OutputForm.COMPLETION),
    }
)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_QUICK_BYTES = 2**20
_QUICK_DIGITS = 2**15
"""Reading a number of thousands of digits takes a microsecond for twenty of them."""
_DIGITS = b"0123456789"


class CheckedTool:
    """A tool's validators, each made when it is first needed.

    Args:
        definition: the tool.
        quick: whether it lives in an event loop.
    """

    def __init__(self, definition: ToolDefinition, *, quick: bool = False) -> None:
        self._definition = definition
        self._quick = quick
        self._must_be_short = quick and definition.binding.output in _PARSED
        self._arguments: ArgumentsValidator | None = None
        self._output: OutputValidator | None = None
        self._slow_arguments = False
        """Whether the input schema was found to be too much for an event loop."""
        self._slow_output = False

    def encode(self, arguments: JsonObject, call_id: str, wants_progress: bool = False) -> bytes:
        """The Extism input of checked and completed arguments.

        Args:
            arguments: as the client sent them.
            call_id: see `encode_input`.
            wants_progress: see `encode_input`.

        Raises:
            InvalidInput: `invalid_arguments`; `invalid_schema`.
            NotQuickError: it is no work for an event loop.
        """
        complete = self._arguments_validator().check(arguments, quick=self._quick)
        definition = self._definition
        return encode_input(
            definition.binding, definition.name, complete, call_id=call_id, wants_progress=wants_progress
        )

    def decode(self, data: bytes) -> ToolResult:
        """The checked result of an Extism output.

        Raises:
            CallFailed: `bad_output`.
            InvalidInput: `invalid_schema`.
            NotQuickError: it is no work for an event loop.
        """
        definition = self._definition
        if self._must_be_short and not _is_quick_to_parse(data):
            raise NotQuickError
        result = decode_output(definition, data)
        if not self._quick:
            _require_few_values(result)
        if definition.output_schema is not None and not result.is_error:
            self._output_validator(definition.output_schema).check(_structured(result), quick=self._quick)
        return result

    def _arguments_validator(self) -> ArgumentsValidator:
        if self._arguments is None:
            if self._slow_arguments:
                raise NotQuickError
            try:
                self._arguments = ArgumentsValidator(self._definition.input_schema, quick=self._quick)
            except NotQuickError:
                self._slow_arguments = True
                raise
        return self._arguments

    def _output_validator(self, schema: JsonObject) -> OutputValidator:
        if self._output is None:
            if self._slow_output:
                raise NotQuickError
            try:
                self._output = OutputValidator(schema, quick=self._quick)
            except NotQuickError:
                self._slow_output = True
                raise
        return self._output


def _require_few_values(result: ToolResult) -> None:
    if count_values([*result.content, result.structured, result.meta]) > MAX_OUTPUT_VALUES:
        raise CallFailed(
            "bad_output",
            f"the plugin's output holds more than {MAX_OUTPUT_VALUES:,} values: the plugin must answer less at "
            "once, or give them as one text",
        )


def _structured(result: ToolResult) -> JsonObject:
    if result.structured is None:
        raise CallFailed("bad_output", "the plugin promised structured output by its output schema and returned none")
    return result.structured


def _is_quick_to_parse(data: bytes) -> bool:
    """Whether JSON holds few values, by the commas and brackets outside of its strings, and few digits of numbers."""
    if len(data) <= QUICK.values or _holds_little(data):
        return True
    # Long texts are full of commas and digits: they are looked through where there are few of them.
    if len(data) > _QUICK_BYTES or data.count(b'"') > QUICK.values:
        return False
    return _holds_little(_STRING.sub(b"", data))


def _holds_little(data: bytes) -> bool:
    marks = data.count(b",") + data.count(b"[") + data.count(b"{")
    digits = 0 if len(data) <= _QUICK_DIGITS else len(data) - len(data.translate(None, _DIGITS))
    return marks <= QUICK.values and digits <= _QUICK_DIGITS
