"""Publishing: inspect, describe in the sandbox, lint, store. Blob first, row second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread

from tool_server.errors import InvalidInput
from tool_server.inspection import lint, servlets
from tool_server.inspection.items import derive_items
from tool_server.inspection.lint_report import tool_label
from tool_server.inspection.manifest_digest import manifest_digest
from tool_server.inspection.manifest_files import check_inner_path
from tool_server.inspection.manifest_limits import resolve_limits
from tool_server.inspection.tools import DerivedTools, derive_tools
from tool_server.inspection.wasm import describes_itself, host_imports, needs_wasi, parse_module
from tool_server.interfaces import ArtifactStore, Clock, PluginStore, Sandbox, Validation
from tool_server.model.caller import Caller, Scope
from tool_server.model.host_interface import check_imports
from tool_server.model.json_value import sha256_hex
from tool_server.model.limits import Limits
from tool_server.model.manifest import Manifest
from tool_server.model.release import Program, Release
from tool_server.model.tool import Finding, QuarantinedTool, Severity, ToolDefinition, TypeSource


@dataclass(frozen=True, slots=True)
class PublishLimits:
    """The operator's bounds on what may be published."""

    wasm_bytes: int
    defaults: Limits
    ceiling: Limits


@dataclass(frozen=True, slots=True)
class Published:
    """The stored version; `created` is False when the very same bytes were there before."""

    release: Release
    created: bool


class PublishService:
    """Turns a manifest and wasm bytes into an immutable version."""

    def __init__(
        self,
        plugins: PluginStore,
        artifacts: ArtifactStore,
        sandbox: Sandbox,
        validation: Validation,
        clock: Clock,
        limits: PublishLimits,
    ) -> None:
        self._plugins = plugins
        self._artifacts = artifacts
        self._sandbox = sandbox
        self._validation = validation
        self._clock = clock
        self._limits = limits

    async def publish(
        self, manifest: Manifest, wasm: bytes, caller: Caller, findings: Sequence[Finding] = ()
    ) -> Published:
        """Inspect and store one version.

        Args:
            manifest: canonical, with every file `$ref` inlined.
            wasm: the module's bytes.
            caller: becomes the plugin's owner with the first version.
            findings: remarks made while the manifest was read; stored with the version.

        Raises:
            Denied: `missing_scope` or `not_owner`.
            InvalidInput: the module is no plugin, a limit is out of bounds, or lint refuses (`lint`, with all
                findings in `data`).
            Conflict: `version_exists`.
            Unavailable: storage or sandbox cannot answer.
        """
        caller.require(Scope.PUBLISH)
        existing = await self._published_before(manifest, wasm, caller)
        if existing is not None:
            return Published(existing, created=False)
        release = await examine(
            manifest, wasm, self._sandbox, self._validation, self._limits, self._clock, caller.name, findings
        )
        await self._artifacts.put(wasm)
        created = await self._plugins.add_version(release)
        return Published(release, created)

    async def _published_before(self, manifest: Manifest, wasm: bytes, caller: Caller) -> Release | None:
        """The stored version where the same bytes were published and need no second look.

        What the store would refuse in the end is refused here, before anything is compiled or stored.

        Raises:
            Denied: `not_owner`.
            Conflict: `version_exists`.
        """
        digest = await anyio.to_thread.run_sync(lambda: sha256_hex(wasm))
        stored = await self._plugins.find_published(
            manifest.name,
            manifest.version,
            publisher=caller.name,
            digest=digest,
            manifest_digest=lambda: manifest_digest(manifest),
        )
        return stored if stored is not None and await self._artifacts.exists(digest) else None


async def examine(
    manifest: Manifest,
    wasm: bytes,
    sandbox: Sandbox,
    validation: Validation,
    limits: PublishLimits,
    clock: Clock,
    publisher: str,
    findings: Sequence[Finding] = (),
) -> Release:
    """All of a publish but the storing: parse, compile and describe in the sandbox, derive what it offers, lint it.

    Raises:
        InvalidInput: the module is no plugin or imports what nobody offers (`unknown_host_function`), a limit is out of
            bounds, lint refuses (`lint`, with all findings in `data`), or looking at the tools takes too long
            (`validation_limit`).
        Unavailable: the sandbox cannot answer.
    """
    resolve_limits(manifest.limits, limits.defaults, limits.ceiling)
    # Not used here, but by whoever unpacks the version elsewhere.
    check_inner_path(manifest.wasm, "$.wasm")
    module = await anyio.to_thread.run_sync(lambda: parse_module(wasm, max_size=limits.wasm_bytes))
    program = Program(digest=module.digest, size=module.size, wasi=needs_wasi(module), imports=host_imports(module))
    check_imports(program.imports, manifest.permissions)
    abi = describes_itself(module)
    probes = () if abi is None else servlets.probes(abi)
    outcomes = await sandbox.inspect(program, wasm, probes, limits.defaults)
    described = None if abi is None else await anyio.to_thread.run_sync(servlets.read_outcomes, abi, outcomes)
    items = await anyio.to_thread.run_sync(lambda: derive_items(manifest, module, described))
    derived = await anyio.to_thread.run_sync(lambda: derive_tools(manifest, module, described, items.exports))
    about_manifest = await anyio.to_thread.run_sync(lambda: lint.lint_manifest(manifest))
    about_tools = await validation.lint(manifest.name, derived.tools)
    about_all = lint.lint_tools(manifest.name, derived.tools)
    derived = _judged(derived, (*derived.findings, *items.findings, *about_manifest, *about_tools, *about_all))
    if not derived.tools and not derived.quarantined and items.empty:
        raise InvalidInput(
            "no_tools",
            f"{manifest.name} {manifest.version} offers no tool: export a function of type () -> i32, or declare "
            'one under "tools" in plugin.json',
        )
    digest = await anyio.to_thread.run_sync(manifest_digest, manifest)
    return Release(
        manifest=manifest,
        manifest_digest=digest,
        program=program,
        abi=derived.abi,
        tools=derived.tools,
        quarantined=derived.quarantined,
        prompts=items.prompts,
        resources=items.resources,
        resource_templates=items.templates,
        quarantined_items=items.quarantined,
        findings=(*findings, *_idle_permissions(manifest, program), *derived.findings),
        publisher=publisher,
        published_at=clock.now(),
    )


def _idle_permissions(manifest: Manifest, program: Program) -> tuple[Finding, ...]:
    if not manifest.permissions.filesystem or program.wasi:
        return ()
    message = (
        "the module does not import WASI, so its filesystem permissions have no effect: build it for WASI "
        "(wasm32-wasi), or remove them"
    )
    return (Finding(severity=Severity.NOTE, rule="files-without-wasi", message=message, path="$.permissions"),)


def _judged(derived: DerivedTools, findings: Sequence[Finding]) -> DerivedTools:
    """Refuse what the author can mend; quarantine what came from the plugin's own description or a bare export."""
    refused = [finding for finding in findings if finding.severity is Severity.REFUSE]
    declared = {
        tool_label(tool.name) for tool in derived.tools if tool.source not in (TypeSource.DESCRIBED, TypeSource.EXPORT)
    }
    held_back = {tool_label(tool.name) for tool in derived.tools} - declared
    blocking = [finding for finding in refused if finding.tool not in held_back]
    if blocking:
        raise InvalidInput(
            "lint",
            "; ".join(_sentence(finding) for finding in blocking[:5])
            + (f"; and {len(blocking) - 5} more" if len(blocking) > 5 else ""),
            {"findings": [finding.model_dump(mode="json") for finding in blocking]},
        )
    bad = {finding.tool: finding for finding in reversed(refused) if finding.tool is not None}
    kept: list[ToolDefinition] = [tool for tool in derived.tools if tool_label(tool.name) not in bad]
    quarantined = [
        QuarantinedTool(name=name, rule=finding.rule, reason=finding.message) for name, finding in sorted(bad.items())
    ]
    return DerivedTools(
        tools=tuple(kept),
        quarantined=(*derived.quarantined, *quarantined),
        findings=tuple(findings),
        abi=derived.abi,
    )


def _sentence(finding: Finding) -> str:
    place = "" if finding.tool is None else f"tool {finding.tool!r}"
    if finding.path:
        place += f" at {finding.path}"
    return f"{place}: {finding.message} [{finding.rule}]" if place else f"{finding.message} [{finding.rule}]"
