"""Configuration files of hyper-mcp: its forms, and what is wrong with a file named by path, expected and got."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_server.errors import InvalidInput
from tool_server.inspection.foreign.host_config import (
    MAX_CONFIG_BYTES,
    HostConfig,
    anchored,
    parse_memory,
    read_host_config,
)

RUNTIME: dict[str, Any] = {
    "skip_tools": ["debug_.*", "^exact", "x|y"],
    "skip_prompts": ["p"],
    "allowed_hosts": ["a.example", "*"],
    "allowed_paths": ["/tmp", "/var/log:/logs"],
    "allowed_secrets": [{"service": "s", "user": "u"}],
    "env_vars": {"MODE": "fast", "TOKEN": "${TOKEN}", "WHERE": "${HERE:-there}", "LITERAL": "$${TOKEN}"},
    "memory_limit": "512Mi",
}
ENTRY: dict[str, Any] = {"url": "file:///p.wasm", "description": "Does things", "runtime_config": RUNTIME}


def read(document: object, **environment: str) -> HostConfig:
    return read_host_config(json.dumps(document).encode(), ".json", environment)


def test_a_plugin_is_read_with_all_that_its_host_knows() -> None:
    config = read({"auths": {}, "plugins": {"my_plugin": {**ENTRY, "colour": "red"}}})
    (plugin,) = config.plugins
    assert (plugin.name, plugin.url, plugin.description) == ("my_plugin", "file:///p.wasm", "Does things")
    assert plugin.filters == {"skip_tools": ("^debug_.*$", "^exact", "^x|y$"), "skip_prompts": ("^p$",)}
    assert (plugin.hosts, plugin.paths) == (("a.example", "*"), ("/tmp", "/var/log:/logs"))
    assert plugin.secrets == (("s", "u"),)
    assert plugin.variables == {"MODE": "fast", "WHERE": "there", "LITERAL": "${TOKEN}"}
    assert plugin.from_environment == {"TOKEN"}
    assert plugin.memory_bytes == 512 * 2**20
    assert (plugin.unknown, config.others) == (("colour",), ("auths",))


def test_the_list_of_the_first_releases_is_read_as_the_map_is() -> None:
    old = {
        "plugins": [{"name": "my_plugin", "path": "file:///p.wasm", **{k: v for k, v in ENTRY.items() if k != "url"}}]
    }
    assert read(old).plugins == read({"plugins": {"my_plugin": ENTRY}}).plugins


def test_json_yaml_and_toml_say_the_same() -> None:
    json_text = json.dumps({"plugins": {"p": {"url": "p.wasm", "runtime_config": {"env_vars": {"A": "1"}}}}})
    yaml_text = "plugins:\n  p:\n    url: p.wasm\n    runtime_config:\n      env_vars: {A: '1'}\n"
    toml_text = '[plugins.p]\nurl = "p.wasm"\n[plugins.p.runtime_config.env_vars]\nA = "1"\n'
    read_all = [
        read_host_config(text.encode(), suffix, {})
        for text, suffix in ((json_text, ".json"), (yaml_text, ".yaml"), (yaml_text, ".yml"), (toml_text, ".toml"))
    ]
    assert all(config == read_all[0] for config in read_all)


def test_variables_of_the_environment_are_put_into_texts_and_can_be_no_structure() -> None:
    entry = {"url": "${WHERE}/p.wasm", "runtime_config": {"allowed_hosts": ["${HOST:-fallback}", "$HOST"]}}
    (plugin,) = read({"plugins": {"p": entry}}, WHERE='/a", "b": "', HOST="").plugins
    assert plugin.url == '/a", "b": "/p.wasm'
    assert plugin.hosts == ("fallback", "$HOST")


def test_variables_that_are_not_set_are_all_named() -> None:
    entry = {"url": "${NO_A}", "runtime_config": {"env_vars": {"X": "${NO_B}", "NO_C": "${NO_C}"}}}
    with pytest.raises(InvalidInput) as caught:
        read({"plugins": {"p": entry}})
    assert caught.value.code == "missing_variable"
    assert caught.value.data == {"variables": ["NO_A", "NO_B"]}
    assert "NO_B at $.plugins.p.runtime_config.env_vars.X" in caught.value.message


@pytest.mark.parametrize(
    ("entry", "path", "expected"),
    [
        ([], "$.plugins.p", "an object"),
        ({}, "$.plugins.p.url", "a string"),
        ({"url": 5}, "$.plugins.p.url", "a string (put it into quotation marks)"),
        ({"url": "x", "description": []}, "$.plugins.p.description", "a string"),
        ({"url": "x", "runtime_config": []}, "$.plugins.p.runtime_config", "an object"),
        ({"skip_tools": "a"}, "$.plugins.p.runtime_config.skip_tools", "an array of strings"),
        ({"skip_tools": ["ok", "("]}, "$.plugins.p.runtime_config.skip_tools[1]", "a regular expression"),
        ({"skip_tools": ["(?=a)"]}, "$.plugins.p.runtime_config.skip_tools[0]", "a regular expression"),
        ({"allowed_hosts": [1]}, "$.plugins.p.runtime_config.allowed_hosts[0]", "a string"),
        ({"allowed_paths": {"a": "b"}}, "$.plugins.p.runtime_config.allowed_paths", "an array of strings"),
        ({"allowed_secrets": ["a"]}, "$.plugins.p.runtime_config.allowed_secrets[0]", "an object"),
        ({"allowed_secrets": [{"service": "a"}]}, "$.plugins.p.runtime_config.allowed_secrets[0].user", "a string"),
        ({"env_vars": ["A=b"]}, "$.plugins.p.runtime_config.env_vars", "an object"),
        ({"env_vars": {"A": True}}, "$.plugins.p.runtime_config.env_vars.A", "a string (put it"),
        ({"memory_limit": "much"}, "$.plugins.p.runtime_config.memory_limit", "a size"),
        ({"memory_limit": True}, "$.plugins.p.runtime_config.memory_limit", "a size"),
    ],
)
def test_a_bad_field_is_named_with_what_was_expected_and_got(entry: Any, path: str, expected: str) -> None:
    if entry and "url" not in entry:
        entry = {"url": "x", "runtime_config": entry}
    with pytest.raises(InvalidInput) as caught:
        read({"plugins": {"p": entry}})
    assert caught.value.code == "invalid_import"
    assert caught.value.data["path"] == path
    assert str(caught.value.data["expected"]).startswith(expected)
    assert str(caught.value.data["got"]) in caught.value.message


@pytest.mark.parametrize(
    ("data", "suffix", "words"),
    [
        (b"[]", ".json", "an object with 'plugins'"),
        (b"{}", ".json", "$.plugins"),
        (b'{"plugins": 5}', ".json", "$.plugins"),
        (b'{"plugins": [{"name": "a", "path": "x"}, {"name": "a", "path": "y"}]}', ".json", "$.plugins[1].name"),
        (b'{"plugins": [{"path": "x"}]}', ".json", "$.plugins[0].name"),
        (b'{"mcpServers": {}}', ".json", "an MCP client's list"),
        (b'{"installs": []}', ".json", "mcp.run's API"),
        (b"plugins: {a: {url: x}", ".yaml", "not YAML"),
        (b"\xff\xfe", ".yaml", "not UTF-8"),
        (b"plugins = 1\nplugins = 2", ".toml", "not TOML"),
        (b"a = " + b"[" * 5_000, ".toml", "not TOML"),
        (b"a = 2001-01-01\nplugins = 2001-01-01", ".toml", "got date"),
        (b"{}", ".ini", "'.ini' is no known ending"),
        (b"{}", "", "'no'"),
        (b"#" * (MAX_CONFIG_BYTES + 1), ".yaml", "larger than"),
        (json.dumps({"plugins": {f"p{n}": {"url": "x"} for n in range(501)}}).encode(), ".json", "at most 500"),
    ],
    ids=range(16),
)
def test_a_file_that_is_none_is_refused(data: bytes, suffix: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_host_config(data, suffix, {})
    assert words in caught.value.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["plugins", "p", "name", "url", "path", "runtime_config", *RUNTIME, "service", "user"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=25,
    )
)
def test_any_document_is_read_or_refused(value: object) -> None:
    with suppress(InvalidInput):  # anything else would be a defect
        plugins = read({"plugins": value}).plugins
        assert len(plugins) == len(cast(list[object], value))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("10B", 10), ("1k", 1000), ("2KB", 2000), ("1 MiB", 2**20), ("512Mi", 2**29),
        ("1.5GB", 1_500_000_000), ("1GiB", 2**30), (4096, 4096), ("1TB", 10**12),
        ("", None), ("-1", None), ("1 parsec", None), ("1KiBi", None), ("MB", None), ("1e9", None), ("1" * 20, None),
    ],
)  # fmt: skip
def test_memory_is_read_in_the_units_of_that_host(text: str | int, size: int | None) -> None:
    assert parse_memory(text) == size


def test_patterns_are_anchored_as_that_host_does_it() -> None:
    assert [anchored(pattern) for pattern in ("a", "^a", "a$", "\\Aa", "a\\z", "a|b")] == [
        "^a$", "^a", "a$", "\\Aa", "a\\z", "^a|b$",
    ]  # fmt: skip
