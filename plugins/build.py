"""Build the bundled plugins: `python plugins/build.py [NAME…] [--check]`.

Each folder with a plugin.json and a `src` folder becomes the wasm module that its plugin.json names. The compiler is
the pinned `ziglang` wheel. The same sources give the same bytes on every machine and from every checkout path: paths
are mapped away, there is no debug information and no time stamp. `--check` rebuilds into a temporary folder and
compares with the committed modules.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PLUGINS = Path(__file__).resolve().parent
SHARED = PLUGINS / "shared"
KIT = PLUGINS.parent / "tool_server" / "kits" / "c"

FLAGS = (
    "-target", "wasm32-freestanding", "-std=c11", "-O2", "-g0", "-mbulk-memory", "-nostdlib", "-fno-sanitize=all",
    "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
    "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--gc-sections", "-Wl,-z,stack-size=524288",
)  # fmt: skip


class BuildError(Exception):
    """The compiler refused a plugin; the message is what it said."""


def plugin_names() -> list[str]:
    """Folders that hold a plugin with C sources, sorted."""
    return sorted(path.parent.name for path in PLUGINS.glob("*/plugin.json") if (path.parent / "src").is_dir())


def committed_module(name: str) -> Path:
    """Where the plugin's manifest says that its module lies."""
    manifest = json.loads((PLUGINS / name / "plugin.json").read_text(encoding="utf-8"))
    return PLUGINS / name / manifest["wasm"]


def sources(name: str) -> list[Path]:
    """The plugin's own C files, then the shared ones; unused functions are dropped by the linker."""
    return [*sorted((PLUGINS / name / "src").glob("*.c")), *sorted(SHARED.glob("*.c"))]


def build(name: str, target: Path) -> str:
    """Compile one plugin to `target` and return the module's SHA-256, hexadecimal.

    Raises:
        BuildError: the compiler refused.
    """
    command = [
        *(sys.executable, "-m", "ziglang", "cc"),
        *FLAGS,
        f"-ffile-prefix-map={PLUGINS.parent}=.",
        *(f"-I{folder}" for folder in (KIT, SHARED, PLUGINS / name / "src")),
        *(str(path) for path in sources(name)),
        *("-o", str(target)),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if finished.returncode != 0:
        raise BuildError(f"{name}: {finished.stderr.strip() or f'the compiler ended with {finished.returncode}'}")
    return hashlib.sha256(target.read_bytes()).hexdigest()


def check(name: str) -> bool:
    """Whether a fresh build has the same bytes as the committed module."""
    module = committed_module(name)
    with tempfile.TemporaryDirectory() as folder:
        digest = build(name, Path(folder) / module.name)
    return module.is_file() and digest == hashlib.sha256(module.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build or check the named plugins, all of them without names; 0 when everything went well."""
    parser = argparse.ArgumentParser(description="Build the bundled plugins from their C sources.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a folder of plugins/; all when none is given")
    parser.add_argument("--check", action="store_true", help="rebuild elsewhere and compare with the committed modules")
    options = parser.parse_args(arguments)
    known = plugin_names()
    unknown = sorted(set(options.names) - set(known))
    if unknown:
        parser.error(f"no such plugin: {', '.join(unknown)}; there are {', '.join(known)}")
    problems = 0
    for name in options.names or known:
        try:
            if options.check and not check(name):
                raise BuildError(f"{name}: the committed module differs from its sources; run plugins/build.py {name}")
            digest = "same bytes" if options.check else build(name, committed_module(name))
        except BuildError as error:
            problems += 1
            sys.stderr.write(f"{error}\n")
        else:
            sys.stdout.write(f"{name:12} {digest}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
