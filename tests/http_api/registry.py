"""A running registry for tests: clients with tokens of any scope, and plugins to publish."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from tests.http_api.conformance import Conformance
from tests.support.guests import guest
from tests.support.http_server import serving
from tool_server.bootstrap.http import http_application
from tool_server.bootstrap.services import Services, build
from tool_server.config import Config
from tool_server.model.caller import LOCAL, Scope

ADD_TOOL = {
    "title": "Add",
    "description": "Adds two integers.",
    "input": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "output": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]},
    "annotations": {"readOnlyHint": True},
}


def described(name: str) -> dict[str, Any]:
    """The declaration of a guest's tool that takes any object and answers with text."""
    return {"description": f"Runs {name}.", "input": {"type": "object"}}


@dataclass
class Registry:
    """One server, and whom it knows."""

    services: Services
    app: ASGIApp
    url: str
    secrets: Mapping[str, str]
    """Bearer tokens by the name of their one scope."""
    conformance: Conformance = field(default_factory=Conformance)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def client(self, scope: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client with a token of that scope, or without any; it holds all answers against OpenAPI."""
        if scope is not None:
            headers["Authorization"] = f"Bearer {self.secrets[scope]}"
        return httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=60,
            trust_env=False,
            event_hooks={"response": [self.conformance.check]},
        )

    def fresh_name(self, prefix: str = "plugin") -> str:
        """A plugin name that no other test uses."""
        return f"{prefix}-{next(self._numbers)}"

    async def publish(
        self, name: str, version: str = "1.0.0", *, scope: str = "publish", wasm: bytes | None = None, **manifest: Any
    ) -> httpx.Response:
        """Publish a guest, by default the one that adds."""
        document = {"name": name, "version": version, "tools": {"add": ADD_TOOL}, **manifest}
        async with self.client(scope) as client:
            return await client.post("/api/v1/plugins", files=upload(document, guest("add") if wasm is None else wasm))

    async def installed(self, name: str | None = None, *, guest_name: str = "add", **manifest: Any) -> str:
        """Publish and install a guest; the plugin's name."""
        name = name or self.fresh_name()
        manifest.setdefault("tools", {guest_name: ADD_TOOL if guest_name == "add" else described(guest_name)})
        published = await self.publish(name, wasm=guest(guest_name), **manifest)
        assert published.status_code == 201, published.text
        async with self.client("admin") as client:
            installed = await client.put(f"/api/v1/installations/{name}")
        assert installed.status_code == 201, installed.text
        return name


def upload(manifest: object, wasm: bytes) -> dict[str, tuple[str, bytes, str]]:
    """The two parts of a publish, for httpx's `files`."""
    return {
        "manifest": ("plugin.json", json.dumps(manifest).encode(), "application/json"),
        "wasm": ("plugin.wasm", wasm, "application/wasm"),
    }


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that a response holds, which must be complete."""
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code", "kind", "data"}
    assert (problem["status"], problem["type"]) == (status, f"urn:tool-server:error:{code}")
    assert problem["detail"]
    return problem


@asynccontextmanager
async def running_registry(data_dir: Path, **settings: Any) -> AsyncGenerator[Registry]:
    """The product on a data folder of its own."""
    config = Config.model_validate({"data_dir": data_dir, "workers": 1, "spare_workers": 0, **settings})
    async with build(config, environment={}) as services:
        app = http_application(services, port=0).app
        made = {str(scope): await services.tokens.create(f"{scope}-token", [scope], LOCAL) for scope in Scope}
        async with serving(app) as url:
            yield Registry(services, app, url, {scope: token.secret for scope, token in made.items()})
