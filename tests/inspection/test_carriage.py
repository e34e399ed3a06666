"""Arguments to bytes and bytes to results, in every form."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types import CallToolResult

from tool_server.errors import CallFailed, InvalidInput
from tool_server.inspection.carriage import decode_output, encode_input
from tool_server.model.call import ToolResult
from tool_server.model.json_value import JsonObject, JsonValue
from tool_server.model.tool import Binding, InputForm, OutputForm, ToolDefinition, TypeSource


def encoded(form: InputForm, arguments: JsonObject) -> bytes:
    return encode_input(Binding(export="x", input=form), "count words", arguments, call_id="c-1")


def decoded(form: OutputForm, data: bytes, output_schema: JsonObject | None = None) -> ToolResult:
    definition = ToolDefinition(
        name="t",
        input_schema={"type": "object"},
        output_schema=output_schema,
        source=TypeSource.MANIFEST,
        binding=Binding(export="x", output=form),
    )
    return decode_output(definition, data)


def outcome(form: OutputForm, data: bytes) -> tuple[list[JsonObject] | None, str]:
    """The content blocks, or None and the error's code."""
    try:
        return list(decoded(form, data).content), "ok"
    except CallFailed as error:
        return None, error.code


def text(value: str) -> JsonObject:
    return {"type": "text", "text": value}


@pytest.mark.parametrize(
    ("form", "arguments", "expected"),
    [
        (InputForm.ARGUMENTS, {"a": [1, None], "ö": "ü"}, '{"a":[1,null],"ö":"ü"}'.encode()),
        (InputForm.ARGUMENTS, {}, b"{}"),
        (InputForm.VALUE, {"input": [1, 2.5]}, b"[1,2.5]"),
        (InputForm.VALUE, {"input": None}, b"null"),
        (InputForm.TEXT, {"input": "Grüße\n"}, "Grüße\n".encode()),
        (InputForm.TEXT, {}, b""),
        (InputForm.TEXT, {"input": None}, b""),
        (InputForm.BYTES, {"input": "AP8="}, b"\0\xff"),
        (InputForm.BYTES, {"input": ""}, b""),
        (InputForm.SERVLET, {"a": 1}, b'{"params":{"name":"count words","arguments":{"a":1}}}'),
        (
            InputForm.HYPER_V2,
            {"a": 1},
            b'{"request":{"name":"count words","arguments":{"a":1}},"context":{"id":"c-1","_meta":{}}}',
        ),
        (InputForm.HYPER_V2_REQUEST, {"uri": "a:b"}, b'{"request":{"uri":"a:b"},"context":{"id":"c-1","_meta":{}}}'),
    ],
)
def test_arguments_become_the_bytes_of_their_form(form: InputForm, arguments: JsonObject, expected: bytes) -> None:
    assert encoded(form, arguments) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (InputForm.ARGUMENTS, {"a": 1}),
        (InputForm.SERVLET, {"params": {"name": "t", "arguments": {"a": 1}, "_meta": {"progressToken": "progress"}}}),
        (
            InputForm.HYPER_V2,
            {
                "request": {"name": "t", "arguments": {"a": 1}},
                "context": {"id": "c-1", "_meta": {"progressToken": "progress"}},
            },
        ),
    ],
)
def test_a_plugin_of_another_host_gets_a_token_where_the_client_wants_to_hear_of_progress(
    form: InputForm, expected: JsonObject
) -> None:
    binding = Binding(export="x", input=form)
    assert json.loads(encode_input(binding, "t", {"a": 1}, call_id="c-1", wants_progress=True)) == expected


def test_every_form_is_in_the_tables_of_this_file() -> None:
    marks = [
        *_table(test_arguments_become_the_bytes_of_their_form),
        *_table(test_bytes_become_a_result),
        *_table(test_bytes_become_a_result_of_another_method),
    ]
    assert {row[0] for row in marks} == {*InputForm, *OutputForm}


def _table(test: object) -> list[tuple[object, ...]]:
    return test.pytestmark[0].args[1]  # pyright: ignore


@pytest.mark.parametrize(
    ("form", "arguments", "path"),
    [
        (InputForm.VALUE, {}, "$.input"),
        (InputForm.TEXT, {"input": 1}, "$.input"),
        (InputForm.TEXT, {"input": "\ud800"}, "$.input"),
        (InputForm.BYTES, {"input": "A"}, "$.input"),
        (InputForm.BYTES, {"input": "AP8= "}, "$.input"),
        (InputForm.BYTES, {"input": "ä==="}, "$.input"),
        (InputForm.BYTES, {"input": {}}, "$.input"),
        (InputForm.ARGUMENTS, {"a": "\ud800"}, "$"),
        (InputForm.ARGUMENTS, {"a": float("inf")}, "$"),
    ],
)
def test_arguments_that_cannot_be_carried_are_refused(form: InputForm, arguments: JsonObject, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        encoded(form, arguments)
    assert (caught.value.code, caught.value.data["path"]) == ("invalid_arguments", path)
    caught.value.message.encode()


@pytest.mark.parametrize(
    ("form", "data", "content", "structured"),
    [
        (OutputForm.JSON, b' {"n": 1, "o": "\xc3\xb6"} ', '{"n":1,"o":"ö"}', {"n": 1, "o": "ö"}),
        (OutputForm.VALUE, b"[1]", '{"result":[1]}', {"result": [1]}),
        (OutputForm.VALUE, b"null", '{"result":null}', {"result": None}),
        (OutputForm.TEXT, b"hi", "hi", None),
        (OutputForm.TEXT, b"", "", None),
        (OutputForm.TEXT_VALUE, b"a\nb", "a\nb", {"result": "a\nb"}),
        (OutputForm.BYTES, b"\0\xff", '{"result":"AP8="}', {"result": "AP8="}),
        (OutputForm.CONTENT, b'{"content":[{"type":"text","text":"hi"}]}', "hi", None),
    ],
)
def test_bytes_become_a_result(form: OutputForm, data: bytes, content: str, structured: JsonObject | None) -> None:
    assert decoded(form, data) == ToolResult((text(content),), structured)


@pytest.mark.parametrize(
    ("form", "data", "result"),
    [
        (
            OutputForm.PROMPT,
            b'{"messages":[{"role":"user","content":{"type":"text","text":"a"},"x":1}],"description":null}',
            {"messages": [{"role": "user", "content": {"type": "text", "text": "a"}}]},
        ),
        (
            OutputForm.RESOURCE,
            b'{"contents":[{"text":"a","_meta":{"b":1}},{"uri":"a:b","blob":"AP8=","mimeType":"a/b"}]}',
            {
                "contents": [
                    {"uri": "", "text": "a", "_meta": {"b": 1}},
                    {"uri": "a:b", "mimeType": "a/b", "blob": "AP8="},
                ]
            },
        ),
        (
            OutputForm.COMPLETION,
            b'{"completion":{"values":["a"],"total":null},"_meta":{"tool-server/x":1}}',
            {"completion": {"values": ["a"]}},
        ),
    ],
)
def test_bytes_become_a_result_of_another_method(form: OutputForm, data: bytes, result: JsonObject) -> None:
    assert decoded(form, data) == ToolResult((), result)


@settings(max_examples=60)
@given(st.binary())
def test_bytes_come_back_as_they_went(data: bytes) -> None:
    written = base64.b64encode(data).decode()
    assert encoded(InputForm.BYTES, {"input": written}) == data
    assert decoded(OutputForm.BYTES, data).structured == {"result": written}


PNG = base64.b64encode(b"\x89PNG").decode()
IMAGE: JsonObject = {"type": "image", "data": PNG, "mimeType": "image/png"}

BLOCKS: list[tuple[JsonObject, JsonObject]] = [
    ({"type": "text", "text": "a", "mimeType": "text/plain", "data": None, "annotations": None}, text("a")),
    (
        {
            "type": "text",
            "text": "a",
            "annotations": {"audience": ["user"], "priority": 0.5, "x": 1},
            "_meta": {"k": 1},
        },
        {**text("a"), "annotations": {"audience": ["user"], "priority": 0.5}, "_meta": {"k": 1}},
    ),
    ({"type": "text", "text": "a", "annotations": {"audience": ["bot"], "priority": 7}}, text("a")),
    (
        {"type": "text", "text": "a", "annotations": {"audience": [], "lastModified": "t"}},
        {**text("a"), "annotations": {"lastModified": "t"}},
    ),
    (IMAGE, IMAGE),
    ({**IMAGE, "text": None}, IMAGE),
    ({"type": "audio", "data": "", "mimeType": "audio/wav"}, {"type": "audio", "data": "", "mimeType": "audio/wav"}),
    (
        {"type": "resource", "resource": {"uri": "file:///a", "text": "t", "mimeType": "text/x", "_meta": {"a": 1}}},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "t", "mimeType": "text/x", "_meta": {"a": 1}}},
    ),
    (
        {"type": "resource", "resource": {"uri": "u:a", "blob": PNG, "text": None}},
        {"type": "resource", "resource": {"uri": "u:a", "blob": PNG}},
    ),
    (
        {"type": "resource", "text": "t", "mimeType": "text/csv"},
        {"type": "resource", "resource": {"uri": "urn:tool-output:0", "mimeType": "text/csv", "text": "t"}},
    ),
    (
        {"type": "resource", "data": PNG, "uri": "u:b"},
        {"type": "resource", "resource": {"uri": "u:b", "blob": PNG}},
    ),
    ({"type": "resource", "blob": PNG}, {"type": "resource", "resource": {"uri": "urn:tool-output:0", "blob": PNG}}),
    (
        {
            "type": "resource_link",
            "uri": "u:a",
            "name": "n",
            "title": None,
            "description": "d",
            "size": 3,
            "icons": [{"src": "u:i"}],
        },
        {"type": "resource_link", "uri": "u:a", "name": "n", "description": "d", "size": 3, "icons": [{"src": "u:i"}]},
    ),
    (
        {"type": "resource_link", "uri": "u:a", "name": "n", "size": -1, "icons": [1]},
        {"type": "resource_link", "uri": "u:a", "name": "n"},
    ),
]


@pytest.mark.parametrize(("written", "block"), BLOCKS)
def test_a_block_takes_the_shape_of_mcp(written: JsonObject, block: JsonObject) -> None:
    result = decoded(OutputForm.CONTENT, json.dumps({"content": [written, {}]}).encode())
    assert result.content == (block,)
    parsed = CallToolResult.model_validate({"content": list(result.content)})
    assert parsed.model_dump(mode="json", by_alias=True, exclude_none=True)["content"] == [block]


RESULTS: list[tuple[JsonObject, JsonObject | None, ToolResult]] = [
    ({"content": []}, None, ToolResult(())),
    ({"content": [text("no")], "isError": True}, None, ToolResult((text("no"),), is_error=True)),
    (
        {"content": [text("a")], "isError": None, "structuredContent": None, "_meta": None},
        None,
        ToolResult((text("a"),)),
    ),
    (
        {"content": [text("a")], "structuredContent": {"n": 1}, "_meta": {"k": 2}},
        None,
        ToolResult((text("a"),), {"n": 1}, meta={"k": 2}),
    ),
    ({"structuredContent": {"n": 1}}, None, ToolResult((text('{"n":1}'),), {"n": 1})),
    ({"content": [IMAGE], "structuredContent": {"n": 1}}, None, ToolResult((IMAGE, text('{"n":1}')))),
    (
        {"content": [IMAGE], "structuredContent": {"n": 1}},
        {"type": "object"},
        ToolResult((IMAGE, text('{"n":1}')), {"n": 1}),
    ),
]


@pytest.mark.parametrize(("written", "output_schema", "result"), RESULTS)
def test_an_mcp_result_is_passed_on(written: JsonObject, output_schema: JsonObject | None, result: ToolResult) -> None:
    assert decoded(OutputForm.CONTENT, json.dumps(written).encode(), output_schema) == result


BAD: list[tuple[OutputForm, bytes, str]] = [
    (OutputForm.JSON, b"", "$"),
    (OutputForm.JSON, b"hello", "$"),
    (OutputForm.JSON, b"[1]", "$"),
    (OutputForm.JSON, b'{"a": 1e999}', "$"),
    (OutputForm.JSON, b'{"a": "\\ud800"}', "$"),
    (OutputForm.JSON, b"[" * 200, "$"),
    (OutputForm.VALUE, b"", "$"),
    (OutputForm.VALUE, b"NaN", "$"),
    (OutputForm.VALUE, b"\xff", "$"),
    (OutputForm.TEXT, b"ab\xff", "$"),
    (OutputForm.TEXT_VALUE, b"\xc3", "$"),
    (OutputForm.CONTENT, b"", "$"),
    (OutputForm.CONTENT, b"[]", "$"),
    (OutputForm.CONTENT, b"{}", "content"),
    (OutputForm.CONTENT, b'{"content": "x"}', "content"),
    (OutputForm.CONTENT, b'{"content": [], "isError": "yes"}', "isError"),
    (OutputForm.CONTENT, b'{"content": [], "structuredContent": [1]}', "structuredContent"),
    (OutputForm.CONTENT, b'{"content": [{"type": "text", "text": "\\ud800"}]}', "$"),
]
BAD_BLOCKS: list[tuple[JsonValue, str]] = [
    ("x", "content[1]"),
    ({"text": "x"}, "content[1].type"),
    ({"type": "video", "data": ""}, "content[1].type"),
    ({"type": "text"}, "content[1].text"),
    ({"type": "text", "text": 5}, "content[1].text"),
    ({"type": "image", "mimeType": "image/png"}, "content[1].data"),
    ({"type": "image", "data": PNG}, "content[1].mimeType"),
    ({"type": "image", "data": "not base64!", "mimeType": "image/png"}, "content[1].data"),
    ({"type": "audio", "data": "AP8", "mimeType": "audio/wav"}, "content[1].data"),
    ({"type": "resource"}, "content[1].data"),
    ({"type": "resource", "resource": []}, "content[1].resource"),
    ({"type": "resource", "resource": {"uri": "u:a"}}, "content[1].resource.blob"),
    ({"type": "resource", "resource": {"uri": 1, "text": "a"}}, "content[1].resource.uri"),
    ({"type": "resource", "resource": {"uri": "u:a", "blob": "ä"}}, "content[1].resource.blob"),
    ({"type": "resource", "text": "a", "mimeType": 1}, "content[1].mimeType"),
    ({"type": "resource_link", "uri": "u:a"}, "content[1].name"),
    ({"type": "resource_link", "name": "a"}, "content[1].uri"),
    ({"type": "resource_link", "uri": "u:a", "name": "n", "title": 1}, "content[1].title"),
]


@pytest.mark.parametrize(
    ("form", "data", "path"),
    [
        *BAD,
        *(
            (OutputForm.CONTENT, json.dumps({"content": [text("ok"), block]}).encode(), path)
            for block, path in BAD_BLOCKS
        ),
    ],
)
def test_an_output_that_does_not_fit_its_form_is_bad_output(form: OutputForm, data: bytes, path: str) -> None:
    with pytest.raises(CallFailed) as caught:
        decoded(form, data)
    error = caught.value
    assert (error.code, error.data["path"]) == ("bad_output", path)
    assert error.data["expected"]
    assert error.data["got"]
    error.message.encode()
    json.dumps(error.data, allow_nan=False).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["text", "image", "resource", PNG, "urn:a"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "data", "mimeType", "resource", "uri", "blob", "annotations"]), children
        )
    ),
    max_leaves=8,
)


@settings(max_examples=120)
@given(st.lists(json_values, max_size=3))
def test_any_content_is_refused_or_becomes_what_the_sdk_takes(blocks: list[JsonValue]) -> None:
    content, code = outcome(OutputForm.CONTENT, json.dumps({"content": blocks}).encode())
    assert (content is None) == (code == "bad_output")
    CallToolResult.model_validate({"content": content or []})


@settings(max_examples=60)
@given(st.sampled_from(OutputForm), st.binary(max_size=40))
def test_any_bytes_are_a_result_or_bad_output(form: OutputForm, data: bytes) -> None:
    content, code = outcome(form, data)
    assert (content is None) == (code == "bad_output")
