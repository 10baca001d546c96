"""Tool calls for models whose own chat template knows nothing of tools.

llama.cpp drops `tools` without a word there. So they are described in the system message, a call
that must be made is held to its JSON Schema by a grammar, and the answer's text is read back as
tool calls. Models whose template knows tools keep their own way.

Not covered: a model that was free to call a tool (`tool_choice: auto`) is held to no schema; a
call that cannot be read stays text.
"""

import re
from collections.abc import Sequence
from contextlib import aclosing

import msgspec

from headrace.errors import InvalidRequest
from headrace.ids import new_id
from headrace.models.backend import Call
from headrace.types import Delta, Deltas, FunctionDelta, Message, Params, ToolCallDelta

__all__ = ["calls_in", "described", "history_as_text", "is_forced", "only_the_chosen"]

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)')
_CALL = re.compile(rf"{_OPEN}\s*(\{{.*?\}})\s*(?:{_CLOSE}|\Z)", re.DOTALL)


class _Function(msgspec.Struct):
    name: str
    description: str = ""
    parameters: dict[str, object] | None = None


class _Tool(msgspec.Struct):
    function: _Function


def is_forced(params: Params) -> bool:
    """Whether the model has to call a tool."""
    return bool(params.tools) and (
        params.tool_choice == "required" or isinstance(params.tool_choice, dict)
    )


def only_the_chosen(params: Params) -> Params:
    """A tool chosen by name, said as llama.cpp understands it: required, and no other there is.

    Raises:
        InvalidRequest: no tool has the chosen name.
    """
    choice = params.tool_choice
    if not params.tools or not isinstance(choice, dict):
        return params
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    chosen = [
        tool
        for tool, read in zip(params.tools, _read(params.tools), strict=True)
        if read.name == name
    ]
    if not chosen:
        raise InvalidRequest(
            f"tool_choice names the function {name!r}, which is none of the tools",
            param="tool_choice",
        )
    return msgspec.structs.replace(params, tools=chosen, tool_choice="required")


def _read(tools: Sequence[dict[str, object]]) -> list[_Function]:
    read: list[_Function] = []
    for i, tool in enumerate(tools):
        try:
            read.append(msgspec.convert(tool, _Tool).function)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"tools[{i}]: {error}", param=f"tools[{i}]") from error
    return read


def history_as_text(messages: Sequence[Message]) -> list[Message]:
    """The messages with tool calls and their results as text that any template can render."""
    return [_as_text(each) for each in messages]


def _as_text(message: Message) -> Message:
    if message.role in ("tool", "function"):
        return Message(role="user", content=f"<tool_response>\n{message.text()}\n</tool_response>")
    if not message.tool_calls:
        return message
    calls = "\n".join(
        f'{_OPEN}\n{{"name": {_json(call.function.name)}, '
        f'"arguments": {call.function.arguments}}}\n{_CLOSE}'
        for call in message.tool_calls
    )
    said = message.text()
    return Message(role="assistant", content=f"{said}\n{calls}" if said else calls)


def described(call: Call) -> Call:
    """The call with its tools, if any may be used, put into words and a grammar."""
    params = call.params
    messages = history_as_text(call.messages)
    tools = _read(params.tools) if params.tools and params.tool_choice != "none" else []
    plain = msgspec.structs.replace(params, tools=None, tool_choice=None, parallel_tool_calls=None)
    if not tools:
        return Call(messages, plain, call.completion)
    if is_forced(params):
        how = "Answer with one call, as JSON with its name and arguments:"
        shape, end = '{"name": "NAME", "arguments": {}}', ""
        plain = msgspec.structs.replace(plain, response_format=_grammar(tools))
    else:
        how = "To call one, answer with nothing but its name and arguments as JSON:"
        shape, end = f'{_OPEN}\n{{"name": "NAME", "arguments": {{}}}}\n{_CLOSE}', "\n"
    listed = "\n".join(_json(tool) for tool in tools)
    words = f"You can call these functions:\n<tools>\n{listed}\n</tools>\n{how}\n{shape}{end}"
    return Call(_with_system(messages, words), plain, call.completion)


def _with_system(messages: list[Message], words: str) -> list[Message]:
    if messages and messages[0].role in ("system", "developer"):
        first = messages[0]
        return [Message(role=first.role, content=f"{first.text()}\n\n{words}"), *messages[1:]]
    return [Message(role="system", content=words), *messages]


def _grammar(tools: Sequence[_Function]) -> dict[str, object]:
    """A schema of one call. References inside a tool's parameters start at the schema's root."""
    definitions: dict[str, object] = {}
    calls: list[dict[str, object]] = []
    for tool in tools:
        parameters = dict(tool.parameters or {"type": "object"})
        for place in ("$defs", "definitions"):
            found = parameters.pop(place, None)
            if isinstance(found, dict):
                definitions.setdefault(place, {})
                shared = definitions[place]
                assert isinstance(shared, dict)
                shared.update(found)
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": parameters},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema = {**definitions, **(calls[0] if len(calls) == 1 else {"anyOf": calls})}
    return {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def calls_in(deltas: Deltas, *, forced: bool) -> Deltas:
    """The deltas with text that is a tool call turned into one."""
    readers: dict[int, _Forced | _Free] = {}
    async with aclosing(deltas) as upstream:
        async for delta in upstream:
            if delta.usage is not None:
                yield delta
                continue
            reader = readers.get(delta.index)
            if reader is None:
                reader = readers[delta.index] = _Forced() if forced else _Free()
            read = reader.read(delta)
            if read is not None:
                yield read


def _call(index: int, name: str, arguments: str) -> ToolCallDelta:
    return ToolCallDelta(
        index=index,
        id=f"call_{new_id().replace('-', '')}",
        type="function",
        function=FunctionDelta(name=name, arguments=arguments),
    )


class _Forced:
    """Reads an answer that the grammar holds to be one call; arguments stream on."""

    def __init__(self) -> None:
        self._text = ""
        self._sent: int | None = None
        """Characters of `_text` that have been given on; None before the arguments begin."""

    def read(self, delta: Delta) -> Delta | None:
        self._text += delta.text
        calls: list[ToolCallDelta] = []
        if self._sent is None and (head := _HEAD.match(self._text)):
            self._sent = head.end()
            calls.append(_call(0, msgspec.json.decode(head[1], type=str), ""))
        if self._sent is not None:
            # Braces at the end may be the call's own, so they wait for what follows them.
            end = len(self._text.rstrip(" \t\r\n}"))
            if delta.finish_reason is not None:
                end = len(self._text)
                if delta.finish_reason == "stop":
                    end = len(self._text.rstrip().removesuffix("}").rstrip())
            if end > self._sent:
                piece = FunctionDelta(arguments=self._text[self._sent : end])
                calls.append(ToolCallDelta(index=0, function=piece))
                self._sent = end
        reason = delta.finish_reason
        if reason == "stop" and self._sent is not None:
            reason = "tool_calls"
        if not calls and reason is None and not delta.reasoning:
            return None
        return Delta(
            index=delta.index,
            reasoning=delta.reasoning,
            tool_calls=calls or None,
            finish_reason=reason,
        )


class _Free:
    """Reads an answer that may be calls: those that begin with the tag are held until the end."""

    def __init__(self) -> None:
        self._held = ""
        self._is_text = False

    def read(self, delta: Delta) -> Delta | None:
        if self._is_text:
            return delta
        self._held += delta.text
        start = self._held.lstrip()[: len(_OPEN)]
        if not _OPEN.startswith(start):
            self._is_text = True
            return msgspec.structs.replace(delta, text=self._held)
        if delta.finish_reason is None:
            return msgspec.structs.replace(delta, text="") if delta.reasoning else None
        calls = self._calls()
        if not calls:
            return msgspec.structs.replace(delta, text=self._held)
        return Delta(
            index=delta.index,
            reasoning=delta.reasoning,
            tool_calls=calls,
            finish_reason="tool_calls" if delta.finish_reason == "stop" else delta.finish_reason,
        )

    def _calls(self) -> list[ToolCallDelta]:
        calls: list[ToolCallDelta] = []
        for found in _CALL.finditer(self._held):
            try:
                said = msgspec.json.decode(found[1], type=_Said)
            except msgspec.MsgspecError:
                return []
            calls.append(_call(len(calls), said.name, bytes(said.arguments).decode()))
        return calls


class _Said(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
