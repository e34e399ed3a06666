"""`python -m tool_server` is `tool-server`."""

from tool_server.cli.operate import main

main(prog_name="tool-server")
