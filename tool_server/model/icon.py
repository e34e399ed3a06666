"""Icons that clients may show, spelled as in MCP."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_NAME = 200
"""Characters of a name."""

MAX_ICONS = 20

MAX_STATIC = 64 * 1024
"""Characters of a resource that stands in the manifest, and of an icon."""

Name = Annotated[str, Field(max_length=MAX_NAME)]


class Icon(BaseModel):
    """An icon that clients may show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    src: Annotated[str, Field(max_length=MAX_STATIC)]
    """A URL, or a `data:` URI."""
    mimeType: Name | None = None
    sizes: Annotated[tuple[Annotated[str, Field(max_length=20)], ...], Field(max_length=MAX_ICONS)] | None = None
    theme: Literal["light", "dark"] | None = None


Icons = Annotated[tuple[Icon, ...], Field(max_length=MAX_ICONS)]
