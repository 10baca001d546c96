"""What `tools:` in headrace.yaml may hold: each tool by the name that templates allow it under."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.access.network import read_network
from headrace.config.node import Node
from headrace.pipeline.steps.ground.injected import OnInjection
from headrace.pipeline.tools.schema import problem_of
from headrace.pipeline.tools.template import UrlTemplate

__all__ = [
    "HttpToolSettings",
    "McpSettings",
    "RetrievalToolSettings",
    "ToolSettings",
    "ToolsSection",
    "read_tools",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_KINDS = ("retrieval", "http", "mcp")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: unknown fields are errors."""


class RetrievalToolSettings(_Section, frozen=True, kw_only=True):
    """A search in the service's knowledge base (`tools.NAME.retrieval`)."""

    passages: Annotated[int, Meta(ge=1, le=20)] = 4
    """Most passages per search."""
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Passages with a lower score are left out."""
    filters: dict[str, str] = {}
    """Metadata that a document must have, such as `{product: mill}`."""


class HttpToolSettings(_Section, frozen=True, kw_only=True):
    """One endpoint of an HTTP service (`tools.NAME.http`); the model fills in arguments only."""

    url: str
    """Its address; `{city}` in path or query takes that argument, percent-encoded."""
    method: Literal["GET", "POST"] = "GET"
    """Arguments that the address does not take go into the query (GET) or a JSON body (POST)."""
    headers: dict[str, str] = {}
    """Headers of each request, such as an API key; the model never sees them."""
    parameters: dict[str, object]
    """JSON Schema of the arguments, an object; what does not conform is told to the model."""
    allow: list[str] = []
    """Private addresses or networks that it may reach, such as `10.1.0.0/16`; absent: none."""


class McpSettings(_Section, frozen=True, kw_only=True):
    """A server of the Model Context Protocol (`tools.NAME.mcp`): a command, or an address."""

    command: list[str] = []
    """Command and arguments of a server that speaks over its standard input and output."""
    env: dict[str, str] = {}
    """Environment of the command, besides PATH, HOME, LANG and TMPDIR: it gets no others."""
    url: str | None = None
    """Address of a server that speaks streamable HTTP."""
    headers: dict[str, str] = {}
    """Headers of each request to `url`."""
    allow: list[str] = []
    """Private addresses or networks that `url` may lead to; absent: none."""
    only: list[str] = []
    """The server's tools that may be called; absent: all it has."""
    start_timeout_s: Annotated[float, Meta(gt=0, le=120)] = 10.0
    """Seconds to start and list its tools; then the service goes on without, and tries again."""


class ToolSettings(_Section, frozen=True, kw_only=True):
    """One tool that the service runs for the model (`tools.NAME`); exactly one of its kinds."""

    description: str = ""
    """What it is for, in words for the model; needed for `http`."""
    retrieval: RetrievalToolSettings | None = None
    """Searches the knowledge base as the caller; what it finds can be cited."""
    http: HttpToolSettings | None = None
    """Asks one declared endpoint."""
    mcp: McpSettings | None = None
    """Offers the tools of an MCP server, as `NAME_TOOL`."""
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    """Seconds that one call may take."""
    max_bytes: Annotated[int, Meta(ge=256, le=1_048_576)] = 16_384
    """Most bytes of a result that the model reads; the rest is cut off."""
    roles: list[str] = []
    """Roles of keys, or `team:NAME`, whose turns may use it; absent: all."""
    unmask: bool = False
    """Whether the tool gets what a policy masked in the prompt; off: it gets the placeholders."""
    on_injection: OnInjection = "neutralise"
    """What happens to commands in a result: those sentences go, all of it goes, or it is noted."""
    injection_score: Annotated[float, Meta(ge=0, le=1)] = 0.6
    """Score of the injection detector from which on that happens."""


ToolsSection: TypeAlias = dict[str, ToolSettings]


def read_tools(node: Node | None, *, has_knowledge: bool) -> Mapping[str, ToolSettings]:
    """The section, checked.

    Raises:
        ConfigError: with file, line and field.
    """
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        raise node.error("expected a mapping from a tool's name to its settings")
    return {name: _tool(node.child(name), name, has_knowledge) for name in node.value}


def _tool(node: Node, name: object, has_knowledge: bool) -> ToolSettings:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise node.error(
            f"{name!r} cannot name a tool",
            hint="use letters, digits, `_` and `-`, beginning with a letter; 40 at most",
        )
    tool = node.convert(ToolSettings)
    kinds = [kind for kind in _KINDS if getattr(tool, kind) is not None]
    if len(kinds) != 1:
        said = f"found {' and '.join(kinds)}" if kinds else "found none"
        raise node.error(f"expected one of retrieval, http and mcp, {said}")
    if tool.retrieval is not None and not has_knowledge:
        raise node.error(
            "the service has no knowledge base to search",
            "retrieval",
            hint="declare one under `knowledge:`",
        )
    if tool.http is not None:
        _check_http(node, tool.http)
        if not tool.description.strip():
            raise node.error(
                "the field 'description' is missing",
                hint="say what the endpoint is for: it is all that the model knows of it",
            )
    if tool.mcp is not None:
        _check_mcp(node, tool.mcp)
    return tool


def _check_http(node: Node, http: HttpToolSettings) -> None:
    if problem := problem_of(http.parameters):
        raise node.error(problem, "http", "parameters")
    properties = http.parameters.get("properties")
    names = set(properties) if isinstance(properties, dict) else set()
    try:
        template = UrlTemplate.read(http.url)
    except ValueError as error:
        raise node.error(str(error), "http", "url") from None
    for name in template.names:
        if name not in names:
            raise node.error(
                f"`{{{name}}}` is none of the arguments",
                "http",
                "url",
                hint=f"declare it under parameters.properties; there are: {', '.join(sorted(names))}",
            )
    _check_networks(node, "http", http.allow)


def _check_mcp(node: Node, mcp: McpSettings) -> None:
    if bool(mcp.command) == (mcp.url is not None):
        raise node.error("expected either `command` or `url`", "mcp")
    if mcp.url is not None:
        try:
            template = UrlTemplate.read(mcp.url)
        except ValueError as error:
            raise node.error(str(error), "mcp", "url") from None
        if template.names:
            raise node.error("this address takes no arguments", "mcp", "url")
    _check_networks(node, "mcp", mcp.allow)


def _check_networks(node: Node, kind: str, written: list[str]) -> None:
    for at, text in enumerate(written):
        try:
            read_network(text)
        except ValueError:
            raise node.error(
                "expected an address or a network, such as 10.1.2.3 or 10.0.0.0/8",
                kind,
                "allow",
                at,
            ) from None
