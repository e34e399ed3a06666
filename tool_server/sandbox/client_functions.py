"""The host functions by which a guest asks and tells the MCP client of its call."""

from __future__ import annotations

from collections.abc import Mapping

from tool_server.errors import InvalidInput, Unavailable
from tool_server.inspection.client_requests import ask_request, notification
from tool_server.model.call import Call
from tool_server.model.client import ClientAnswer, ClientRequest, missing_capability
from tool_server.model.json_value import JsonObject, compact_json
from tool_server.sandbox.announcements import Announcer
from tool_server.sandbox.host_calls import Handler, HostCall, HostReply, forgiving
from tool_server.sandbox.protocol import USER


def client_functions(announcer: Announcer | None = None) -> Mapping[tuple[str, str], Handler]:
    """For `HostFunctions`.

    Args:
        announcer: hands on what plugins announce to whoever listens; by default nobody is told.
    """

    async def notify_client(question: HostCall) -> HostReply:
        await _notify(question, announcer)
        return HostReply(value=0)

    named: dict[str, Handler] = {"ask_client": _ask_client, "notify_client": notify_client, "get_client": _get_client}
    return {(USER, name): forgiving(handler) for name, handler in named.items()}


def ask(question: HostCall, requests: Mapping[str, ClientRequest]) -> Mapping[str, ClientAnswer]:
    """What the client of a call answers, all secrets of the call taken out of what it is asked.

    Raises:
        Suspended: it is not known yet; the guest is stopped.
        Unavailable: `client_cannot_be_asked`, with `{"missing": [capability]}`.
        ToolServerError: as `Transcript.ask`.
    """
    call, entry, transcript = question.call, question.entry, question.call.journal.transcript
    missing = {missing_capability(call.client.capabilities, request) for request in requests.values()} - {None}
    if missing or entry is None or transcript is None:
        methods = ", ".join(dict.fromkeys(request.method for request in requests.values()))
        names = sorted(name for name in missing if name is not None)
        call.journal.unanswerable = Unavailable(
            "client_cannot_be_asked",
            f"the client of this call cannot be asked for {methods}"
            + (f": it has not declared {', '.join(names)}" if names else ""),
            {"missing": [*names]},
        )
        raise call.journal.unanswerable
    clean = {key: request._replace(params=without_secrets(call, request.params)) for key, request in requests.items()}
    return transcript.ask(entry, clean)


def without_secrets(call: Call, params: JsonObject) -> JsonObject:
    """What may be shown to a client."""
    cleaned = call.journal.redactor.json(params)
    return cleaned if isinstance(cleaned, dict) else {}


async def _ask_client(question: HostCall) -> HostReply:
    answers = ask(question, ask_request(_argument(question)))
    refused = {key: answer.error for key, answer in answers.items() if answer.error is not None}
    if refused:
        key, error = next(iter(refused.items()))
        raise Unavailable(
            "client_refused", f"the client answered {key} with an error: {error}", {"errors": {**refused}}
        )
    return HostReply(compact_json({key: answer.result for key, answer in answers.items()}))


async def _notify(question: HostCall, announcer: Announcer | None) -> None:
    method, params = notification(_argument(question))
    params = without_secrets(question.call, params)
    match method.split("/")[1:]:
        case ["resources", "updated"]:
            if announcer is not None:
                await announcer.resource_updated(question.call, str(params["uri"]))
        case [kind, "list_changed"]:
            if announcer is not None:
                await announcer.list_changed(question.call, kind)
        case _:
            await question.call.client.tell(method, params)


async def _get_client(question: HostCall) -> HostReply:
    client = question.call.client
    described: JsonObject = {"capabilities": client.capabilities, "wantsProgress": client.wants_progress}
    if client.protocol_version is not None:
        described["protocolVersion"] = client.protocol_version
    return HostReply(compact_json(described))


def _argument(question: HostCall) -> bytes:
    if len(question.blocks) != 1:
        raise InvalidInput("invalid_request", f"{question.name[:80]} takes one offset of a block")
    return question.blocks[0]
