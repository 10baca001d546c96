"""Tools of a Responses request, in chat words. Functions only: we run no tools of our own."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from headrace.errors import InvalidRequest
from headrace.gateway.convert import converted

__all__ = ["Choice", "choice_of", "tools_of"]

Tool: TypeAlias = dict[str, object]
Choice: TypeAlias = str | dict[str, object] | None


class _Function(msgspec.Struct, omit_defaults=True):
    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class _Named(msgspec.Struct):
    name: str


class _Allowed(msgspec.Struct):
    mode: Literal["auto", "required"]
    tools: list[_Named]


def tools_of(tools: Sequence[Tool] | None) -> list[Tool] | None:
    """The functions, as chat completions have them.

    Raises:
        InvalidRequest: a tool that OpenAI would run itself, or a malformed one.
    """
    if tools is None:
        return None
    return [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]


def _tool(tool: Tool, where: str) -> Tool:
    kind = tool.get("type")
    if kind != "function":
        raise InvalidRequest(
            f"'{where}.type' is {kind!r}: this service runs no built-in tools",
            hint="offer a tool of type 'function' and run it in your program",
            param=f"{where}.type",
        )
    function = converted(tool, _Function, where)
    return {"type": "function", "function": msgspec.to_builtins(function)}


def choice_of(choice: Choice, tools: list[Tool] | None) -> tuple[Choice, list[Tool] | None]:
    """`tool_choice` in chat words, and the tools that it leaves.

    Raises:
        InvalidRequest: it asks for a tool that OpenAI would run itself, or is malformed.
    """
    if choice is None or isinstance(choice, str):
        if choice not in (None, "none", "auto", "required"):
            raise InvalidRequest(
                f"'tool_choice' is {choice!r}; allowed: none, auto, required, or an object",
                param="tool_choice",
            )
        return choice, tools
    kind = choice.get("type")
    if kind == "function":
        name = converted(choice, _Named, "tool_choice").name
        return {"type": "function", "function": {"name": name}}, tools
    if kind == "allowed_tools":
        allowed = converted(choice, _Allowed, "tool_choice")
        names = {each.name for each in allowed.tools}
        return allowed.mode, [each for each in tools or () if _name_of(each) in names]
    raise InvalidRequest(
        f"'tool_choice.type' is {kind!r}: this service runs no built-in tools",
        hint="use 'function' or 'allowed_tools'",
        param="tool_choice.type",
    )


def _name_of(tool: Tool) -> object:
    function = tool["function"]
    assert isinstance(function, dict)
    return function["name"]
