"""The fixtures that the conformance suite calls, as plugins: each folder of `plugins/` is one group of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.guests import compile_c

PLUGINS = Path(__file__).parent / "plugins"


def groups() -> tuple[str, ...]:
    """The names of the folders."""
    return tuple(sorted(path.parent.name for path in PLUGINS.glob("*/plugin.json")))


def build(group: str, folder: Path) -> Path:
    """Make a folder with a group's plugin.json and its compiled module, ready to publish, and return it."""
    source, made = PLUGINS / group, folder / group
    made.mkdir(parents=True)
    shutil.copy(source / "plugin.json", made)
    shared = (PLUGINS / "fixture.h").read_text()
    (made / "plugin.wasm").write_bytes(compile_c(f"{shared}\n{(source / 'plugin.c').read_text()}"))
    return made
