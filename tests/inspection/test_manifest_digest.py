"""A manifest has one digest for ever, whatever the format learns."""

from __future__ import annotations

from typing import Any

import pytest

from tool_server.inspection.manifest_digest import manifest_digest
from tool_server.inspection.manifest_forms import parse_manifest

DOCUMENT: dict[str, Any] = {
    "name": "text",
    "version": "1.2.0",
    "description": "d",
    "tools": {
        "count": {
            "description": "c",
            "input": {"type": "object"},
            "annotations": {"readOnlyHint": True},
            "examples": [{"input": {}, "output": 1}],
        }
    },
    "permissions": {"network": ["api.example.com"], "secrets": ["K"]},
    "limits": {"memory": "64MiB"},
}


def digest_of(**fields: Any) -> str:
    return manifest_digest(parse_manifest({**DOCUMENT, **fields})[0])


def test_the_digest_is_what_the_first_release_made_of_it() -> None:
    assert digest_of() == "3191be966b936b4eb9a888426328e2a577bb37db7c45917ac95f6f47ad8ca22a"


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "e"},
        {"permissions": {**DOCUMENT["permissions"], "functions": ["app.greet"]}},
        {"tools": {"count": {**DOCUMENT["tools"]["count"], "task": "optional"}}},
        {"tools": {"count": {**DOCUMENT["tools"]["count"], "icons": [{"src": "data:image/png;base64,"}]}}},
        {"tools": {"count": {**DOCUMENT["tools"]["count"], "_meta": {"a": 1}}}},
        {"prompts": {"review": {}}},
        {"resources": [{"uri": "a:b", "name": "b", "text": "c"}]},
        {"resourceTemplates": [{"uriTemplate": "a:{b}", "name": "b"}]},
    ],
)
def test_whatever_a_manifest_says_counts(fields: dict[str, Any]) -> None:
    assert digest_of(**fields) != digest_of()
