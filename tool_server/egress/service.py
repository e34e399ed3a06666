"""A guest's `http_request`, from its two blocks to the answer: every hop decided anew, bounded, and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from tool_server.config import EgressSettings
from tool_server.egress.addresses import AddressPolicy
from tool_server.egress.admission import Admission
from tool_server.egress.attempt import Attempt, recorded
from tool_server.egress.connections import Connections
from tool_server.egress.exchange import Answer, Bounds, Exchanger
from tool_server.egress.injection import Outgoing, SecretReader, inject
from tool_server.egress.request import GuestRequest, is_redirect, parse_request, redirected
from tool_server.egress.resolver import Resolver
from tool_server.errors import Denied, ToolServerError, Unavailable
from tool_server.model.call import Call, CallJournal


@dataclass(frozen=True, slots=True)
class EgressReply:
    """What the guest gets: an error status is an answer like any other."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; what stands several times is joined by commas."""
    body: bytes


class Egress:
    """Makes guests' requests. `aclose` ends it.

    Args:
        settings: bounds and opened networks.
        read_secret: gives a secret's value for the moment.
    """

    def __init__(self, settings: EgressSettings, read_secret: SecretReader) -> None:
        self._settings = settings
        self._read_secret = read_secret
        self._connections = Connections(Resolver(AddressPolicy(settings.allow_addresses)), settings.ca_file)
        self._exchanger = Exchanger(
            self._connections,
            Bounds(settings.response_bytes, settings.header_bytes, follow=settings.redirects > 0),
        )
        self._admission = Admission(settings.connections, settings.plugin_connections)

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._connections.aclose()

    async def request(self, call: Call, block: bytes, body: bytes) -> EgressReply:
        """Make one request of a running call, following redirects.

        Args:
            call: whose permission decides, and whose journal gets one entry for each hop.
            block: the JSON that the guest handed over.
            body: the request's body, empty for none.

        Raises:
            InvalidInput: the request, its URL, headers or a reference to a secret are not valid.
            Denied: `network_not_permitted`, `address_refused`, `too_many_requests`, `too_many_redirects`,
                `insecure_redirect`, or a secret that may not be sent there.
            NotFound: `unknown_secret`.
            Unavailable: `request_timeout`, or as `Exchanger.send`.
        """
        try:
            return await self._request(call, block, body)
        except ToolServerError as error:
            error.message = call.journal.redactor.text(error.message)
            error.args = (error.code, error.message)
            raise

    async def _request(self, call: Call, block: bytes, body: bytes) -> EgressReply:
        deadline = anyio.current_time() + self._settings.timeout / 1000
        with recorded(call.journal) as attempt:
            request = parse_request(block, body, self._settings.request_bytes)
            answer, outgoing = await self._hop(call, request, attempt, deadline)
        for _ in range(self._settings.redirects):
            location = answer.location
            if location is None or not is_redirect(answer.status, location):
                return _reply(call.journal, answer)
            with recorded(call.journal) as attempt:
                before = request
                request = redirected(before, answer.status, location, outgoing.secret_headers)
                attempt.describe(request)
                _check_no_secret_leaves(call.journal, before, request, location)
                answer, outgoing = await self._hop(call, request, attempt, deadline)
        if self._settings.redirects and is_redirect(answer.status, answer.location):
            host = request.target.host
            raise Denied("too_many_redirects", f"{host} redirects more than {self._settings.redirects} times")
        return _reply(call.journal, answer)

    async def _hop(
        self, call: Call, request: GuestRequest, attempt: Attempt, deadline: float
    ) -> tuple[Answer, Outgoing]:
        attempt.describe(request)
        with anyio.CancelScope(deadline=deadline):
            self._check_count(call.journal)
            _check_permitted(call, request)
            outgoing = await inject(call, request, self._read_secret)
            async with self._admission.place(call.plugin):
                return await self._exchanger.send(call.plugin, request, outgoing, attempt), outgoing
        raise Unavailable(
            "request_timeout",
            f"{request.target.host} did not answer within {self._settings.timeout} ms (egress.timeout)",
            {"host": request.target.host},
        )

    def _check_count(self, journal: CallJournal) -> None:
        limit = self._settings.requests_per_call
        if len(journal.requests) >= limit:
            raise Denied("too_many_requests", f"a call makes at most {limit} requests (egress.requests_per_call)")


def _check_permitted(call: Call, request: GuestRequest) -> None:
    target = request.target
    if call.permissions.allows_request(request.method, target.host, target.port, target.scheme):
        return
    allowed = ", ".join(call.permissions.network[:8]) or "none"
    raise Denied(
        "network_not_permitted",
        f"this plugin may not send {request.method} to {target.host} port {target.port} over {target.scheme}; allowed "
        f"are: {allowed}. Declare the host under permissions.network in plugin.json and have an operator grant it",
        {"method": request.method, "host": target.host, "port": target.port, "scheme": target.scheme},
    )


def _check_no_secret_leaves(journal: CallJournal, before: GuestRequest, after: GuestRequest, location: str) -> None:
    """A server may quote the address it was asked for; to another origin that would carry the secret along."""
    if before.target.origin != after.target.origin and journal.redactor.text(location) != location:
        raise Denied(
            "secret_in_redirect",
            f"{before.target.host} redirects to {after.target.host} with a secret in the address: not followed",
        )


def _reply(journal: CallJournal, answer: Answer) -> EgressReply:
    redactor = journal.redactor
    headers: dict[str, str] = {}
    for raw_name, raw_value in answer.headers:
        name, value = (redactor.data(raw).decode("latin-1") for raw in (raw_name, raw_value))
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return EgressReply(answer.status, headers, redactor.data(answer.body))
