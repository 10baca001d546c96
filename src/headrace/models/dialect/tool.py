"""The tools of a request, and which of them the model may or must call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import msgspec

from headrace.errors import InvalidRequest
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.errors import NotOffered
from headrace.types import Params, ToolCall

__all__ = ["Function", "Toolbox", "arguments_of", "toolbox_of"]


class Function(msgspec.Struct, frozen=True):
    """One function that the model may call."""

    name: str
    description: str = ""
    parameters: dict[str, object] | None = None
    strict: bool | None = None
    cache_control: dict[str, object] | None = None
    """A mark that the prompt is cached up to here, as Anthropic has it."""

    @property
    def schema(self) -> dict[str, object]:
        """JSON Schema of the arguments; a function without parameters takes an empty object."""
        return self.parameters or {"type": "object", "properties": {}}


class _Tool(msgspec.Struct):
    function: Function
    cache_control: dict[str, object] | None = None


class _Named(msgspec.Struct):
    name: str


class _Chosen(msgspec.Struct):
    function: _Named


class _Allowed(msgspec.Struct):
    mode: Literal["auto", "required"]
    tools: list[_Chosen]


class _Choice(msgspec.Struct):
    type: str = "function"
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the model may call."""

    functions: Sequence[Function]
    native: Sequence[dict[str, object]]
    """Tools in the provider's own words; they go to it as they are."""
    mode: Literal["auto", "none", "required"] | None
    """None where the request does not say."""
    name: str | None
    """The one function that must be called; `mode` is then `required`."""
    one_at_a_time: bool
    """Whether the request forbids several calls in one answer."""


def toolbox_of(params: Params) -> Toolbox | None:
    """The request's tools; None where it has none.

    Raises:
        InvalidRequest: a tool or the choice is malformed, or the choice names no tool there is.
    """
    if not params.tools:
        if params.tool_choice not in (None, "none", "auto"):
            raise InvalidRequest("'tool_choice' needs 'tools'", param="tool_choice")
        return None
    functions: list[Function] = []
    native: list[dict[str, object]] = []
    for i, tool in enumerate(params.tools):
        if "custom" in tool:
            raise NotOffered(
                "custom tools are OpenAI's alone", hint="use a function", param=f"tools[{i}]"
            )
        if "function" in tool:
            functions.append(_function(tool, i))
        else:
            native.append(tool)
    mode, name, allowed = _chosen(params.tool_choice)
    known = {each.name for each in functions}
    if (name is not None and name not in known) or not (allowed or set()) <= known:
        raise InvalidRequest(
            f"'tool_choice' names none of the functions {', '.join(sorted(known)) or '(none)'}",
            param="tool_choice",
        )
    if allowed is not None:
        functions = [each for each in functions if each.name in allowed]
    return Toolbox(functions, native, mode, name, params.parallel_tool_calls is False)


def _function(tool: dict[str, object], i: int) -> Function:
    try:
        read = msgspec.convert(tool, _Tool)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"tools[{i}]: {error}", param=f"tools[{i}]") from error
    if read.cache_control is None:
        return read.function
    return msgspec.structs.replace(read.function, cache_control=read.cache_control)


def _chosen(
    choice: str | dict[str, object] | None,
) -> tuple[Literal["auto", "none", "required"] | None, str | None, set[str] | None]:
    """Mode, the one name, and the names that are allowed (None: all)."""
    if choice is None:
        return None, None, None
    if choice in ("auto", "none", "required"):
        return cast(Literal["auto", "none", "required"], choice), None, None
    try:
        read = msgspec.convert(choice, _Choice)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"'tool_choice': {error}", param="tool_choice") from error
    if read.function is not None:
        return "required", read.function.name, None
    if read.allowed_tools is not None:
        allowed = {each.function.name for each in read.allowed_tools.tools}
        return read.allowed_tools.mode, None, allowed
    raise InvalidRequest(f"'tool_choice' of type {read.type!r} is not known", param="tool_choice")


def arguments_of(call: ToolCall, where: str) -> dict[str, object]:
    """A call's arguments as an object.

    Args:
        where: the call's place in the request, for the error.

    Raises:
        InvalidRequest: they are no JSON object.
    """
    text = call.function.arguments
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except UNREADABLE as error:
        field = f"{where}.function.arguments"
        raise InvalidRequest(f"'{field}' is not a JSON object: {error}", param=field) from error
