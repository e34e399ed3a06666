"""The tools of a plugin, each with its types from the best source that has them.

Sources, strongest first: `tools` in plugin.json, the section `extism-tools`, an XTP schema, the plugin's own
description, a plain export. The strongest with an *input* gives a tool its types as a whole (input, output and how
they are carried). A stronger entry without an input only overlays what it says itself: an output or `returns` replaces
the output; title, description and examples replace theirs; annotations are merged hint by hint. Title, description and
annotations that the types' source lacks come from the sources below; examples do not, as they fit other types.

A tool that plugin.json does not name is still a tool, from its own best source; but a plugin that describes itself has
said which tools it has, so that its remaining exports are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tool_server.errors import InvalidInput
from tool_server.inspection import tool_section, xtp
from tool_server.inspection.manifest_bounds import Bounds
from tool_server.inspection.manifest_errors import closest
from tool_server.inspection.servlets import Described, convention_exports
from tool_server.inspection.tool_overlay import overlay
from tool_server.inspection.wasm.conventions import describes_itself, plain_exports
from tool_server.inspection.wasm.custom_sections import custom_section
from tool_server.inspection.wasm.module import FunctionType, Module
from tool_server.model.json_value import JsonObject, parse_json
from tool_server.model.manifest import Manifest, ManifestTool
from tool_server.model.release import Abi
from tool_server.model.tool import (
    Binding,
    Finding,
    InputForm,
    OutputForm,
    QuarantinedTool,
    Severity,
    ToolDefinition,
    TypeSource,
)

_CALLABLE = (FunctionType((), ("i32",)), FunctionType())
"""Extism calls functions without parameters; a result other than i32 0 is a failure, none is a success."""


@dataclass(frozen=True, slots=True)
class DerivedTools:
    """What a plugin offers. `findings` may hold refusals, which stop a publish."""

    tools: tuple[ToolDefinition, ...]
    quarantined: tuple[QuarantinedTool, ...]
    findings: tuple[Finding, ...]
    abi: Abi


def derive_tools(
    manifest: Manifest, module: Module, described: Described | None, reserved: frozenset[str] = frozenset()
) -> DerivedTools:
    """Every tool of a plugin, in the order of the strongest source that names it.

    The exports of a plugin's own convention (`call`, `describe`, `list_tools` …) are no tools, unless the plugin gave
    no description and its author names them as tools.

    Args:
        manifest: the plugin's manifest.
        module: its parsed wasm.
        described: what the plugin said about itself (`servlets.read_outcomes`); None when it was not asked.
        reserved: exports that are run for prompts and resources, and are tools only where an author names them so.
    """
    return _Derivation(manifest, module, described, reserved).run()


class _Derivation:
    """Collects tools, quarantine and findings while the sources are gone through."""

    def __init__(
        self, manifest: Manifest, module: Module, described: Described | None, reserved: frozenset[str]
    ) -> None:
        self._findings: list[Finding] = []
        self._quarantined: dict[str, QuarantinedTool] = {}
        self._functions = {item.name: item.function for item in module.exports if item.function is not None}
        self._manifest: Mapping[str, ManifestTool] = manifest.tools or {}
        self._malformed: dict[str, QuarantinedTool] = {}
        self._section = self._read_section(module)
        self._xtp = self._read_xtp(manifest, module)
        convention = convention_exports(described.abi if described else describes_itself(module) or Abi.EXTISM)
        named = convention & {*self._manifest, *self._section}
        self._described = None if described is not None and described.failed and named else described
        self._abi = self._described.abi if self._described else Abi.EXTISM
        self._described_tools = {tool.name: tool for tool in self._described.tools} if self._described else {}
        self._convention = convention if self._described else frozenset[str]()
        plain = plain_exports(module) if self._described is None else ()
        self._plain = tuple(name for name in plain if name not in convention | reserved)

    def run(self) -> DerivedTools:
        self._quarantined.update(self._malformed)
        if self._described is not None:
            self._findings += self._described.findings
            for entry in self._described.quarantined:
                self._quarantined.setdefault(entry.name, entry)
        names = dict.fromkeys((*self._manifest, *self._section, *self._xtp, *self._described_tools, *self._plain))
        derived = [self._derive(name) for name in names if not self._excluded(name)]
        return DerivedTools(
            tuple(tool for tool in derived if tool is not None),
            tuple(self._quarantined.values()),
            tuple(self._findings),
            self._abi,
        )

    def _derive(self, name: str) -> ToolDefinition | None:
        problem = self._problem(name)
        if problem is not None:
            rule, reason = problem
            # An XTP schema is written for all plugins of a kind, so one of them may lack an export.
            own_words = name in self._manifest or name in self._section
            self._refuse_tool(name, rule, reason, Severity.REFUSE if own_words else Severity.WARN)
            return None
        definition = self._complete(name)
        for entry, source in (
            (self._section.get(name), TypeSource.SECTION),
            (self._manifest.get(name), TypeSource.MANIFEST),
        ):
            if entry is not None:
                definition, findings = overlay(definition, entry, source)
                self._findings += findings
        return definition

    def _complete(self, name: str) -> ToolDefinition:
        """The tool by the strongest of the sources that always have an input."""
        tool = self._xtp.get(name)
        if tool is not None and name in self._functions:
            return ToolDefinition(
                name=name,
                description=tool.description,
                input_schema=tool.input_schema,
                output_schema=tool.output_schema,
                source=TypeSource.XTP,
                binding=Binding(export=name, input=tool.input, output=tool.output),
            )
        if name in self._described_tools:
            return self._described_tools[name]
        return ToolDefinition(
            name=name,
            input_schema=xtp.plain_text_input(),
            source=TypeSource.EXPORT,
            binding=Binding(export=name, input=InputForm.TEXT, output=OutputForm.TEXT),
        )

    def _excluded(self, name: str) -> bool:
        """Whether a name is no tool, or one that is quarantined for what its own source says."""
        if name in self._malformed:
            return True
        if name in self._described_tools:
            return False
        if name in self._convention and name in self._manifest:
            reason = (
                f"'{name}' is how a server talks to a plugin of the convention {self._abi}, and no tool by itself: "
                'remove it from "tools"'
            )
            self._refuse_tool(name, "convention-export", reason, Severity.WARN)
        return name in self._convention or name in self._quarantined

    def _problem(self, name: str) -> tuple[str, str] | None:
        if name in self._described_tools:
            return None
        function = self._functions.get(name)
        if function is None:
            suggestion = closest(name, [*self._described_tools, *self._functions]) or ": check the name or export it"
            offers = "exports no function" if self._described is None else "neither exports nor describes"
            return "missing-export", f"the module {offers} '{name}'{suggestion}"
        if function not in _CALLABLE:
            return "not-callable", f"the export '{name}' has the type {function}: Extism calls functions of '() -> i32'"
        return None

    def _refuse_tool(self, name: str, rule: str, reason: str, severity: Severity) -> None:
        self._quarantined.setdefault(name, QuarantinedTool(name=name, rule=rule, reason=reason))
        self._findings.append(Finding(severity=severity, rule=rule, message=reason, tool=name))

    def _refuse(self, rule: str, error: InvalidInput) -> None:
        path = str(error.data.get("path", ""))
        self._findings.append(Finding(severity=Severity.REFUSE, rule=rule, message=error.message, path=path))

    def _read_section(self, module: Module) -> Mapping[str, ManifestTool]:
        content = custom_section(module, tool_section.SECTION_NAME)
        if content is None:
            return {}
        try:
            section = tool_section.read(content)
        except InvalidInput as error:
            self._refuse("invalid-section", error)
            return {}
        for entry in section.quarantined:
            finding = Finding(severity=Severity.WARN, rule=entry.rule, message=entry.reason, tool=entry.name)
            self._findings.append(finding)
            declared = self._manifest.get(entry.name)
            if declared is None or declared.input is None:
                self._malformed[entry.name] = entry
        return section.tools

    def _read_xtp(self, manifest: Manifest, module: Module) -> Mapping[str, xtp.XtpTool]:
        try:
            schema = manifest.xtp if manifest.xtp is not None else _xtp_section(module)
            return {} if schema is None else xtp.tools_from_xtp(schema)
        except InvalidInput as error:
            self._refuse("invalid-xtp", error)
            return {}


def _xtp_section(module: Module) -> JsonObject | None:
    content = custom_section(module, xtp.SECTION_NAME)
    if content is None:
        return None
    what = f"the custom section '{xtp.SECTION_NAME}'"
    Bounds("invalid_xtp", what).require_text(content)
    document = parse_json(content, what=what)
    if not isinstance(document, dict):
        raise InvalidInput("invalid_xtp", f"{what}: expected a JSON object", {"path": "$"})
    return document
