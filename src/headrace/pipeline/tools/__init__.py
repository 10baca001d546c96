"""Tools that the service runs itself, when a template or the pipeline lets the model call them.

Read settings.py (`tools:` in headrace.yaml), tool.py (what a tool is), rounds.py (the loop), then
listen.py, call.py and render.py, which are its three parts. One file per kind of tool: retrieval.py,
http.py, mcp/.
"""

from headrace.pipeline.tools.rounds import Bounds, Rounds
from headrace.pipeline.tools.toolbox import Toolbox

__all__ = ["Bounds", "Rounds", "Toolbox"]
