"""What plugins tell of their prompts and resources, and what they answer, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tool_server.errors import CallFailed
from tool_server.inspection.described_items import LIST_EXPORTS, read_items
from tool_server.inspection.item_results import completion_result, prompt_result, resource_result
from tool_server.model.item_kind import ItemKind
from tool_server.model.tool import Severity

FIELDS = ("prompts", "resources", "resourceTemplates")

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_keys = st.sampled_from(
    [
        *("name", "uri", "uriTemplate", "title", "description", "arguments", "required", "annotations", "audience"),
        *("priority", "size", "mimeType", "icons", "src", "_meta", "export", "text", "blob", "role", "content", "type"),
        *("messages", "contents", "completion", "values", "total", "hasMore", "data"),
    ]
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=5), max_leaves=12
)


@settings(max_examples=150)
@given(st.lists(_values, min_size=3, max_size=3))
def test_whatever_a_plugin_lists_nothing_but_good_entries_is_kept(entries: list[Any]) -> None:
    outputs = [
        json.dumps({field: entry if isinstance(entry, list) else [entry]}).encode()
        for field, entry in zip(FIELDS, entries, strict=True)
    ]
    items = read_items(outputs)
    assert all(name for name, _ in items.prompts)
    assert all(resource.text is None and resource.export is None for resource in items.resources)
    assert all(finding.severity is Severity.WARN for finding in items.findings)


@pytest.mark.parametrize("output", [b"", b"null", b"[]", b"{", b'{"prompts":{}}', b"\xff", b'{"prompts":' + b"[" * 600])
def test_what_is_no_list_is_a_warning(output: bytes) -> None:
    items = read_items([output, b'{"resources":[]}', b'{"resourceTemplates":[]}'])
    assert [finding.rule for finding in items.findings] == ["description-failed"]
    assert LIST_EXPORTS[0] in items.findings[0].message


def test_what_only_an_author_may_say_is_not_taken_from_a_plugin() -> None:
    entry = {"uri": "a:b", "text": "x", "export": "steal", "annotations": {"priority": 9, "audience": ["user"]}}
    (resource,) = read_items([b"{}", json.dumps({"resources": [entry]}).encode(), b"{}"]).resources
    assert (resource.text, resource.export, resource.name) == (None, None, "a:b")
    assert resource.annotations is not None
    assert (resource.annotations.priority, resource.annotations.audience) == (None, ("user",))


def test_a_bad_entry_is_held_back_with_its_kind_and_hides_no_other() -> None:
    entries = [{"name": "a", "arguments": [{"name": 1}]}, {"name": "b", "title": 1}, 7, {"name": "c"}]
    items = read_items([json.dumps({"prompts": entries}).encode(), b"{}", b"{}"])
    assert [name for name, _ in items.prompts] == ["c"]
    assert [(held.kind, held.name) for held in items.quarantined] == [
        (ItemKind.PROMPT, "a"),
        (ItemKind.PROMPT, "b"),
        (ItemKind.PROMPT, "prompts[2]"),
    ]


@settings(max_examples=150)
@given(st.dictionaries(_keys, _values, max_size=4))
def test_whatever_a_plugin_answers_it_is_mcps_result_or_bad_output(result: dict[str, Any]) -> None:
    for read, field in ((prompt_result, "messages"), (resource_result, "contents"), (completion_result, "completion")):
        code = "bad_output"
        try:
            assert field in read(result)
        except CallFailed as error:
            code = error.code
        assert code == "bad_output"
