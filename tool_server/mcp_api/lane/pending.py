"""Answers to calls that need their clients' answers first."""

from __future__ import annotations

from tool_server.mcp_api.calls import ToolCalls
from tool_server.mcp_api.errors import failed_result
from tool_server.mcp_api.lane.answers import Answers
from tool_server.mcp_api.lane.requests import Call
from tool_server.model.call import Pending
from tool_server.model.caller import Caller
from tool_server.model.suspended_call import SuspendedCall


async def answer_pending(
    calls: ToolCalls, answers: Answers, request_id: int | str, asked: Call, caller: Caller, pending: Pending
) -> bytes:
    """The answer that has the client call once more."""
    # Here, for the SDK's types take long to import, and hardly any call asks.
    from tool_server.mcp_api.client_channels import input_required

    try:
        state = await calls.state_of(SuspendedCall("tools/call", asked.name, asked.arguments, caller), pending)
        return answers.input_required(request_id, input_required(pending.requests, state))
    except Exception as error:  # noqa: BLE001 - part of MCP's top-level translation table
        return answers.called(request_id, failed_result(error))
