"""completion/complete as a handler of the SDK's server."""

from __future__ import annotations

from typing import cast

import mcp_types as types

from tool_server.mcp_api.content import Asking, Context, PluginContent


class CompletionHandler:
    """The handler.

    Args:
        content: completes.
        asking: answers requests.
    """

    def __init__(self, content: PluginContent, asking: Asking) -> None:
        self._content = content
        self._asking = asking

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        """Have a plugin complete an argument of its prompt, or a variable of its resource template."""
        caller = self._asking.caller_of(context)
        known = (params.context.arguments if params.context is not None else None) or {}
        argument, value = params.argument.name, params.argument.value
        match params.ref:
            case types.PromptReference(name=name):
                work = self._content.complete_prompt(name, argument, value, known, caller)
            case types.ResourceTemplateReference(uri=template):
                work = self._content.complete_template(template, argument, value, known, caller)
        return cast(types.CompleteResult, await self._asking.answer(context, work))
