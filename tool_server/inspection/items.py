"""The prompts, resources and resource templates of a plugin, each from the first source that has it.

Sources: plugin.json, the section `extism-tools`, the plugin's own description (hyper-mcp v2). The first that names an
item says all of it. What an author declares badly stops a publish; what a plugin tells badly of itself is put into
quarantine and hides nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tool_server.errors import InvalidInput
from tool_server.inspection import tool_section
from tool_server.inspection.content_blocks import guest_meta
from tool_server.inspection.described_items import DUPLICATE, DescribedItems
from tool_server.inspection.lint_items import lint_prompt, lint_resource, lint_template
from tool_server.inspection.lint_report import tool_label
from tool_server.inspection.manifest_errors import closest
from tool_server.inspection.servlets import Described
from tool_server.inspection.wasm.custom_sections import custom_section
from tool_server.inspection.wasm.module import FunctionType, Module
from tool_server.model.item_kind import ItemKind, QuarantinedItem
from tool_server.model.manifest import Manifest
from tool_server.model.manifest_items import MAX_ITEMS, ManifestPrompt, ManifestResource, ManifestResourceTemplate
from tool_server.model.prompt import PromptDefinition
from tool_server.model.release import Abi
from tool_server.model.resource import ResourceDefinition, ResourceTemplateDefinition
from tool_server.model.tool import Binding, Finding, InputForm, OutputForm, Severity, TypeSource

GET_PROMPT, READ_RESOURCE, COMPLETE = "get_prompt", "read_resource", "complete"
"""The exports that are asked where nothing else is said; hyper-mcp v2 calls them so, too."""

MAX_PROBLEMS = 20
"""Of one item that are told."""

_CALLABLE = (FunctionType((), ("i32",)), FunctionType())
_OUTPUTS = {GET_PROMPT: OutputForm.PROMPT, READ_RESOURCE: OutputForm.RESOURCE, COMPLETE: OutputForm.COMPLETION}

T = TypeVar("T", PromptDefinition, ResourceDefinition, ResourceTemplateDefinition)


@dataclass(frozen=True, slots=True)
class DerivedItems:
    """What a plugin offers beside tools. `findings` may hold refusals, which stop a publish."""

    prompts: tuple[PromptDefinition, ...] = ()
    resources: tuple[ResourceDefinition, ...] = ()
    templates: tuple[ResourceTemplateDefinition, ...] = ()
    quarantined: tuple[QuarantinedItem, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing, not even in quarantine."""
        return not (self.prompts or self.resources or self.templates or self.quarantined)

    @property
    def exports(self) -> frozenset[str]:
        """The exports that are run for them, which are no tools by themselves."""
        bindings = [item.binding for item in (*self.prompts, *self.resources, *self.templates)]
        bindings += [item.completion for item in (*self.prompts, *self.templates)]
        return frozenset(binding.export for binding in bindings if binding is not None)


def derive_items(manifest: Manifest, module: Module, described: Described | None) -> DerivedItems:
    """Every item of a plugin, in the order of the first source that names it.

    Args:
        manifest: the plugin's manifest.
        module: its parsed wasm.
        described: what the plugin said about itself; None when it was not asked.
    """
    items = DescribedItems() if described is None else described.items
    section = _section(module)
    derivation = _Derivation(manifest.name, module, described)
    derivation.hold(section.quarantined_items, warn=True)
    derivation.hold(items.quarantined)
    prompts = (
        (TypeSource.MANIFEST, (manifest.prompts or {}).items()),
        (TypeSource.SECTION, section.prompts.items()),
        (TypeSource.DESCRIBED, items.prompts),
    )
    resources = (
        (TypeSource.MANIFEST, manifest.resources or ()),
        (TypeSource.SECTION, section.resources),
        (TypeSource.DESCRIBED, items.resources),
    )
    templates = (
        (TypeSource.MANIFEST, manifest.resourceTemplates or ()),
        (TypeSource.SECTION, section.templates),
        (TypeSource.DESCRIBED, items.templates),
    )
    return DerivedItems(
        derivation.prompts((source, name, entry) for source, entries in prompts for name, entry in entries),
        derivation.resources((source, entry) for source, entries in resources for entry in entries),
        derivation.templates((source, entry) for source, entries in templates for entry in entries),
        tuple(derivation.held_back()),
        (*items.findings, *derivation.findings),
    )


class _Derivation:
    """Collects items, quarantine and findings while the sources are gone through."""

    def __init__(self, plugin: str, module: Module, described: Described | None) -> None:
        self._plugin = plugin
        self._functions = {item.name: item.function for item in module.exports if item.function is not None}
        self._hyper = described is not None and described.abi is Abi.HYPER_V2
        self._held: list[QuarantinedItem] = []
        self._offered: set[tuple[ItemKind, str]] = set()
        self.findings: list[Finding] = []

    def hold(self, items: Iterable[QuarantinedItem], *, warn: bool = False) -> None:
        """Put into quarantine, and say so to the author where it is his to mend."""
        for item in items:
            self._held.append(item)
            if warn:
                words = f"{item.kind} {item.name}: {item.reason}"
                self.findings.append(Finding(severity=Severity.WARN, rule=item.rule, message=words))

    def offer(self, kind: ItemKind, name: str) -> None:
        """Note that an item is offered."""
        self._offered.add((kind, name))

    def refuse(self, rule: str, words: str) -> None:
        """Stop the publish."""
        message = words.encode("utf-8", "replace").decode()
        self.findings.append(Finding(severity=Severity.REFUSE, rule=rule, message=message))

    def held_back(self) -> Iterable[QuarantinedItem]:
        """The quarantine, without what another source offers under the same name."""
        return (item for item in self._held if item.rule == DUPLICATE or (item.kind, item.name) not in self._offered)

    def prompts(self, entries: Iterable[tuple[TypeSource, str, ManifestPrompt]]) -> tuple[PromptDefinition, ...]:
        """The prompts that can be offered."""
        kept = _Kept[PromptDefinition](self, ItemKind.PROMPT)
        for source, name, entry in entries:
            definition = PromptDefinition(
                name=name,
                source=source,
                binding=self._binding(entry.export, GET_PROMPT),
                completion=self._completion(),
                **_facts(entry),
            )
            kept.add(name, definition, lambda item: lint_prompt(self._plugin, item))
        return tuple(kept.items.values())

    def resources(self, entries: Iterable[tuple[TypeSource, ManifestResource]]) -> tuple[ResourceDefinition, ...]:
        """The resources that can be offered."""
        kept = _Kept[ResourceDefinition](self, ItemKind.RESOURCE)
        for source, entry in entries:
            stands_here = entry.text is not None or entry.blob is not None
            definition = ResourceDefinition(
                source=source,
                binding=None if stands_here and entry.export is None else self._binding(entry.export, READ_RESOURCE),
                **_facts(entry),
            )
            kept.add(entry.uri, definition, lint_resource)
        return tuple(kept.items.values())

    def templates(
        self, entries: Iterable[tuple[TypeSource, ManifestResourceTemplate]]
    ) -> tuple[ResourceTemplateDefinition, ...]:
        """The templates that can be offered."""
        kept = _Kept[ResourceTemplateDefinition](self, ItemKind.TEMPLATE)
        for source, entry in entries:
            definition = ResourceTemplateDefinition(
                source=source,
                binding=self._binding(entry.export, READ_RESOURCE),
                completion=self._completion(),
                **_facts(entry),
            )
            kept.add(entry.uriTemplate, definition, lint_template)
        return tuple(kept.items.values())

    def problem(self, binding: Binding) -> tuple[str, str] | None:
        """Why an export cannot be run: a rule, and words."""
        function = self._functions.get(binding.export)
        if function is None:
            hint = closest(binding.export, self._functions) or ": export it, or name another as 'export'"
            return "missing-export", f"the module exports no function '{binding.export}', which is asked for it{hint}"
        if function not in _CALLABLE:
            words = f"the export '{binding.export}' has the type {function}: Extism calls functions of '() -> i32'"
            return "not-callable", words
        return None

    def _binding(self, export: str | None, default: str) -> Binding:
        named = export or default
        form = InputForm.HYPER_V2_REQUEST if self._hyper and named == default else InputForm.ARGUMENTS
        return Binding(export=named, input=form, output=_OUTPUTS[default])

    def _completion(self) -> Binding | None:
        return self._binding(None, COMPLETE) if self._functions.get(COMPLETE) in _CALLABLE else None


class _Kept(Generic[T]):
    """The items of one kind that are offered, by name; what cannot be offered goes where it belongs."""

    def __init__(self, derivation: _Derivation, kind: ItemKind) -> None:
        self._derivation = derivation
        self._kind = kind
        self.items: dict[str, T] = {}

    def add(self, name: str, item: T, lint: Callable[[T], Sequence[tuple[str, str, str]]]) -> None:
        """Keep an item, unless a stronger source has named it.

        Args:
            lint: gives rule, path and words of all that is wrong with it.
        """
        earlier = self.items.get(name)
        if earlier is not None:
            if earlier.source is item.source:
                self._refuse(name, item, DUPLICATE, "", "it is declared twice: keep one")
            return
        problems = list(lint(item))
        missing = None if item.binding is None else self._derivation.problem(item.binding)
        if missing is not None:
            problems.append((missing[0], "", missing[1]))
        for rule, path, words in problems[: 1 if item.source is TypeSource.DESCRIBED else MAX_PROBLEMS]:
            self._refuse(name, item, rule, path, words)
        if not problems and len(self.items) < MAX_ITEMS:
            self.items[name] = item
            self._derivation.offer(self._kind, name)
        elif not problems:
            self._refuse(name, item, "too-many", "", f"a plugin offers at most {MAX_ITEMS} of a kind")

    def _refuse(self, name: str, item: T, rule: str, path: str, words: str) -> None:
        label = tool_label(name)
        if item.source is TypeSource.DESCRIBED:
            self._derivation.hold([QuarantinedItem(kind=self._kind, name=label, rule=rule, reason=words)])
        else:
            where = f"{self._kind} {label!a}{f' at {path}' if path else ''}"
            self._derivation.refuse(rule, f"{where}: {words}")


def _facts(entry: ManifestPrompt | ManifestResource | ManifestResourceTemplate) -> dict[str, Any]:
    """What an entry says, as fields of its definition: only what it does say."""
    facts = {field: getattr(entry, field) for field in entry.model_fields_set if field not in ("export", "meta")}
    meta = guest_meta(entry.meta)
    return facts if meta is None else {**facts, "_meta": meta}


def _section(module: Module) -> tool_section.SectionTools:
    content = custom_section(module, tool_section.SECTION_NAME)
    try:
        return tool_section.SectionTools({}) if content is None else tool_section.read(content)
    except InvalidInput:
        return tool_section.SectionTools({})  # `derive_tools` refuses the plugin for it
