"""The OpenAPI 3.1 document, made of the operations and of the models' JSON Schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tool_server.http_api.operations import OPERATIONS, Operation, Success
from tool_server.http_api.problems import PROBLEM_JSON
from tool_server.http_api.shapes import IndexLine, Problem
from tool_server.model.caller import ANONYMOUS
from tool_server.model.names import MAX_PLUGIN_NAME
from tool_server.model.secret import SECRET_NAME_PATTERN
from tool_server.model.versions import MAX_LENGTH as MAX_VERSION

_ALWAYS = (400, 401, 403, 421, 500, 503)
"""Problems that every operation for callers may answer with."""

_NAME_PART = f"[a-z][a-z0-9-]{{0,{MAX_PLUGIN_NAME - 1}}}"
_IDENTIFIER = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
# semver.org's grammar, its numbers no longer than this server takes them.
_VERSION = (
    r"^(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})"
    rf"(-{_IDENTIFIER}(\.{_IDENTIFIER})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$"
)

_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "plugin": {
        "description": "`name` or `@scope/name`; encode the slash as `%2F` or leave it",
        "schema": {"type": "string", "pattern": f"^(@{_NAME_PART}/)?{_NAME_PART}$"},
    },
    "version": {
        "description": "a semantic version",
        "schema": {"type": "string", "pattern": _VERSION, "maxLength": MAX_VERSION},
    },
    "tool": {"description": "an MCP tool name", "schema": {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"}},
    "token": {"description": "a token's name or id", "schema": {"type": "string", "pattern": "^[a-zA-Z0-9._@-]+$"}},
    "secret": {"description": "a secret's name", "schema": {"type": "string", "pattern": f"^{SECRET_NAME_PATTERN}$"}},
    "digest": {"description": "SHA-256 of the bytes", "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
}

_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "ETag": {"description": "a strong validator", "required": True, "schema": {"type": "string"}},
    "CacheControl": {"description": "who may keep the answer, and how long", "schema": {"type": "string"}},
    "Location": {"description": "where the version is", "schema": {"type": "string"}},
    "RetryAfter": {"description": "seconds to wait", "schema": {"type": "integer"}},
    "WWWAuthenticate": {"description": "a Bearer challenge", "required": True, "schema": {"type": "string"}},
}
_HEADER_NAMES = {"CacheControl": "Cache-Control", "RetryAfter": "Retry-After", "WWWAuthenticate": "WWW-Authenticate"}

_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "the ETag of what the client holds",
        "schema": {"type": "string"},
    },
}

_ARGUMENTS = {"type": "object", "description": "the tool's arguments, as its inputSchema wants them"}

_UPLOAD = {
    "type": "object",
    "required": ["manifest", "wasm"],
    "additionalProperties": False,
    "properties": {
        "manifest": {
            "type": "object",
            "description": "plugin.json in any form that is read, every file it refers to inlined; at most 1 MiB",
        },
        "wasm": {"type": "string", "contentMediaType": "application/wasm", "description": "the module's bytes"},
    },
}


def openapi_document(version: str) -> dict[str, Any]:
    """The whole document.

    Args:
        version: the server's.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        path = paths.setdefault(operation.path, {})
        names = re.findall(r"\{(\w+)\}", operation.path)
        if names:
            path["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
        path[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tool-server",
            "version": version,
            "description": "A registry of WebAssembly plugins, and the tools it offers. Failures are problem details.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name} for name in dict.fromkeys(operation.tag for operation in OPERATIONS)],
        "paths": paths,
        "components": _components(),
    }


def _operation(operation: Operation) -> dict[str, Any]:
    statuses = operation.problems if operation.scope is None else (*operation.problems, *_ALWAYS)
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {
            **{str(status): _success(success) for status, success in operation.success.items()},
            **{str(status): {"$ref": f"#/components/responses/{_problem_name(status)}"} for status in sorted(statuses)},
        },
        "security": _security(operation),
    }
    if operation.detail:
        described["description"] = operation.detail
    parameters = [*_query_parameters(operation.query)]
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": operation.body_required, "content": _body(operation.body)}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.scope is None:
        return []
    bearer: list[dict[str, list[str]]] = [{"bearer": [str(operation.scope)]}]
    # Over loopback, what needs no more than ANONYMOUS has is open where the operator leaves it so.
    return [*bearer, {}] if ANONYMOUS.may(operation.scope) else bearer


def _success(success: Success) -> dict[str, Any]:
    described: dict[str, Any] = {"description": success.description}
    match success.answer:
        case None:
            pass
        case "application/json":
            described["content"] = {"application/json": {"schema": {"type": "object"}}}
        case str() as media_type:
            described["content"] = {media_type: {"schema": {}}}
        case model:
            described["content"] = {"application/json": {"schema": _reference(model)}}
    if success.headers:
        described["headers"] = _headers(*success.headers)
    return described


def _headers(*names: str) -> dict[str, Any]:
    return {_HEADER_NAMES.get(name, name): {"$ref": f"#/components/headers/{name}"} for name in names}


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = query.model_json_schema().get("properties", {})
    described: list[dict[str, Any]] = []
    for name, schema in properties.items():
        parameter: dict[str, Any] = {"name": name, "in": "query"}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        described.append({**parameter, "schema": {key: value for key, value in schema.items() if key != "title"}})
    return described


def _body(body: type[BaseModel] | str) -> dict[str, Any]:
    match body:
        case "upload":
            encoding = {"manifest": {"contentType": "application/json"}, "wasm": {"contentType": "application/wasm"}}
            return {"multipart/form-data": {"schema": _UPLOAD, "encoding": encoding}}
        case str():
            return {"application/json": {"schema": _ARGUMENTS}}
        case model:
            return {"application/json": {"schema": _reference(model)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _problem_name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _problem_response(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_JSON: {"schema": _reference(Problem)}},
    }
    if status == 401:
        described["headers"] = _headers("WWWAuthenticate")
    elif status in (429, 503):
        described["headers"] = _headers("RetryAfter")
    return described


def _components() -> dict[str, Any]:
    path_parameters = {
        name: {"name": name, "in": "path", "required": True, **parameter}
        for name, parameter in _PATH_PARAMETERS.items()
    }
    statuses = sorted({*_ALWAYS, *(status for operation in OPERATIONS for status in operation.problems)})
    return {
        "schemas": _schemas(),
        "parameters": {**path_parameters, **_PARAMETERS},
        "headers": dict(_HEADERS),
        "responses": {_problem_name(status): _problem_response(status) for status in statuses},
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "a token from `tool-server token create NAME`; the roles are its scopes",
            }
        },
    }


def _schemas() -> dict[str, Any]:
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        (Problem, "serialization"),
        (IndexLine, "serialization"),
    ]
    for operation in OPERATIONS:
        if isinstance(operation.body, type):
            models.append((operation.body, "validation"))
        answers = [success.answer for success in operation.success.values()]
        models.extend((answer, "serialization") for answer in answers if isinstance(answer, type))
    _, document = models_json_schema(
        list(dict.fromkeys(models)), by_alias=True, ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = document["$defs"]
    return schemas
