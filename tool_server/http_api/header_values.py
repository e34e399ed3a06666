"""Header values without the blanks around them, which belong to no value.

HTTP has a recipient take them away before it looks at a value (https://www.rfc-editor.org/rfc/rfc9110#section-5.5);
uvicorn's httptools leaves those at the end.
"""

from __future__ import annotations

from starlette.types import Scope

_BLANKS = b" \t"
_ENDS = frozenset({b" ", b"\t"})


def with_bare_header_values(scope: Scope) -> Scope:
    """The scope of an HTTP request as an application should see it: itself, where no value has blanks around it."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    # Almost no request has any, and this is on the way of every call.
    for _, value in headers:
        if value[-1:] in _ENDS or value[:1] in _ENDS:
            return {**scope, "headers": [(name, value.strip(_BLANKS)) for name, value in headers]}
    return scope
