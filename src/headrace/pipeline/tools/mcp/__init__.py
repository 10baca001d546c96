"""A small client of the Model Context Protocol: what a service needs to offer a server's tools.

Read wire.py (the messages), then server.py (one server: connected, listed, asked, connected again).
stdio.py and streamable.py are the two ways to one.

Not covered: resources, prompts, sampling, roots, elicitation, OAuth; a server that needs them is
told that this client has none.

Source: modelcontextprotocol.io/specification/2025-06-18.
"""

from headrace.pipeline.tools.mcp.server import McpServer

__all__ = ["McpServer"]
