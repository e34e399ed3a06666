"""Secrets of the operator: set, listed without their values, removed."""

from __future__ import annotations

from tool_server.interfaces import Clock, SecretStore
from tool_server.model.caller import Caller, Scope
from tool_server.model.secret import (
    Secret,
    SecretRecord,
    check_secret_hosts,
    check_secret_name,
    check_secret_value,
)


class SecretService:
    """Write-only for whoever calls; `reveal` is for egress alone."""

    def __init__(self, secrets: SecretStore, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    async def set_secret(
        self, name: str, value: str, hosts: tuple[str, ...], caller: Caller, *, plain_http: bool = False
    ) -> SecretRecord:
        """Store a value under `name`, or replace it together with its hosts.

        Args:
            name: as plugins list it under `permissions.secrets`.
            value: 1 to 65,536 bytes of UTF-8.
            hosts: where it may be sent; empty: to hosts that a plugin's permission names exactly.
            caller: must be an admin.
            plain_http: whether it may also be sent without TLS.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_secret_name`, `invalid_secret_value`, `invalid_host`, `too_many_hosts`.
            Unavailable: `secrets_key`.
        """
        caller.require(Scope.ADMIN)
        now = self._clock.now()
        record = SecretRecord(
            name=check_secret_name(name),
            hosts=check_secret_hosts(hosts),
            plain_http=plain_http,
            created_at=now,
            updated_at=now,
        )
        return await self._secrets.put(record, check_secret_value(value))

    async def list_secrets(self, caller: Caller) -> tuple[SecretRecord, ...]:
        """All secrets by name, without their values.

        Raises:
            Denied: `missing_scope`.
        """
        caller.require(Scope.ADMIN)
        return await self._secrets.list_secrets()

    async def remove(self, name: str, caller: Caller) -> None:
        """Forget a secret; the next request that refers to it fails.

        Raises:
            Denied: `missing_scope`.
            InvalidInput: `invalid_secret_name`.
            NotFound: `unknown_secret`.
        """
        caller.require(Scope.ADMIN)
        await self._secrets.remove(check_secret_name(name))

    async def reveal(self, name: str) -> Secret | None:
        """A secret with its value, read and decrypted anew each time and kept nowhere.

        Raises:
            Unavailable: `secrets_key`, or the database cannot answer.
        """
        return await self._secrets.get(name)
