"""Somebody at a shell: both commands, run in this process, in a home folder of their own."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from tests.support.guests import extism_wat
from tests.support.plugins import write_plugin
from tool_server.cli import operate, registry

COMMANDS: Mapping[str, click.Group] = {"tool-server": operate.main, "extism-registry": registry.main}


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.stdout)


class Workplace:
    """A home folder and the settings in the environment."""

    def __init__(self, home: Path, **settings: str | Path) -> None:
        self.home = home
        self.data = home / "data"
        self.environment = home_environment(home) | {name: str(value) for name, value in settings.items()}
        self._numbers = itertools.count(1)

    def tool_server(self, *args: str | Path, exits: int = 0, stdin: str | None = None, **settings: str) -> Done:
        """Run `tool-server` and assert its exit code."""
        return self._run("tool-server", args, exits, stdin, settings)

    def extism_registry(self, *args: str | Path, exits: int = 0, stdin: str | None = None, **settings: str) -> Done:
        """Run `extism-registry` and assert its exit code."""
        return self._run("extism-registry", args, exits, stdin, settings)

    def fresh_name(self) -> str:
        """A plugin name that no other test uses."""
        return f"plugin-{next(self._numbers)}"

    def plugin(self, name: str, version: str, wasm: bytes | None = None, **fields: Any) -> Path:
        """Write a plugin whose tool `say` answers with the last digit of its version; returns its folder."""
        folder = self.home / "plugins" / str(next(self._numbers))
        tools = fields.pop("tools", {"say": {"description": "Says a digit.", "input": {"type": "object"}}})
        return write_plugin(folder, name, wasm or saying(version[-1]), tools, version=version, **fields)

    def published(self, *versions: str, name: str = "") -> str:
        """Publish these versions of a new plugin; returns its name."""
        name = name or self.fresh_name()
        for version in versions:
            self.extism_registry("publish", self.plugin(name, version))
        return name

    def says(self, plugin: str) -> str:
        """What the plugin's tool `say` answers."""
        return self.tool_server("call", f"{plugin}_say").stdout.strip()

    def _run(
        self, command: str, args: tuple[str | Path, ...], exits: int, stdin: str | None, settings: Mapping[str, str]
    ) -> Done:
        inherited = {name: None for name in os.environ if name not in self.environment and _unwanted(name)}
        result = CliRunner().invoke(
            COMMANDS[command],
            [str(arg) for arg in args],
            input=stdin,
            env={**inherited, **self.environment, **settings},
            prog_name=command,
        )
        done = Done(result.exit_code, result.stdout, result.stderr)
        assert done.exit_code == exits, f"{command} {args}: {done}"
        if exits > 2:
            assert done.stderr.splitlines()[-1].startswith("error: "), done
        return done


def home_environment(home: Path) -> dict[str, str]:
    """Settings that keep every file of the commands below `home`."""
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "share"),
        "TOOL_SERVER_DATA": str(home / "data"),
        "TOOL_SERVER_WORKERS": "1",
        "NO_PROXY": "127.0.0.1",
    }


def saying(digit: str, export: str = "say") -> bytes:
    """A guest whose export answers with one character."""
    return extism_wat(
        f"""(func (export "{export}") (result i32) (local $at i64)
          (local.set $at (call $alloc (i64.const 1)))
          (call $store_u8 (local.get $at) (i32.const {ord(digit)}))
          (call $output_set (local.get $at) (i64.const 1)) (i32.const 0))"""
    )


def _unwanted(name: str) -> bool:
    return name.startswith("TOOL_SERVER_") or name in ("FORCE_COLOR", "COLUMNS")
