"""How a keyring entry of another host, a service and a user, is called among this server's secrets."""

from __future__ import annotations

import re

from tool_server.model.json_value import sha256_hex

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\.[A-Za-z0-9_-]+", re.ASCII)
_OUTSIDE = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)
_MAX_PLAIN = 64
_MAX_STEM = 40
_HASH = 12


def keyring_secret_name(service: str, user: str) -> str:
    """The secret's name: `service.user` where that is a name, else `keyring.STEM.HASH`.

    `keyring_secret_name("my-app", "admin")` is `"my-app.admin"`. No two entries share a name: the first form has one
    full stop, the second one two, and its hash is that of both parts. Nor can a guest reach a name without a full
    stop, such as `API_KEY`, by way of a keyring.
    """
    plain = f"{service}.{user}"
    if len(plain) <= _MAX_PLAIN and _PLAIN.fullmatch(plain) and plain.count(".") == 1:
        return plain
    stem = _OUTSIDE.sub("_", f"{service}_{user}").strip("_")[:_MAX_STEM] or "entry"
    # The length in front keeps ("a", "bc") and ("ab", "c") apart.
    data = f"{len(service)}:{service}{user}".encode("utf-8", "surrogatepass")
    return f"keyring.{stem}.{sha256_hex(data)[:_HASH]}"
