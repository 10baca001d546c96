"""The protocol's messages: JSON-RPC 2.0, and the few methods that tools need."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from headrace.pipeline.tools.errors import ToolFailed, ToolUnavailable

__all__ = [
    "MAX_MESSAGE_BYTES",
    "VERSION",
    "Called",
    "Connection",
    "Incoming",
    "Initialized",
    "ListedTool",
    "Page",
    "decode",
    "encode",
    "response_to",
]

VERSION = "2025-06-18"
"""The version that is offered; a server that speaks an older one says so, and is taken at that."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A longer message ends the connection: what it would be is never in memory."""
_METHOD_NOT_FOUND = -32601


class _Failure(msgspec.Struct):
    code: int = 0
    message: str = ""


class Incoming(msgspec.Struct):
    """A message of the server: an answer, a request or a notification."""

    id: int | str | None = None
    method: str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _Failure | None = None

    def value(self) -> bytes:
        """The answer's result.

        Raises:
            ToolFailed: the answer is an error.
        """
        if self.error is not None:
            raise ToolFailed(f"the tool's server says: {self.error.message} ({self.error.code})")
        return bytes(self.result) or b"{}"


class Initialized(msgspec.Struct):
    """The answer to `initialize`."""

    protocol_version: str = msgspec.field(name="protocolVersion", default=VERSION)


class ListedTool(msgspec.Struct):
    """One tool, as `tools/list` has it."""

    name: str
    description: str = ""
    input_schema: dict[str, object] = msgspec.field(name="inputSchema", default_factory=dict)


class Page(msgspec.Struct):
    """The answer to `tools/list`."""

    tools: list[ListedTool] = []
    next_cursor: str | None = msgspec.field(name="nextCursor", default=None)


class _Resource(msgspec.Struct):
    uri: str = ""
    text: str | None = None


class _Content(msgspec.Struct):
    type: str = "text"
    text: str | None = None
    resource: _Resource | None = None
    uri: str | None = None

    def said(self) -> str:
        if self.text is not None:
            return self.text
        if self.resource is not None:
            return self.resource.text or f"[{self.type} {self.resource.uri}]"
        return f"[{self.type} {self.uri}]" if self.uri else f"[{self.type}]"


class Called(msgspec.Struct):
    """The answer to `tools/call`."""

    content: list[_Content] = []
    is_error: bool = msgspec.field(name="isError", default=False)
    structured: msgspec.Raw = msgspec.field(name="structuredContent", default=msgspec.Raw())

    def text(self) -> str:
        """What the model reads; images and sounds are named only."""
        if not self.content and bytes(self.structured):
            return bytes(self.structured).decode("utf-8", "replace")
        return "\n".join(each.said() for each in self.content)


class Connection(Protocol):
    """A way to one server, opened."""

    @property
    def is_open(self) -> bool: ...

    async def request(self, method: str, params: Mapping[str, object]) -> bytes:
        """The result of one request, as JSON.

        Raises:
            ToolFailed: the server answers with an error.
            ToolUnavailable: it has gone.
        """
        ...

    async def notify(self, method: str, params: Mapping[str, object]) -> None: ...

    def agreed(self, version: str) -> None:
        """Told which version both speak."""
        ...

    async def close(self) -> None: ...


def encode(method: str, params: Mapping[str, object], request_id: int | None = None) -> bytes:
    """A request, or without an id a notification."""
    message: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params}
    if request_id is not None:
        message["id"] = request_id
    return msgspec.json.encode(message)


def decode(data: bytes) -> Sequence[Incoming]:
    """The messages in what came: one, or (in the version of March 2025) several.

    Raises:
        ToolUnavailable: it is none.
    """
    try:
        if data.lstrip()[:1] == b"[":
            return msgspec.json.decode(data, type=list[Incoming])
        return [msgspec.json.decode(data, type=Incoming)]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ToolUnavailable(
            "the tool's server does not speak MCP: no JSON-RPC message"
        ) from error


def response_to(incoming: Incoming) -> bytes | None:
    """What a request of the server gets: an empty answer to `ping`, else that we have no such
    method; None for a notification."""
    if incoming.method is None or incoming.id is None:
        return None
    if incoming.method == "ping":
        return msgspec.json.encode({"jsonrpc": "2.0", "id": incoming.id, "result": {}})
    error = {"code": _METHOD_NOT_FOUND, "message": "this client has no such method"}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": incoming.id, "error": error})
