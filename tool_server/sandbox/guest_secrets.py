"""Secrets that a guest holds itself, as the hosts of other plugins hand them out.

The other way, by reference in a request (`egress.injection`), never shows a guest the value and is the better one. So
the two do not mix: a guest cannot ask for a secret that is bound to hosts, nor for a name that only references use.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from tool_server.errors import Denied
from tool_server.model.call import MAX_SECRET_READS, Call, SecretRead
from tool_server.model.secret import Secret

SecretReader = Callable[[str], Awaitable[Secret | None]]
"""Gives a secret by its name, None where there is none."""

_log = logging.getLogger(__name__)

_REASONS = {
    "not_permitted": "declare it under permissions.secrets in plugin.json and have an operator grant it",
    "unknown_secret": "there is no such secret: 'tool-server secret set' stores it",
    "bound_to_hosts": "it is bound to hosts, where alone it may be sent",
    "kept_instance": "sandbox.reuse keeps the tool's instance, which could tell it in a later call",
}


class GuestSecrets:
    """Reads secrets for guests.

    Args:
        read: reads any secret.
    """

    def __init__(self, read: SecretReader) -> None:
        self._read = read

    async def read(self, call: Call, name: str) -> str | None:
        """The value, which is taken out of all that leaves the call from now on; None where the guest may not have it.

        Raises:
            Denied: `too_many_secret_reads`.
            Unavailable: the store cannot answer.
        """
        if len(call.journal.secret_reads) >= MAX_SECRET_READS:
            raise Denied("too_many_secret_reads", f"a call reads at most {MAX_SECRET_READS} secrets")
        secret, outcome = await self._judged(call, name)
        call.journal.add_secret_read(SecretRead(name, outcome))
        if secret is None:
            # The guest is not told why, as on its own host; the operator is.
            _log.warning("%s call %s gets no secret %s: %s", call.plugin, call.id, name, _REASONS[outcome])
            return None
        call.journal.redactor.add(name, secret.value)
        return secret.value

    async def _judged(self, call: Call, name: str) -> tuple[Secret | None, str]:
        if name not in call.permissions.secrets:
            return None, "not_permitted"
        if call.reuse:
            return None, "kept_instance"
        secret = await self._read(name)
        if secret is None:
            return None, "unknown_secret"
        return (None, "bound_to_hosts") if secret.record.hosts else (secret, "ok")
