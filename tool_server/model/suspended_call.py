"""A call that waits for its client to call once more."""

from __future__ import annotations

from dataclasses import dataclass

from tool_server.model.caller import Caller
from tool_server.model.json_value import JsonObject, canonical_json


@dataclass(frozen=True, slots=True)
class SuspendedCall:
    """What a state belongs to: it is good for the very same call of the very same caller and for no other."""

    method: str
    """`tools/call`, `prompts/get` or `resources/read`."""
    name: str
    arguments: JsonObject
    caller: Caller

    def binding(self) -> bytes:
        """As bytes that no other call has."""
        document: JsonObject = {
            "method": self.method,
            "name": self.name,
            "arguments": self.arguments,
            "caller": self.caller.name,
        }
        return canonical_json(document)
