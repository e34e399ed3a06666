"""Holding every response that a test sees against the OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import jsonschema_rs

from tool_server.http_api.openapi import openapi_document


class Conformance:
    """An httpx event hook; responses of operations that the document does not have are left alone."""

    def __init__(self) -> None:
        self._document = openapi_document("0")
        self._paths = [(_pattern(path), item) for path, item in self._document["paths"].items()]
        self.checked: set[tuple[str, int]] = set()
        """Operation and status of every response that was held against the document."""

    async def check(self, response: httpx.Response) -> None:
        """Fail where status, media type, headers or body are not as documented."""
        operation = self._operation(response.request)
        if operation is None:
            return
        await response.aread()
        what = f"{operation['operationId']} {response.status_code}"
        documented = self._resolved(operation["responses"].get(str(response.status_code)))
        assert documented is not None, f"{what} is not documented: {response.text[:500]}"
        for name, header in documented.get("headers", {}).items():
            required = self._resolved(header).get("required", False)
            assert name in response.headers or not required, f"{what} has no {name}"
        if response.request.method != "HEAD":
            self._check_body(what, documented.get("content", {}), response)
        self.checked.add((operation["operationId"], response.status_code))

    def _check_body(self, what: str, content: dict[str, Any], response: httpx.Response) -> None:
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if not content:
            assert response.content == b"", f"{what} has a body"
            return
        assert media_type in content, f"{what} is {media_type}"
        if media_type.endswith("json") and media_type != "application/x-ndjson":
            schema = {**content[media_type]["schema"], "components": self._document["components"]}
            jsonschema_rs.validator_for(schema, validate_formats=True).validate(json.loads(response.content))

    def _operation(self, request: httpx.Request) -> dict[str, Any] | None:
        path = httpx.URL(request.url).path
        method = "get" if request.method == "HEAD" else request.method.lower()
        # Scoped names make one path fit two templates: the longer one is meant.
        fitting = [item for pattern, item in self._paths if pattern.fullmatch(path)]
        return next((item[method] for item in reversed(fitting) if method in item), None)

    def _resolved(self, item: Any) -> Any:
        if not isinstance(item, dict) or "$ref" not in item:
            return item  # pyright: ignore[reportUnknownVariableType]
        found: Any = self._document
        for key in item["$ref"].removeprefix("#/").split("/"):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            found = found[key]
        return found


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.escape(path).replace(r"\{plugin\}", "(?:@[^/]+/[^/]+|[^/@][^/]*)")
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", escaped))
