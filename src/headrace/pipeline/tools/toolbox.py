"""All tools of one service."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from headrace.access.principal import Principal
from headrace.config.model import ServiceConfig
from headrace.knowledge.passage import Retriever
from headrace.pipeline.steps.ground.lookup import roles_of
from headrace.pipeline.tools.errors import AddressRefused
from headrace.pipeline.tools.http import HttpTool
from headrace.pipeline.tools.mcp.server import McpServer
from headrace.pipeline.tools.retrieval import DESCRIPTION, PARAMETERS, RetrievalTool
from headrace.pipeline.tools.schema import ArgumentSchema
from headrace.pipeline.tools.settings import ToolSettings, read_tools
from headrace.pipeline.tools.tool import Function, Run, ToolKind

__all__ = ["Toolbox"]

_log = logging.getLogger(__name__)


class Toolbox:
    """The tools that `tools:` declares, ready to be offered."""

    def __init__(
        self,
        settings: Mapping[str, ToolSettings],
        fixed: Mapping[str, Function],
        servers: Mapping[str, McpServer],
        endpoints: Sequence[HttpTool],
    ) -> None:
        self._settings = settings
        self._fixed = fixed
        self._servers = servers
        self._endpoints = endpoints

    @classmethod
    def build(cls, config: ServiceConfig, knowledge: Retriever | None) -> Self:
        """Nothing is started or asked.

        Args:
            knowledge: None where the service is only looked at.

        Raises:
            ConfigError: the section is wrong, or a host is a private address that is not allowed.
        """
        settings = read_tools(config.tools, has_knowledge=config.knowledge is not None)
        fixed: dict[str, Function] = {}
        servers: dict[str, McpServer] = {}
        endpoints: list[HttpTool] = []
        for name, tool in settings.items():
            if tool.mcp is not None:
                servers[name] = McpServer(name, tool, config.root)
            elif tool.http is not None:
                assert config.tools is not None
                try:
                    endpoint = HttpTool.of(tool.http, tool.max_bytes)
                except AddressRefused as error:
                    raise config.tools.error(
                        error.message, name, "http", "url", hint=error.hint
                    ) from None
                endpoints.append(endpoint)
                fixed[name] = _function(name, tool, "extension", tool.http.parameters, endpoint)
            elif tool.retrieval is not None and knowledge is not None:
                run = RetrievalTool(tool.retrieval, knowledge)
                fixed[name] = _function(name, tool, "datastore", PARAMETERS, run)
        return cls(settings, fixed, servers, endpoints)

    @property
    def names(self) -> Sequence[str]:
        """The tools' names, as templates allow them."""
        return list(self._settings)

    @property
    def digest_inputs(self) -> object:
        """What decides about answers: the settings, less keys and what a server offers by now."""
        return {
            name: {**msgspec.to_builtins(tool), **_without_secrets(tool)}
            for name, tool in self._settings.items()
        }

    def problems(self) -> Mapping[str, str]:
        """Which tools offer nothing now, and why."""
        return {name: each.problem for name, each in self._servers.items() if each.problem}

    def functions(self, names: Sequence[str], principal: Principal) -> list[Function]:
        """What a turn may call: of these tools, those that its key may use and that are there."""
        roles = roles_of(principal)
        found: dict[str, Function] = {}
        for name in names:
            tool = self._settings.get(name)
            if tool is None or (tool.roles and roles.isdisjoint(tool.roles)):
                continue
            offered = (
                self._servers[name].functions()
                if name in self._servers
                else [self._fixed[name]]
                if name in self._fixed
                else []
            )
            for each in offered:
                if found.setdefault(each.name, each) is not each:
                    _log.warning("two tools have a function %s; the first is used", each.name)
        return list(found.values())

    def offered_bytes(self, names: Sequence[str] | None, principal: Principal) -> int:
        """What a turn's functions take of its prompt, in bytes; None: of whatever there is."""
        functions = self.functions(self.names if names is None else names, principal)
        return sum(len(msgspec.json.encode(each.offer)) for each in functions)

    async def start(self) -> None:
        """Connect to every MCP server; one that is not there is said, and tried again later."""
        await asyncio.gather(*(each.start() for each in self._servers.values()))

    async def close(self) -> None:
        for endpoint in self._endpoints:
            endpoint.close()
        await asyncio.gather(*(each.close() for each in self._servers.values()))


def _function(
    name: str, tool: ToolSettings, kind: ToolKind, parameters: Mapping[str, object], run: Run
) -> Function:
    return Function(
        name=name,
        tool=name,
        kind=kind,
        description=tool.description or DESCRIPTION,
        parameters=parameters,
        schema=ArgumentSchema(parameters),
        settings=tool,
        run=run,
    )


def _without_secrets(tool: ToolSettings) -> dict[str, object]:
    changed: dict[str, object] = {}
    if tool.http is not None:
        http = msgspec.structs.replace(tool.http, headers={})
        changed["http"] = msgspec.to_builtins(http)
    if tool.mcp is not None:
        mcp = msgspec.structs.replace(tool.mcp, headers={}, env={})
        changed["mcp"] = msgspec.to_builtins(mcp)
    return changed
