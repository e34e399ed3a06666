"""Values that the storage tests store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tool_server.interfaces import PluginStore
from tool_server.model.call import CallRecord, OutboundRequest, Outcome, SecretRead, Timings
from tool_server.model.caller import Scope, TokenRecord
from tool_server.model.json_value import JsonObject, sha256_hex
from tool_server.model.manifest import Manifest, ManifestTool
from tool_server.model.permission import Permissions
from tool_server.model.prompt import PromptArgument, PromptDefinition
from tool_server.model.release import Abi, HostImport, Installation, Program, Release
from tool_server.model.resource import ResourceDefinition, ResourceTemplateDefinition
from tool_server.model.tool import (
    Binding,
    Finding,
    OutputForm,
    QuarantinedTool,
    Severity,
    ToolAnnotations,
    ToolDefinition,
    ToolExample,
    TypeSource,
)

PROMPT = PromptDefinition(
    name="review",
    description="Reviews",
    arguments=(PromptArgument(name="text", required=True),),
    source=TypeSource.MANIFEST,
    binding=Binding(export="get_prompt", output=OutputForm.PROMPT),
)
RESOURCE = ResourceDefinition(uri="notes://u", name="a", source=TypeSource.MANIFEST, text="ü")
TEMPLATE = ResourceTemplateDefinition(
    uriTemplate="notes://{name}",
    name="notes",
    source=TypeSource.DESCRIBED,
    binding=Binding(export="read_resource", output=OutputForm.RESOURCE),
).model_copy(update={"meta": {"a": 1}})


def with_items(release: Release) -> Release:
    """The release with one prompt, two resources and a template, each under names of its plugin's."""
    other = RESOURCE.model_copy(update={"uri": "notes://v"})
    items = {"prompts": (PROMPT,), "resources": (RESOURCE, other), "resource_templates": (TEMPLATE,)}
    return release.model_copy(update=items)


NOON = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"text": {"type": "string", "enum": ["ü", "\u2028", None, 1.5]}},
    "required": ["text"],
}


def make_release(
    name: str = "text-tools",
    version: str = "1.0.0",
    *,
    content: str = "",
    publisher: str = "ada",
    description: str = "Counts words",
    keywords: tuple[str, ...] = ("text",),
) -> Release:
    """A release with one tool; `content` stands for the wasm bytes."""
    examples = (ToolExample(input={"text": "a"}), ToolExample(input={"text": "b"}, output=None))
    manifest = Manifest(
        name=name,
        version=version,
        description=description,
        keywords=keywords,
        tools={"count": ManifestTool(description="Counts", input=SCHEMA, examples=examples)},
    )
    return Release(
        manifest=manifest,
        manifest_digest=sha256_hex(manifest.model_dump_json().encode()),
        program=Program(
            digest=sha256_hex(f"{name} {version} {content}".encode()),
            size=1_000,
            wasi=True,
            imports=(HostImport(module="env", name="now", results=("i64",)),),
        ),
        abi=Abi.SERVLET,
        tools=(
            ToolDefinition(
                name="count",
                input_schema=SCHEMA,
                annotations=ToolAnnotations(readOnlyHint=True),
                examples=examples,
                source=TypeSource.MANIFEST,
                binding=Binding(export="count"),
            ),
        ),
        quarantined=(QuarantinedTool(name="bad", rule="name-too-long", reason="49 characters"),),
        findings=(Finding(severity=Severity.WARN, rule="no-description", message="say what it does", tool="count"),),
        publisher=publisher,
        published_at=NOON,
    )


def make_installation(
    plugin: str = "text-tools", version: str = "1.0.0", *, previous: str | None = None
) -> Installation:
    """An installation that was asked for by a range and got a permission."""
    return Installation(
        plugin=plugin,
        version=version,
        requested="^1.0.0",
        previous=previous,
        granted=Permissions(network=("api.example.com",)),
        installed_at=NOON,
    )


async def put_installation(plugins: PluginStore, installation: Installation) -> None:
    """Make the plugin's installation this one."""
    await plugins.change_installation(installation.plugin, lambda present: installation)


def make_token(
    identifier: str = "t1", name: str = "laptop", *, minutes: int = 0, expires_minutes: int | None = None
) -> TokenRecord:
    """A token made `minutes` after noon that expires `expires_minutes` after noon."""
    return TokenRecord(
        id=identifier,
        name=name,
        secret_hash=sha256_hex(identifier.encode()),
        scopes=(Scope.CALL, Scope.PUBLISH),
        created_at=NOON + timedelta(minutes=minutes),
        expires_at=None if expires_minutes is None else NOON + timedelta(minutes=expires_minutes),
    )


def make_call(
    number: int, *, tool: str = "text_tools_count", seconds: int | None = None, outcome: Outcome = Outcome.OK
) -> CallRecord:
    """The record of call `number`, started that many seconds after noon unless `seconds` says otherwise."""
    succeeded = outcome is Outcome.OK
    return CallRecord(
        id=f"call-{number}",
        started_at=NOON + timedelta(seconds=number if seconds is None else seconds),
        caller="ada",
        tool=tool,
        plugin="text-tools",
        version="1.0.0",
        digest=sha256_hex(b"wasm"),
        arguments_hash=sha256_hex(b"{}"),
        arguments_bytes=2,
        result_hash=sha256_hex(b"1") if succeeded else None,
        result_bytes=1 if succeeded else None,
        outcome=outcome,
        error=None if succeeded else "timeout",
        timings=Timings(queue_us=number, instantiate_us=2, run_us=2**40),
        total_us=4,
        requests=tuple(
            OutboundRequest("GET", "https", "a.example", 443, f"/{index}/ü", "ok", "8.8.8.8", 200, 1, 2**40, 3)
            for index in range(number % 3)
        ),
        secret_reads=tuple(SecretRead(f"app.user{index}", "unknown_secret") for index in range(number % 2)),
    )
