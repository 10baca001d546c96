"""One MCP server: connected when the service starts, and again when it has gone."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace import __version__
from headrace.access.principal import Principal
from headrace.errors import HeadraceError
from headrace.pipeline.tools.errors import ToolFailed, ToolUnavailable
from headrace.pipeline.tools.mcp.stdio import StdioConnection
from headrace.pipeline.tools.mcp.streamable import StreamableConnection
from headrace.pipeline.tools.mcp.wire import (
    VERSION,
    Called,
    Connection,
    Initialized,
    ListedTool,
    Page,
)
from headrace.pipeline.tools.schema import ArgumentSchema, problem_of
from headrace.pipeline.tools.settings import ToolSettings
from headrace.pipeline.tools.tool import Function, Result

__all__ = ["McpServer"]

_MOST_PAGES = 20
_MOST_TOOLS = 128
_LONGEST_NAME = 64
"""OpenAI's limit on a function's name."""
_LONGEST_DESCRIPTION = 2_000
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 120.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


class McpServer:
    """Offers a server's tools as functions. A server that is away has none, until it is back."""

    def __init__(self, name: str, settings: ToolSettings, root: Path) -> None:
        assert settings.mcp is not None
        self._name = name
        self._settings = settings
        self._mcp = settings.mcp
        self._root = root
        self._connection: Connection | None = None
        self._functions: Sequence[Function] = ()
        self._connecting: asyncio.Task[None] | None = None
        self._wait_s = _FIRST_WAIT_S
        self._retry_at = 0.0
        self._is_closed = False
        self.problem = "it has not been started"
        """Why it offers nothing; empty while it does."""

    async def start(self) -> None:
        """Connect and list, within the time for it. What goes wrong is kept in `problem`."""
        await self._connect()

    def functions(self) -> Sequence[Function]:
        """What it offers now. One that has gone is connected to in the background, and offers
        nothing meanwhile: no turn waits for it."""
        if self._connection is not None and self._connection.is_open:
            return self._functions
        may_try = asyncio.get_running_loop().time() >= self._retry_at
        if may_try and not self._is_closed and self._connecting is None:
            self._connecting = asyncio.create_task(self._connect_again())
        return ()

    async def close(self) -> None:
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self._drop()

    async def _connect_again(self) -> None:
        try:
            await self._connect()
        finally:
            self._connecting = None

    async def _connect(self) -> None:
        await self._drop()
        try:
            async with asyncio.timeout(self._mcp.start_timeout_s):
                self._connection = await self._open()
                self._functions = await self._listed(self._connection)
        except TimeoutError:
            await self._failed(f"no answer within {self._mcp.start_timeout_s:g} s")
        except HeadraceError as error:
            await self._failed(error.message)
        except asyncio.CancelledError:
            await self._drop()
            raise
        else:
            self.problem = ""
            self._wait_s = _FIRST_WAIT_S
            _log.info("the tool %s offers %d functions", self._name, len(self._functions))

    async def _failed(self, why: str) -> None:
        self.problem = why
        self._retry_at = asyncio.get_running_loop().time() + self._wait_s
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
        _log.warning("the tool %s is not available: %s", self._name, why)
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection, self._functions = self._connection, None, ()
        if connection is not None:
            await connection.close()

    async def _open(self) -> Connection:
        mcp = self._mcp
        if mcp.command:
            connection: Connection = await StdioConnection.open(
                mcp.command, mcp.env, self._root, self._name
            )
        else:
            connection = StreamableConnection.to(mcp)
        # Held at once, so that what goes wrong from here on closes it.
        self._connection = connection
        answer = await connection.request(
            "initialize",
            {
                "protocolVersion": VERSION,
                "capabilities": {},
                "clientInfo": {"name": "headrace", "version": __version__},
            },
        )
        connection.agreed(_decoded(answer, Initialized).protocol_version)
        await connection.notify("notifications/initialized", {})
        return connection

    async def _listed(self, connection: Connection) -> Sequence[Function]:
        found: list[ListedTool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = _decoded(
                await connection.request("tools/list", {"cursor": cursor} if cursor else {}), Page
            )
            found += page.tools
            cursor = page.next_cursor
            if not cursor or len(found) > _MOST_TOOLS:
                break
        only = set(self._mcp.only)
        if missing := only - {each.name for each in found}:
            _log.warning("the tool %s has no %s", self._name, ", ".join(sorted(missing)))
        wanted = [each for each in found if not only or each.name in only]
        if len(wanted) > _MOST_TOOLS:
            raise ToolUnavailable(
                f"it offers more than {_MOST_TOOLS} tools", hint="name those you want under `only`"
            )
        return self._unlike([made for each in wanted if (made := self._function(each))])

    def _function(self, listed: ListedTool) -> Function | None:
        parameters = listed.input_schema or {"type": "object"}
        if problem := problem_of(parameters):
            _log.warning("the tool %s: %s is left out: %s", self._name, listed.name, problem)
            return None
        return Function(
            name=_NOT_IN_NAMES.sub("_", f"{self._name}_{listed.name}")[:_LONGEST_NAME],
            tool=self._name,
            kind="extension",
            description=(listed.description or self._settings.description)[:_LONGEST_DESCRIPTION],
            parameters=parameters,
            schema=ArgumentSchema(parameters),
            settings=self._settings,
            run=_McpCall(self, listed.name),
        )

    def _unlike(self, functions: Sequence[Function]) -> Sequence[Function]:
        """Those whose names differ; the first of each."""
        by_name: dict[str, Function] = {}
        for each in functions:
            if each.name in by_name:
                _log.warning("the tool %s has two functions named %s", self._name, each.name)
            by_name.setdefault(each.name, each)
        return list(by_name.values())

    async def call(self, tool: str, arguments: Mapping[str, object]) -> Result:
        """Raises ToolFailed, or ToolUnavailable if the server has gone."""
        if self._connection is None:
            raise ToolUnavailable(f"the tool's server is not there: {self.problem}")
        answer = await self._connection.request(
            "tools/call", {"name": tool, "arguments": dict(arguments)}
        )
        called = _decoded(answer, Called)
        return Result(text=called.text(), is_error=called.is_error)


class _McpCall:
    """One of the server's tools."""

    def __init__(self, server: McpServer, tool: str) -> None:
        self._server = server
        self._tool = tool

    async def __call__(self, arguments: Mapping[str, object], principal: Principal) -> Result:
        del principal
        return await self._server.call(self._tool, arguments)


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ToolFailed("the tool's server gave a result in no form of MCP") from error
