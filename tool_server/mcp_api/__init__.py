"""MCP: tools/list and tools/call on the SDK's low-level server."""
