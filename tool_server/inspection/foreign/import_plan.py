"""What becomes of a plugin of another host's configuration: manifest, grants, settings, and a report line by line."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tool_server.errors import InvalidInput
from tool_server.inspection.foreign.host_config import HostPlugin
from tool_server.inspection.manifest_digest import manifest_digest
from tool_server.inspection.manifest_files import PluginSource
from tool_server.model.folder_permission import FolderPermission
from tool_server.model.json_value import sha256_hex
from tool_server.model.keyring import keyring_secret_name
from tool_server.model.limits import WASM_PAGE
from tool_server.model.manifest import Manifest, ManifestLimits
from tool_server.model.names import MAX_PLUGIN_NAME
from tool_server.model.network_permission import NetworkPermission
from tool_server.model.permission import PARSERS, Permissions
from tool_server.model.settings import InstallationSettings

IMPORTED_VERSION = "0.0.0-import."
"""How the versions of imported plugins begin: pre-releases, so that no range ever prefers one."""

_OUTSIDE_NAME = re.compile(r"[^a-z0-9]+")


class Mapped(StrEnum):
    """What became of one setting."""

    MAPPED = "mapped"
    PARTLY = "partly"
    """It has its place here, and something is left for the operator to do."""
    NOT_MAPPED = "not mapped"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One setting, and what became of it, in plain words."""

    setting: str
    status: Mapped
    text: str


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How one plugin is to be published and installed. The version is set when the module is there."""

    source: str
    """Its name in the file."""
    url: str
    manifest: Manifest
    granted: Permissions
    settings: InstallationSettings
    lines: tuple[ReportLine, ...]


def plugin_name(name: str) -> str:
    """The plugin's name here: `My_Plugin` is `my-plugin`."""
    plain = _OUTSIDE_NAME.sub("-", name.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"plugin-{plain}".rstrip("-"))[:MAX_PLUGIN_NAME].rstrip("-")


def plan(plugin: HostPlugin, name: str) -> ImportPlan:
    """Map one plugin; nothing is read or written.

    Args:
        plugin: as the file says.
        name: what it is to be called here.

    Raises:
        InvalidInput: `invalid_import`, it asks for more items of a kind than a manifest may request.
    """
    planner = _Planner(plugin, name)
    planner.name()
    planner.hosts()
    planner.paths()
    planner.secrets()
    planner.variables()
    planner.memory()
    planner.filters()
    for unknown in plugin.unknown:
        planner.line(unknown, Mapped.NOT_MAPPED, "no field of hyper-mcp's that is known here")
    return planner.result()


def imported_source(plan: ImportPlan, source: PluginSource) -> PluginSource:
    """The plugin as it is published: under a version that its bytes and its manifest decide.

    So importing the same file again changes nothing, and another module or another permission is another version.
    """
    digest = sha256_hex((manifest_digest(plan.manifest) + sha256_hex(source.wasm)).encode())
    manifest = plan.manifest.model_copy(update={"version": f"{IMPORTED_VERSION}d{digest[:12]}"})
    return PluginSource(manifest, source.wasm, (), source.folder)


def about_file(others: Sequence[str]) -> tuple[ReportLine, ...]:
    """What is to be said of the file's other fields, and of what that host does otherwise."""
    known = {
        "auths": "used to download modules alone, which import-config does not do: none of its values was stored",
        "dynamic_loading": "plugins come and go by 'extism-registry install' and 'uninstall'",
        "oci": "images are not downloaded",
    }
    lines = [
        ReportLine(field[:80], Mapped.NOT_MAPPED, known.get(field, "no field of hyper-mcp's that is known here"))
        for field in others
    ]
    return (
        *lines,
        ReportLine(
            "timeout",
            Mapped.PARTLY,
            "hyper-mcp ends no call; here a call ends after the server's limits.default_timeout",
        ),
    )


class _Planner:
    """Gathers what one plugin comes to."""

    def __init__(self, plugin: HostPlugin, name: str) -> None:
        self._plugin = plugin
        self._name = name
        self._wanted: dict[str, list[str]] = {kind: [] for kind in PARSERS}
        self._config: dict[str, str] = {}
        self._memory: int | None = None
        self._lines: list[ReportLine] = []

    def line(self, setting: str, status: Mapped, text: str) -> None:
        self._lines.append(ReportLine(setting[:120], status, text))

    def result(self) -> ImportPlan:
        permissions = Permissions(**{kind: tuple(dict.fromkeys(items)) for kind, items in self._wanted.items()})
        try:
            permissions.check_requested()
            settings = InstallationSettings.model_validate({"config": self._config, **self._plugin.filters}).bounded()
        except (InvalidInput, ValueError) as error:
            message = error.message if isinstance(error, InvalidInput) else "it has too many settings or patterns"
            raise InvalidInput("invalid_import", f"the plugin {self._plugin.name[:80]!r}: {message}") from error
        limits = ManifestLimits() if self._memory is None else ManifestLimits(memory=self._memory)
        manifest = Manifest(
            name=self._name,
            version=f"{IMPORTED_VERSION}d0",
            description=self._plugin.description[:5_000],
            permissions=permissions,
            limits=limits,
        )
        return ImportPlan(self._plugin.name, self._plugin.url, manifest, permissions, settings, tuple(self._lines))

    def name(self) -> None:
        before, now = self._plugin.name, self._name
        self.line("name", Mapped.MAPPED, f"{now}: its tools are called {now}_TOOL, there they were {before[:80]}-TOOL")

    def hosts(self) -> None:
        for host in self._plugin.hosts:
            setting = f"allowed_hosts: {host}"
            try:
                permission = NetworkPermission.parse(host)
            except InvalidInput:
                self.line(setting, Mapped.NOT_MAPPED, "no host, '*.example.com' or '*': its requests are refused")
                continue
            self._wanted["network"].append(str(permission))
            if _is_private(host):
                text = "granted, but a private address: egress.allow_addresses must open its network, too"
                self.line(setting, Mapped.PARTLY, f"network={permission}: {text}")
            else:
                self.line(setting, Mapped.MAPPED, f"network={permission} (ports 80 and 443; there every port)")

    def paths(self) -> None:
        for path in self._plugin.paths:
            setting = f"allowed_paths: {path}"
            host, _, guest = (part.strip() for part in path.partition(":"))
            guest = guest or host
            try:
                permission = FolderPermission.parse(f"{guest}:write")
            except InvalidInput:
                self.line(setting, Mapped.NOT_MAPPED, "no absolute path of a folder: the plugin cannot open it")
                continue
            self._wanted["filesystem"].append(str(permission))
            shared = f'share it in tool-server.toml under [filesystem.roots]: "{guest}" = "{host}:write"'
            self.line(setting, Mapped.PARTLY, f"filesystem={permission} is granted; {shared}")

    def secrets(self) -> None:
        for service, user in self._plugin.secrets:
            name = keyring_secret_name(service, user)
            self._wanted["secrets"].append(name)
            text = f"secrets={name} is granted; store the value, which that keyring has: tool-server secret set {name}"
            self.line(f"allowed_secrets: {service} {user}", Mapped.PARTLY, text)

    def variables(self) -> None:
        for name in sorted({*self._plugin.variables, *self._plugin.from_environment}):
            setting = f"env_vars: {name}"
            try:
                PARSERS["environment"](name)
            except InvalidInput:
                self.line(setting, Mapped.NOT_MAPPED, "no name that plugins may read a setting by")
                continue
            if name == "*":
                self.line(setting, Mapped.NOT_MAPPED, "no name that plugins may read a setting by")
                continue
            self._wanted["environment"].append(name)
            if name in self._plugin.from_environment:
                text = "is granted; the value is not stored, but taken from the environment of tool-server at each call"
                self.line(setting, Mapped.PARTLY, f"environment={name} {text}")
            else:
                self._config[name] = self._plugin.variables[name]
                self.line(
                    setting, Mapped.MAPPED, f"environment={name} is granted; the value is stored as it is, unencrypted"
                )

    def memory(self) -> None:
        wanted = self._plugin.memory_bytes
        if wanted is None:
            return
        self._memory = max(wanted, WASM_PAGE)
        text = f"limits.memory {self._memory} bytes, never above the server's own limits.memory"
        self.line("memory_limit", Mapped.MAPPED, text)

    def filters(self) -> None:
        for field, patterns in self._plugin.filters.items():
            what = field.removeprefix("skip_").replace("_", " ")
            self.line(field, Mapped.MAPPED, f"{len(patterns)} patterns: such {what} are not offered")


def _is_private(host: str) -> bool:
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return False


def taken_names(names: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """By name in the file, the name here, where `renamed` may say another one.

    Raises:
        InvalidInput: `invalid_import`, two plugins come to one name, or one of `renamed` is not in the file.
    """
    strangers = [name for name in renamed if name not in names]
    if strangers:
        raise InvalidInput("invalid_import", f"the file has no plugin {strangers[0][:80]!r} that could be renamed")
    chosen: dict[str, str] = {}
    for name in names:
        here = renamed.get(name) or plugin_name(name)
        other = next((before for before, taken in chosen.items() if taken == here), None)
        if other is not None:
            raise InvalidInput(
                "invalid_import",
                f"{other[:80]!r} and {name[:80]!r} are both called {here!r} here: choose --rename {name[:80]}=NAME",
            )
        chosen[name] = here
    return chosen
