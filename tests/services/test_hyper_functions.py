"""The host functions of hyper-mcp as its plugins use them, through the whole server."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.services.conftest import ENVIRONMENT
from tests.services.publishing import publish, until
from tests.support.guests import guest
from tool_server.bootstrap.services import Services
from tool_server.errors import CallFailed
from tool_server.model.call import CallRecord
from tool_server.model.caller import LOCAL
from tool_server.model.permission import Permissions
from tool_server.model.settings import InstallationSettings

ENTRY = {"service": "my-app", "user": "admin"}
CREDENTIALS = {"client_id": "me", "token_endpoint_url": "https://login/token", "scopes": ["read"], "client_secret": "x"}
NOTICES = {
    "notify_progress": {"progressToken": 7, "progress": 0.5, "total": 1, "message": "half"},
    "notify_logging_message": {"level": "notice", "data": {"step": 1}, "logger": "worker"},
    "notify_resource_updated": {"uri": "file:///a"},
    "notify_url_elicitation_completed": {"elicitationId": "e1"},
    "notify_tool_list_changed": {},
    "notify_prompt_list_changed": {},
    "notify_resource_list_changed": {},
}
FORM: dict[str, Any] = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}, "timeout": 1.5}


@pytest.fixture(params=["hyper_v1_surface", "hyper_v2_surface"])
def surface(request: pytest.FixtureRequest) -> str:
    """The guest of either generation."""
    return str(request.param)


async def offered(
    services: Services, name: str, surface: str, *secrets: str, granted: bool = True, **settings: Any
) -> None:
    """Offer the guest with secrets that it requests, granted or not."""
    wanted = Permissions(secrets=secrets, environment=("COLOUR", "SIZE"))
    await publish(services, name, wasm=guest(surface), permissions=wanted.model_dump())
    await services.install.install(
        name, "", LOCAL, wanted if granted else Permissions(), InstallationSettings(**settings)
    )


async def use(services: Services, plugin: str, function: str, block: object = "", tool: str = "use") -> str:
    """What the function gives to the guest, as far as it reaches the caller."""
    text = block if isinstance(block, str) else json.dumps(block)
    result = await services.invoke.call(f"{plugin}_{tool}", {"function": function, "block": text}, LOCAL)
    assert not result.is_error
    return str(result.content[0]["text"])


async def record_of(services: Services, plugin: str) -> CallRecord:
    """The record of the plugin's last call."""
    found: list[CallRecord] = []

    async def written() -> bool:
        found[:] = await services.call_log.recent(1, tool=f"{plugin}_use")
        return bool(found)

    await until(written)
    return found[0]


async def test_a_granted_secret_reaches_the_guest_and_nobody_else(
    services: Services, name: str, surface: str, caplog: pytest.LogCaptureFixture
) -> None:
    await services.secrets.set_secret("my-app.admin", "s3cret-value", (), LOCAL)
    await offered(services, name, surface, "my-app.admin")
    assert await use(services, name, "length_of_secret", ENTRY) == "12"
    with caplog.at_level(logging.DEBUG):
        shown = await use(services, name, "get_keyring_secret", ENTRY)
    assert shown == "[secret my-app.admin]"
    assert "s3cret-value" not in caplog.text
    reads = (await record_of(services, name)).secret_reads
    assert [(read.name, read.outcome) for read in reads] == [("my-app.admin", "ok")]


@pytest.mark.parametrize(
    ("service", "stored", "requested", "granted", "outcome"),
    [
        ("denied", True, True, False, "not_permitted"),
        ("unasked", True, False, True, "not_permitted"),
        ("missing", False, True, True, "unknown_secret"),
        ("bound", True, True, True, "bound_to_hosts"),
    ],
)
async def test_a_secret_that_a_plugin_may_not_have_is_empty_bytes(
    services: Services, name: str, service: str, stored: bool, requested: bool, granted: bool, outcome: str
) -> None:
    secret = f"{service}.user"
    if stored:
        hosts = ("api.example.com",) if outcome == "bound_to_hosts" else ()
        await services.secrets.set_secret(secret, "value-of-somebody", hosts, LOCAL)
    await offered(services, name, "hyper_v2_surface", *((secret,) if requested else ()), granted=granted)
    entry = {"service": service, "user": "user"}
    assert await use(services, name, "length_of_secret", entry) == "0"
    (read,) = (await record_of(services, name)).secret_reads
    assert (read.name, read.outcome) == (secret, outcome)


async def test_a_plugin_cannot_read_what_is_granted_to_another(services: Services, name: str) -> None:
    await services.secrets.set_secret("theirs.user", "not-for-everybody", (), LOCAL)
    await offered(services, f"{name}-a", "hyper_v2_surface", "theirs.user")
    await offered(services, f"{name}-b", "hyper_v2_surface", "mine.user")
    entry = {"service": "theirs", "user": "user"}
    assert await use(services, f"{name}-a", "length_of_secret", entry) == "17"
    assert await use(services, f"{name}-b", "length_of_secret", entry) == "0"


async def test_a_secret_for_references_cannot_be_named_by_way_of_the_keyring(services: Services, name: str) -> None:
    await services.secrets.set_secret("API_KEY", "only-by-reference", (), LOCAL)
    await offered(services, name, "hyper_v2_surface", "API_KEY")
    for service, user in (("API_KEY", ""), ("", "API_KEY"), ("API_", "KEY")):
        assert await use(services, name, "length_of_secret", {"service": service, "user": user}) == "0"


async def test_an_access_token_is_the_secret_of_its_client_or_null(services: Services, name: str, surface: str) -> None:
    await services.secrets.set_secret("login.me", "token-of-the-client", (), LOCAL)
    await offered(services, name, surface, "login.me")
    given = json.loads(await use(services, name, "get_access_token", CREDENTIALS))
    assert given == {"access_token": "[secret login.me]", "expires_at": None, "scopes": None}
    other = {**CREDENTIALS, "client_id": "somebody"}
    assert await use(services, name, "get_access_token", other) == "null"


async def test_notices_without_a_client_do_nothing_and_return(services: Services, name: str, surface: str) -> None:
    await offered(services, name, surface)
    for function, block in NOTICES.items():
        assert await use(services, name, function, block) == ""


async def test_log_messages_stand_in_the_guests_log(
    services: Services, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await services.secrets.set_secret("log.user", "secret-in-a-log", (), LOCAL)
    await offered(services, name, "hyper_v2_surface", "log.user")
    with caplog.at_level(logging.DEBUG, logger="tool_server.guest"):
        for level in ("debug", "notice", "warning", "emergency"):
            await use(services, name, "notify_logging_message", {"level": level, "data": {"at": level}, "logger": "w"})
    lines = [(line.levelname, line.getMessage()) for line in caplog.records if line.name == "tool_server.guest"]
    assert lines == [
        ("DEBUG", 'w: {"at":"debug"}'),
        ("INFO", 'w: {"at":"notice"}'),
        ("WARNING", 'w: {"at":"warning"}'),
        ("ERROR", 'w: {"at":"emergency"}'),
    ]


@pytest.mark.parametrize(
    ("function", "block", "expected"),
    [
        (
            "create_elicitation",
            FORM,
            {"action": "decline", "content": {"error": "Peer does not support form elicitation"}},
        ),
        (
            "create_elicitation",
            {"mode": "url", "message": "Open", "url": "https://a.example", "elicitationId": "1"},
            {"action": "decline", "content": {"error": "Peer does not support url elicitation"}},
        ),
        (
            "create_message",
            {"messages": [], "maxTokens": 5},
            {
                "role": "assistant",
                "content": {"type": "text", "text": "Peer does not support sampling"},
                "model": "",
                "stopReason": "error",
            },
        ),
        ("list_roots", {}, {"roots": []}),
    ],
)
async def test_questions_to_a_client_that_cannot_be_asked_get_what_that_host_says(
    services: Services, name: str, function: str, block: object, expected: object
) -> None:
    await offered(services, name, "hyper_v1_surface")
    assert json.loads(await use(services, name, function, block)) == expected


@pytest.mark.parametrize(
    ("function", "block", "place"),
    [
        ("get_keyring_secret", {"service": "a"}, "$.user"),
        ("get_keyring_secret", "{", "not JSON"),
        ("get_keyring_secret", [], "$: expected an object"),
        ("get_access_token", {"client_id": "a", "token_endpoint_url": "nowhere"}, "$.token_endpoint_url"),
        ("notify_progress", {"progressToken": True, "progress": 1}, "$.progressToken"),
        ("notify_progress", {"progressToken": "a", "progress": "1"}, "$.progress"),
        ("notify_logging_message", {"level": "loud", "data": 1}, "$.level"),
        ("notify_logging_message", {"level": "info"}, "$.data"),
        ("notify_resource_updated", {"uri": 1}, "$.uri"),
        ("notify_url_elicitation_completed", {"elicitationId": None}, "$.elicitationId"),
        ("create_elicitation", {"message": "a"}, "$.requestedSchema"),
        ("create_elicitation", {**FORM, "timeout": -1}, "$.timeout"),
        ("create_elicitation", {**FORM, "mode": "post"}, "$.mode"),
        ("create_message", {"messages": [], "maxTokens": -1}, "$.maxTokens"),
    ],
)
async def test_what_is_not_the_functions_argument_ends_the_call_naming_the_place(
    services: Services, name: str, function: str, block: object, place: str
) -> None:
    await offered(services, name, "hyper_v2_surface")
    with pytest.raises(CallFailed) as caught:
        await use(services, name, function, block)
    assert caught.value.code == "host_function"
    assert function in caught.value.message
    assert place in caught.value.message


async def test_settings_of_the_installation_go_before_those_of_the_server(services: Services, name: str) -> None:
    await offered(services, name, "hyper_v2_surface", config={"SIZE": "large", "HIDDEN": "not granted"})

    async def setting(key: str) -> str:
        result = await services.invoke.call(f"{name}_setting", {"key": key}, LOCAL)
        return str(result.content[0]["text"])

    assert [await setting(key) for key in ("SIZE", "COLOUR", "HIDDEN")] == ["large", ENVIRONMENT["COLOUR"], ""]
    await services.install.install(name, "", LOCAL, settings=InstallationSettings(config={"COLOUR": "red"}))
    assert [await setting(key) for key in ("SIZE", "COLOUR")] == ["", "red"]


async def test_tools_that_the_installation_leaves_out_are_not_offered(services: Services, name: str) -> None:
    await offered(services, name, "hyper_v2_surface", skip_tools=("^debug_.*$",))
    assert services.catalog.current.tools_of(name) == (f"{name}_setting", f"{name}_use")
    assert await services.catalog.find(f"{name}_debug_dump") is None
    assert await services.plugins.check() == ()
    await services.install.install(name, "", LOCAL)
    assert len(services.catalog.current.tools_of(name)) == 2
    await services.install.install(name, "", LOCAL, settings=InstallationSettings())
    assert len(services.catalog.current.tools_of(name)) == 3
