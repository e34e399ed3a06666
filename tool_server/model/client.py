"""The MCP client of a call, as a guest may ask and tell it things. Methods and parameters are MCP's own.

https://modelcontextprotocol.io/specification
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from tool_server.model.json_value import JsonObject, JsonValue

if TYPE_CHECKING:
    from tool_server.model.transcript import Transcript

ELICIT, SAMPLE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
"""What a client may be asked for."""

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""MCP's levels, least severe first."""


class ClientRequest(NamedTuple):
    """A question to a client."""

    method: str
    """`ELICIT`, `SAMPLE` or `ROOTS`."""
    params: JsonObject
    timeout_s: float | None = None
    """How long the guest wants to wait; the server's own bound holds besides."""


class ClientAnswer(NamedTuple):
    """What a client answered."""

    result: JsonObject
    """MCP's result of the method; empty with an error."""
    error: str | None = None
    """What the client said where it refused."""


class ClientChannel(Protocol):
    """The way to the client of one call. What is handed over holds no secret that the call has read."""

    @property
    def capabilities(self) -> JsonObject:
        """What the client declared, MCP's `ClientCapabilities`."""
        ...

    @property
    def protocol_version(self) -> str | None:
        """The version of MCP that the client speaks; None where it speaks none."""
        ...

    @property
    def wants_progress(self) -> bool:
        """Whether the client asked to be told of this call's progress."""
        ...

    @property
    def transcript(self) -> Transcript | None:
        """Where this call's run is kept, with what earlier runs left in it; None where the client cannot be asked."""
        ...

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer] | None:
        """Put some questions at once and wait for all answers, however long a person takes.

        None where the client answers by calling once more.

        Raises:
            Unavailable: `client_did_not_answer`, within the time that the server waits; `busy`, too many wait.
        """
        ...

    async def tell(self, method: str, params: JsonObject) -> None:
        """Send a notification, such as `notifications/progress`. That nobody listens is no error.

        Of progress the token is filled in; of a log message the client gets what its level asks for.
        """
        ...


class NoClient:
    """Nobody who could be asked or would listen."""

    protocol_version = None
    wants_progress = False
    transcript = None

    @property
    def capabilities(self) -> JsonObject:
        """See `ClientChannel.capabilities`."""
        return {}

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer] | None:
        """See `ClientChannel.ask`. Nobody does, since no capability is declared."""
        return {key: ClientAnswer({}, "there is no client that can be asked") for key in requests}

    async def tell(self, method: str, params: JsonObject) -> None:
        """See `ClientChannel.tell`."""


NO_CLIENT = NoClient()


_ASKED = frozenset({"elicitation", "sampling", "roots"})


def can_be_asked(capabilities: object) -> bool:
    """Whether a client that declared these can be asked anything."""
    return isinstance(capabilities, dict) and not _ASKED.isdisjoint(cast("dict[str, Any]", capabilities))


def missing_capability(capabilities: JsonObject, request: ClientRequest) -> str | None:
    """The capability that a client would have to declare to be asked this, such as `elicitation.url`, or None.

    A client that declares `elicitation` without saying a mode takes forms.
    """
    match request.method:
        case "elicitation/create":
            declared = capabilities.get("elicitation")
            if request.params.get("mode") == "url":
                return None if _has(declared, "url") else "elicitation.url"
            return None if isinstance(declared, dict) and ("form" in declared or not declared) else "elicitation.form"
        case "sampling/createMessage":
            declared = capabilities.get("sampling")
            if "tools" in request.params or "toolChoice" in request.params:
                return None if _has(declared, "tools") else "sampling.tools"
            return None if isinstance(declared, dict) else "sampling"
        case "roots/list":
            return None if isinstance(capabilities.get("roots"), dict) else "roots"
        case _:
            return request.method


def _has(declared: JsonValue, part: str) -> bool:
    return isinstance(declared, dict) and isinstance(declared.get(part), dict)
