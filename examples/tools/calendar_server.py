"""An MCP server without any package: one tool, over standard input and output.

One JSON-RPC message a line, as modelcontextprotocol.io/specification says for stdio.
"""

import json
import sys

CLOSED = {"2026-12-25": "Christmas Day", "2026-12-26": "Saint Stephen's Day"}
TOOL = {
    "name": "is_open",
    "description": "Whether the mill is open on a day.",
    "inputSchema": {
        "type": "object",
        "properties": {"day": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}},
        "required": ["day"],
        "additionalProperties": False,
    },
}


def result_of(method: str, params: dict) -> dict:  # type: ignore[type-arg]
    """What a request gets."""
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "calendar", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        day = params["arguments"]["day"]
        why = CLOSED.get(day)
        text = f"The mill is closed on {day}: {why}." if why else f"The mill is open on {day}."
        return {"content": [{"type": "text", "text": text}]}
    return {}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        result = result_of(asked["method"], asked.get("params", {}))
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
