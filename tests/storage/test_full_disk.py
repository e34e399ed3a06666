"""A disk, quota or file size limit that is used up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage.processes import ROOT, command

MOUNT = ["unshare", "--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"']


def with_full_disk(folder: Path) -> list[str]:
    """The filler on a file system of one mebibyte, where this kernel lets us mount one; else with a file size limit."""
    mounted = [*MOUNT, str(folder)]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode == 0:
        return [*mounted, *command("filler", str(folder))]
    return with_small_files(folder)


def with_small_files(folder: Path) -> list[str]:
    """The filler under a limit on the size of each file."""
    return command("filler", str(folder), "300000")


@pytest.mark.parametrize("arrange", [with_full_disk, with_small_files])
def test_a_full_disk_is_reported_and_keeps_what_was_acknowledged(
    arrange: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    finished = subprocess.run(arrange(tmp_path), cwd=ROOT, capture_output=True, text=True, check=True)
    report = json.loads(finished.stdout)
    assert report["artifact"] == {"code": "disk_full", "listed": True, "kept": [1_000, 1_000, 1_000]}
    assert report["version"].pop("published") > 3
    assert report["version"] == {"code": "disk_full", "agree": True}
    assert report["problems"] == []
