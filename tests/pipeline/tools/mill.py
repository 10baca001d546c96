"""A real MCP server, on the protocol's own package: over stdio, or with a port over HTTP."""

import asyncio
import os
import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("mill", log_level="ERROR")


@server.tool()
def stock(item: str) -> str:
    """How many of an item the mill has."""
    return f"The mill has 12 of {item}."


@server.tool()
def environment() -> str:
    """The names of the variables that this process sees."""
    return " ".join(sorted(os.environ))


@server.tool()
async def hang() -> str:
    """Takes an hour."""
    await asyncio.sleep(3600)
    return "late"


@server.tool()
def fail() -> str:
    """Raises."""
    raise ValueError("the wheel is stuck")


@server.tool()
def die() -> str:
    """Ends the process."""
    os._exit(3)


@server.tool()
def flood() -> str:
    """Says 10 MB, more than twice what one message may have."""
    return "x" * 10_000_000


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
