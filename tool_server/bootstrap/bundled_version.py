"""Which version of the product last installed its bundled plugins into a data folder."""

from __future__ import annotations

from pathlib import Path

from tool_server.config import Config
from tool_server.version import VERSION


def bundled_is_current(config: Config) -> bool:
    """Whether this product version's bundled plugins were installed into the data folder before."""
    marker = _marker(config)
    return marker.is_file() and marker.read_text(encoding="utf-8") == VERSION


def note_bundled(config: Config) -> None:
    """They are installed now."""
    _marker(config).write_text(VERSION, encoding="utf-8")


def _marker(config: Config) -> Path:
    return config.data_dir / "bundled-version"
