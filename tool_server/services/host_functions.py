"""Functions that a program which embeds the server offers to plugins: typed, under a deadline, JSON in and out."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast, get_type_hints

import anyio
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from tool_server.errors import CallFailed, Denied, InvalidInput, ToolServerError
from tool_server.model.call import Call
from tool_server.model.host_interface import (
    FOREIGN,
    INTERFACE,
    KERNEL_MODULE,
    USER_MODULE,
    WASI_MODULE,
    function_item,
)
from tool_server.model.json_value import JsonObject
from tool_server.model.permission import Permissions

ARGUMENTS_BYTES, RESULT_BYTES = 2**22, 2**24
"""Longest JSON that a function takes, and that it may return."""

_SHOWN = 500
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HostFunction:
    """An async function that plugins may import, where they are granted `functions=NAMESPACE.NAME`.

    Its parameters are the members of one JSON object, checked by their type hints; so is what it returns, any JSON
    value. It runs in this process. What it raises reaches the plugin as an error: the exception's class and words, no
    traceback.

    Args:
        namespace: the module that plugins import it from, such as `"shop"`.
        function: with type hints on all parameters and on the result.
        name: by default the function's own.
        timeout: seconds after which it is cancelled.

    Raises:
        InvalidInput: `invalid_host_function`.
    """

    namespace: str
    function: Callable[..., Awaitable[Any]]
    name: str = ""
    timeout: float = 10.0
    _arguments: TypeAdapter[Any] = field(init=False, repr=False, compare=False)
    _result: TypeAdapter[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = str(getattr(self.function, "__name__", ""))
        object.__setattr__(self, "name", self.name or own)
        self._check_name()
        if not self.timeout > 0:
            raise self._refused("its timeout must be more than 0 seconds")
        try:
            hints = get_type_hints(self.function, include_extras=True)
            self._check_signature(hints)
            object.__setattr__(self, "_arguments", TypeAdapter(cast(Any, self.function)))
            object.__setattr__(self, "_result", TypeAdapter(hints["return"]))
        except (NameError, TypeError, PydanticUserError) as error:
            raise self._refused(f"its types cannot be read: {error}") from error

    @property
    def item(self) -> str:
        """What a plugin requests and an operator grants under `functions`."""
        return function_item(self.namespace, self.name)

    @property
    def input_schema(self) -> JsonObject:
        """The JSON Schema of the object that it takes."""
        return self._arguments.json_schema()

    @property
    def output_schema(self) -> JsonObject:
        """The JSON Schema of what it returns."""
        return self._result.json_schema(mode="serialization")

    async def answer(self, call: Call, arguments: bytes) -> bytes:
        """Run it for a plugin's call.

        Args:
            call: whose permission decides.
            arguments: a JSON object; empty for none.

        Returns:
            The result as JSON.

        Raises:
            Denied: `function_not_permitted`.
            InvalidInput: `invalid_arguments`.
            CallFailed: `host_function`, it raised or returned what it does not promise; `timeout`.
            ToolServerError: what it raises of this kind.
        """
        self._check_permitted(call)
        running = self._bind(arguments or b"{}")
        finished = False
        value: Any = None
        with anyio.move_on_after(self.timeout):
            value = await self._outcome(running, call)
            finished = True
        if not finished:
            raise CallFailed("timeout", f"host function {self.item} did not answer within {self.timeout:g} s")
        return self._encode(value)

    def _bind(self, arguments: bytes) -> Awaitable[Any]:
        if len(arguments) > ARGUMENTS_BYTES:
            raise self._invalid(f"{len(arguments)} bytes; at most {ARGUMENTS_BYTES} are accepted")
        if arguments.lstrip()[:1] != b"{":  # pydantic would take an array as positional arguments
            raise self._invalid("not a JSON object")
        try:
            return cast(Awaitable[Any], self._arguments.validate_json(arguments, strict=True))
        except ValidationError as error:
            raise self._invalid(_words(error)) from error

    async def _outcome(self, running: Awaitable[Any], call: Call) -> Any:
        try:
            return await running
        except ToolServerError:
            raise
        except Exception as error:  # somebody else's code: this translates what it raises
            logger.warning("host function %s failed in call %s", self.item, call.id, exc_info=error)
            words = f"{type(error).__name__}: {error}"[:_SHOWN]
            raise CallFailed("host_function", f"host function {self.item} failed: {words}") from None

    def _encode(self, value: Any) -> bytes:
        try:
            data = self._result.dump_json(self._result.validate_python(value), warnings="error")
        except ValueError as error:
            reason = _words(error) if isinstance(error, ValidationError) else str(error)
            logger.error("host function %s returned what it does not promise: %s", self.item, reason)
            raise CallFailed("host_function", f"host function {self.item} returned what it does not promise") from error
        if len(data) > RESULT_BYTES:
            raise CallFailed(
                "host_function",
                f"host function {self.item} returned {len(data)} bytes; at most {RESULT_BYTES} are accepted",
            )
        return data

    def _check_permitted(self, call: Call) -> None:
        if self.item in call.permissions.functions:
            return
        raise Denied(
            "function_not_permitted",
            f"the plugin {call.plugin} may not use the host function {self.item}: list it under permissions.functions "
            f"in plugin.json and have it granted, with 'tool-server grant add {call.plugin} functions={self.item}' or "
            "in the program's own permissions",
            {"plugin": call.plugin, "function": self.item},
        )

    def _check_name(self) -> None:
        try:
            Permissions(functions=(self.item,)).check_requested()
        except InvalidInput as error:
            raise self._refused(error.message) from error
        taken = self.namespace == USER_MODULE and (self.name in INTERFACE or self.name in FOREIGN)
        if taken or self.namespace in (KERNEL_MODULE, WASI_MODULE) or not _NAME.fullmatch(self.name):
            raise self._refused("its name or namespace is taken by the host interface, or is none")

    def _check_signature(self, hints: Mapping[str, Any]) -> None:
        if not inspect.iscoroutinefunction(self.function):
            raise self._refused("it must be an 'async def'")
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise self._refused(f"the parameter {parameter.name!r} cannot be given by name")
            if parameter.name not in hints:
                raise self._refused(f"the parameter {parameter.name!r} has no type hint")
        if "return" not in hints:
            raise self._refused("its result has no type hint")

    def _invalid(self, problem: str) -> InvalidInput:
        return InvalidInput("invalid_arguments", f"host function {self.item} got invalid arguments: {problem}")

    def _refused(self, problem: str) -> InvalidInput:
        return InvalidInput("invalid_host_function", f"the host function {self.item} cannot be offered: {problem}")


def by_import(functions: Sequence[HostFunction]) -> Mapping[tuple[str, str], HostFunction]:
    """The functions by the module and name that plugins import.

    Raises:
        InvalidInput: `invalid_host_function`, two have the same.
    """
    found: dict[tuple[str, str], HostFunction] = {}
    for function in functions:
        place = (function.namespace, function.name)
        if place in found:
            raise InvalidInput("invalid_host_function", f"two host functions are called {function.item}")
        found[place] = function
    return MappingProxyType(found)


def _words(error: ValidationError) -> str:
    """The first few problems, each with its place, without the values."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    places = (f"${''.join(f'.{part}' for part in problem['loc'])}: {problem['msg']}" for problem in problems[:5])
    return "; ".join(places)[: 2 * _SHOWN]
