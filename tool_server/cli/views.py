"""Options that choose a view of the tools, and how a view is shown."""

from __future__ import annotations

import click

from tool_server.model.view import View, ViewMode, parse_only

view_option = click.option(
    "--view",
    type=click.Choice([str(mode) for mode in ViewMode]),
    default=str(ViewMode.ALL),
    show_default=True,
    help="What MCP clients are shown: all tools, or search_tools, describe_tool and call_tool instead.",
)

only_option = click.option(
    "--only",
    multiple=True,
    metavar="plugin:NAME|tool:NAME",
    help="See no tools but those of this plugin, or this tool by its MCP name; may be given more than once.  "
    "[default: every tool]",
)


def make_view(mode: str, only: tuple[str, ...]) -> View:
    """The view that the two options ask for.

    Raises:
        InvalidInput: `invalid_view` or `invalid_name`.
    """
    plugins, tools = parse_only(only)
    return View(mode=ViewMode(mode), plugins=plugins, tools=tools)


def view_words(view: View) -> str:
    """A view in a table, such as `search: plugin:text, tool:hash_digest`."""
    named = [*(f"plugin:{name}" for name in view.plugins), *(f"tool:{name}" for name in view.tools)]
    return f"{view.mode}: {', '.join(named)}" if named else str(view.mode)
