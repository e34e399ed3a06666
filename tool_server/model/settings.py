"""What an operator sets for one installation beside its grants: values of settings, and what is not offered."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from tool_server.errors import InvalidInput
from tool_server.model.names import MAX_TOOL_PREFIX, TOOL_PREFIX_PATTERN

MAX_SETTINGS = 100
MAX_SETTING_BYTES = 32_768
"""Of all names and values together: they fit into the body of a request, escapes and all but the rarest."""

MAX_PATTERNS = 100
MAX_PATTERN = 1_000
"""Characters of one pattern."""


_Patterns = Annotated[tuple[Annotated[str, Field(max_length=MAX_PATTERN)], ...], Field(max_length=MAX_PATTERNS)]


class InstallationSettings(BaseModel):
    """Stays with the plugin when its pin moves, and goes when it is uninstalled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Annotated[dict[str, str], Field(max_length=MAX_SETTINGS, repr=False)] = Field(
        default_factory=dict[str, str]
    )
    """What the guest reads through `config_get`, where its effective permission `environment` names it. No secrets:
    these values lie in the database as they are."""
    skip_tools: _Patterns = ()
    """Patterns looked for in the tools' own names; a tool with one of them is not offered."""
    skip_prompts: _Patterns = ()
    """The same for the prompts' own names."""
    skip_resources: _Patterns = ()
    """The same for the URIs of resources."""
    skip_resource_templates: _Patterns = ()
    """The same for URI templates."""
    tool_prefix: Annotated[str, Field(max_length=MAX_TOOL_PREFIX, pattern=f"^{TOOL_PREFIX_PATTERN}$")] | None = None
    """What stands before the own names of tools and prompts instead of the plugin's name; empty: nothing does."""

    @property
    def patterns(self) -> tuple[tuple[str, ...], ...]:
        """All patterns, by what they leave out."""
        return self.skip_tools, self.skip_prompts, self.skip_resources, self.skip_resource_templates

    def bounded(self) -> Self:
        """These settings.

        Raises:
            InvalidInput: `too_many_settings`.
        """
        size = sum(
            len(name.encode()) + len(value.encode("utf-8", "surrogatepass")) for name, value in self.config.items()
        )
        if size > MAX_SETTING_BYTES:
            raise InvalidInput(
                "too_many_settings", f"the settings take {size} bytes together; at most {MAX_SETTING_BYTES} are kept"
            )
        return self
