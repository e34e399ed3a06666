"""The OpenAPI document: complete, consistent, and true of the running server.

Besides what is here, `conformance` holds every response that any test of this folder sees against the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import jsonschema_rs
import pytest
from anyio import to_thread
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.openapi import from_url

from tests.http_api.conformance import Conformance
from tests.http_api.registry import Registry, running_registry
from tests.http_api.test_app import rest_services
from tool_server.http_api.app import registry_routes
from tool_server.http_api.openapi import openapi_document
from tool_server.http_api.resource import Resource

WHOAMI: dict[str, Any] = {"name": "x", "scopes": ["read"], "anonymous": False, "server": {"version": "1"}}
PROBLEM: dict[str, Any] = {
    **{"type": "urn:tool-server:error:a", "title": "A", "status": 403, "detail": "a", "code": "a", "kind": "denied"},
    "data": {},
}
PARAMETER = re.compile(r"\{\w+(:\w+)?\}")


def references(value: Any) -> Iterator[str]:
    """Every `$ref` below a value."""
    if isinstance(value, dict):
        for key, below in cast("dict[str, Any]", value).items():
            if key == "$ref":
                yield below
            yield from references(below)
    elif isinstance(value, list):
        for below in cast("list[Any]", value):
            yield from references(below)


async def test_every_route_is_documented_and_nothing_else(registry: Registry) -> None:
    served: set[tuple[str, str]] = set()
    for route in registry_routes(rest_services(registry)):
        endpoint = getattr(route, "endpoint", None)
        assert isinstance(endpoint, Resource)
        path = PARAMETER.sub("{}", getattr(route, "path", ""))
        served |= {(method.lower(), path) for method in endpoint.endpoints}
    document = openapi_document("1.2.3")
    documented = {
        (method, PARAMETER.sub("{}", path))
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert documented == served


async def test_the_document_is_served_as_it_is_made(registry: Registry) -> None:
    async with registry.client("read") as client:
        served = (await client.get("/api/openapi.json")).json()
    assert served == openapi_document(served["info"]["version"])
    assert served["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    document = openapi_document("1.2.3")
    used = set(references(document))
    components = {
        f"#/components/{group}/{name}"
        for group, items in document["components"].items()
        if group != "securitySchemes"
        for name in items
    }
    assert used <= components
    assert components - used == {"#/components/schemas/IndexLine"}


def test_operations_have_distinct_names_and_say_who_may() -> None:
    operations = [
        operation
        for item in openapi_document("1.2.3")["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"]
        for requirement in operation["security"]:
            assert requirement == {} or requirement["bearer"][0] in ("read", "call", "publish", "admin")
    may_be_anonymous = {operation["operationId"] for operation in operations if {} in operation["security"]}
    assert {"list_tools", "call_tool", "whoami"} <= may_be_anonymous
    assert may_be_anonymous.isdisjoint({"publish", "install", "create_token", "list_calls", "yank"})


# Random bytes are no plugin, and most random texts no npm range: these say 400 to what the schema alone lets pass.
_NOT_ALL_IN_THE_SCHEMA = ("POST /api/v1/plugins", "GET /api/v1/plugins/{plugin}", "PUT /api/v1/installations/{plugin}")


def schemathesis_settings(registry: Registry) -> dict[str, Any]:
    """All checks, on what the coverage phase makes of the schema and a little fuzzing."""
    return {
        "base-url": registry.url,
        "headers": {"Authorization": f"Bearer {registry.secrets['admin']}"},
        "phases": {"coverage": {"unexpected-methods": ["PATCH"]}, "stateful": {"enabled": False}},
        "generation": {"max-examples": 2, "deterministic": True, "database": "none"},
        "operations": [
            {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}}
            for name in _NOT_ALL_IN_THE_SCHEMA
        ],
    }


def fuzz(registry: Registry) -> tuple[list[str], set[str]]:
    """What schemathesis finds wrong, and the operations that it sent requests to."""
    settings = schemathesis_settings(registry)
    schema = from_url(
        f"{registry.url}/api/openapi.json",
        config=SchemathesisConfig.from_dict(settings),  # pyright: ignore[reportUnknownMemberType]
        headers=settings["headers"],
    )
    faults: list[str] = []
    visited: set[str] = set()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                visited.add(recorder.label)
                failed = [node for nodes in recorder.checks.values() for node in nodes if node.failure_info is not None]
                faults += [f"{recorder.label}: {node.name}: {node.failure_info}" for node in failed]
            case events.NonFatalError() | events.FatalError():
                faults.append(repr(event))
            case _:
                pass
    return faults, visited


@pytest.mark.slow
async def test_schemathesis_finds_nothing_that_the_document_does_not_say(tmp_path: Path) -> None:
    # Without anonymous callers, so that a request without its token must be refused everywhere.
    async with running_registry(tmp_path, auth={"anonymous_loopback": False}) as registry:
        faults, visited = await to_thread.run_sync(fuzz, registry)
    assert not faults, "\n".join(faults)
    documented = {
        f"{method.upper()} {path}"
        for path, item in openapi_document("1")["paths"].items()
        for method in item.keys() - {"parameters"}
    }
    assert documented - visited <= {"GET /api/openapi.json"}


WRONG: list[tuple[int, dict[str, str], dict[str, Any]]] = [
    (418, {}, {}),
    (200, {"Content-Type": "text/html"}, {}),
    (200, {}, {"name": "x"}),
    (200, {}, {**WHOAMI, "scopes": ["root"]}),
    (200, {}, {**WHOAMI, "extra": 1}),
    (401, {"Content-Type": "application/problem+json"}, PROBLEM),
    (403, {"Content-Type": "application/problem+json"}, {**PROBLEM, "kind": "other"}),
]


@pytest.mark.parametrize(("status", "headers", "body"), WRONG)
async def test_the_conformance_check_of_these_tests_sees_what_is_wrong(
    status: int, headers: dict[str, str], body: dict[str, Any]
) -> None:
    request = httpx.Request("GET", "http://server/api/v1/whoami")
    good = httpx.Response(200, json=WHOAMI, request=request)
    await Conformance().check(good)
    bad = httpx.Response(status, json=body, headers=headers, request=request)
    with pytest.raises((AssertionError, jsonschema_rs.ValidationError)):
        await Conformance().check(bad)
