"""The fast lane: plain requests for tools, answered as the MCP SDK would and without it.

Whatever is not plain goes to the SDK as it came. Nothing here imports the SDK, but for the results that only it knows
how to write.
"""
