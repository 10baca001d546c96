"""Tools of a Messages request, in chat words. The client's own only: we run no tools."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from headrace.errors import InvalidRequest
from headrace.gateway.convert import converted

__all__ = ["Choice", "ChosenTool", "choice_of", "tools_of"]

Tool: TypeAlias = dict[str, object]
Choice: TypeAlias = str | dict[str, object] | None
_MODES = {"auto": "auto", "any": "required", "none": "none"}


class ChosenTool(msgspec.Struct):
    """`tool_choice`."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class _Tool(msgspec.Struct, omit_defaults=True):
    name: str
    input_schema: dict[str, object]
    description: str | None = None
    strict: bool | None = None
    cache_control: dict[str, object] | None = None


def tools_of(tools: Sequence[Tool] | None) -> list[Tool] | None:
    """The tools as functions; a mark for the provider's cache stays with them.

    Raises:
        InvalidRequest: a tool that Anthropic would run itself or has defined, or a malformed one.
    """
    if tools is None:
        return None
    return [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]


def _tool(tool: Tool, where: str) -> Tool:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        raise InvalidRequest(
            f"'{where}.type' is {kind!r}: this service has none of Anthropic's own tools",
            hint="describe the tool with 'name' and 'input_schema' and run it in your program",
            param=f"{where}.type",
        )
    read = converted(tool, _Tool, where)
    function: Tool = {"name": read.name, "parameters": read.input_schema}
    if read.description is not None:
        function["description"] = read.description
    if read.strict is not None:
        function["strict"] = read.strict
    made: Tool = {"type": "function", "function": function}
    if read.cache_control is not None:
        made["cache_control"] = read.cache_control
    return made


def choice_of(chosen: ChosenTool | None) -> Choice:
    """`tool_choice` in chat words.

    Raises:
        InvalidRequest: a tool is to be called and its name is missing.
    """
    if chosen is None:
        return None
    if chosen.type != "tool":
        return _MODES[chosen.type]
    if chosen.name is None:
        raise InvalidRequest(
            "missing required parameter: 'tool_choice.name'", param="tool_choice.name"
        )
    return {"type": "function", "function": {"name": chosen.name}}
