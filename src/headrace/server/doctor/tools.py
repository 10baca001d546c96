"""The tools that `tools:` declares: whether each MCP server starts and lists what it has."""

import asyncio
from collections.abc import Iterator, Mapping

from headrace.errors import HeadraceError
from headrace.pipeline.tools.toolbox import Toolbox
from headrace.server.doctor.result import Result, ok, warn
from headrace.server.doctor.site import Site

__all__ = ["check_tools"]


def check_tools(site: Site) -> Iterator[Result]:
    """One result per server that is away, or one for all. Endpoints are not asked: a call may cost
    something, or do something."""
    if site.config is None or site.config.tools is None:
        return
    try:
        toolbox = Toolbox.build(site.config, None)
    except HeadraceError:
        return  # the check of the files says why
    problems = asyncio.run(_problems(toolbox))
    for name, problem in problems.items():
        yield warn(
            "tools",
            f"the tool {name} is not available: {problem}",
            hint=f"the service runs without it and tries again; see tools.{name}.mcp",
        )
    if not problems:
        yield ok("tools", f"{', '.join(toolbox.names)}: declared, and every MCP server answers")


async def _problems(toolbox: Toolbox) -> Mapping[str, str]:
    try:
        await toolbox.start()
        return toolbox.problems()
    finally:
        await toolbox.close()
