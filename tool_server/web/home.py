"""The page at `/`: what this server offers and how to connect to it. One document, without scripts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import escape
from typing import cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tool_server.model.caller import Caller
from tool_server.model.catalog import Catalog, CatalogEntry, OfferedTool
from tool_server.model.view import EVERYTHING

PAGE_SIZE = 200
"""Tools on one page, and tools held back that it names."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
pre, code { font-family: ui-monospace, monospace; font-size: .875rem; }
pre { padding: .75rem; overflow-x: auto; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
summary { cursor: pointer; } summary p { display: inline; } details { margin: .5rem 0; }
.note { color: color-mix(in srgb, currentColor 65%, transparent); }
"""


def home_page(
    catalog: Callable[[], Catalog],
    describe: Callable[[Sequence[OfferedTool]], Awaitable[tuple[CatalogEntry, ...]]],
    version: str,
) -> Route:
    """The route of the page.

    Args:
        catalog: the snapshot in force.
        describe: all that is known of some of its tools.
        version: of the server.
    """

    async def show(request: Request) -> HTMLResponse:
        base = f"{request.url.scheme}://{request.url.netloc}"
        caller = request.scope.get("state", {}).get("caller")
        offered = catalog().within(caller.view if isinstance(caller, Caller) else EVERYTHING)
        shown = offered.page(request.query_params.get("after", ""), PAGE_SIZE)
        more = shown[-1].name if shown and offered.has_after(shown[-1].name) else None
        document = render(offered, await describe(shown), base, version, more=more)
        return HTMLResponse(document, headers=HEADERS)

    return Route("/", show, methods=["GET"])


def render(catalog: Catalog, shown: Sequence[CatalogEntry], base: str, version: str, *, more: str | None = None) -> str:
    """The document. Every string that comes from a plugin or a request is escaped.

    Args:
        catalog: what is offered.
        shown: the tools that this page shows, by name.
        base: the server's address without a path.
        version: of the server.
        more: the name of the tool that the next page begins after; None on the last page.
    """
    plugins: dict[tuple[str, str], list[CatalogEntry]] = {}
    for entry in shown:
        plugins.setdefault((entry.plugin, entry.version), []).append(entry)
    sections = "".join(_plugin(name, number, entries) for (name, number), entries in sorted(plugins.items()))
    following = "" if more is None else f'<p><a href="/?after={quote(more)}">More tools</a></p>'
    held = "".join(
        f"<li><code>{escape(plugin)}: {escape(tool.name)}</code> — {escape(tool.reason)}</li>"
        for plugin, tool in catalog.quarantined[:PAGE_SIZE]
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>tool-server</title><style>{_STYLE}</style></head>
<body>
<h1>tool-server <span class="note">{escape(version)}</span></h1>
<p>{len(catalog)} tools from {catalog.plugins} plugins, over MCP at <code>{escape(base)}/mcp</code>.</p>
<h2>Connect</h2>
<pre>{escape(_mastra(base))}</pre>
<p>Other MCP clients: the address above over Streamable HTTP, or the command <code>tool-server stdio</code>.
The registry's REST API is described in <a href="/api/openapi.json">OpenAPI</a>.</p>
<h2>Tools</h2>
{sections or "<p>None yet: install a plugin with <code>extism-registry install NAME</code>.</p>"}
{following}
{f"<h2>Held back</h2><ul>{held}</ul>" if held else ""}
</body>
</html>
"""


def _plugin(name: str, version: str, entries: list[CatalogEntry]) -> str:
    tools = "".join(_tool(entry) for entry in entries)
    return f'<h3>{escape(name)} <span class="note">{escape(version)}</span></h3>{tools}'


def _tool(entry: CatalogEntry) -> str:
    definition = entry.definition
    parameters = "".join(
        _parameter(name, schema) for name, schema in _properties(definition.input_schema.get("properties")).items()
    )
    example = ""
    if definition.examples:
        arguments = json.dumps(definition.examples[0].input, ensure_ascii=False)
        example = f"<pre>tool-server call {escape(entry.name)} '{escape(arguments)}'</pre>"
    return (
        f"<details><summary><code>{escape(entry.name)}</code> {escape(definition.title or '')}</summary>"
        f"<p>{escape(definition.description)}</p>{f'<ul>{parameters}</ul>' if parameters else ''}{example}</details>"
    )


def _parameter(name: str, schema: object) -> str:
    described = _properties(schema).get("description")
    text = f" — {escape(described)}" if isinstance(described, str) else ""
    return f"<li><code>{escape(name)}</code>{text}</li>"


def _properties(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _mastra(base: str) -> str:
    return f"""import {{ MCPClient }} from '@mastra/mcp';

const mcp = new MCPClient({{ servers: {{ tools: {{ url: new URL('{base}/mcp') }} }} }});
const tools = await mcp.listTools();"""
