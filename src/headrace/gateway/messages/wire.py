"""What `POST /v1/messages` may hold, and the chat request that it comes to.

Source: Anthropic API reference, "Create a message".
"""

from typing import Literal

import msgspec

from headrace.errors import InvalidRequest
from headrace.gateway.messages.block import Content, Said, messages_of, system_of
from headrace.gateway.messages.tool import ChosenTool, choice_of, tools_of
from headrace.gateway.wire import MAX_STOP_SEQUENCES, ChatRequest

__all__ = ["CountRequest", "MessagesRequest", "Metadata", "OutputConfig", "Thinking", "chat_of"]

_REFUSED: dict[str, str] = {
    "container": "this service runs no code",
    "context_management": "the step `ground` decides which earlier turns come along",
    "mcp_servers": "call the server in your program, and offer its tools in 'tools'",
}
"""Fields that would change the answer and that nothing here acts on, with a hint for each."""
_LEFT_OUT = frozenset(
    {
        "cache_control",
        "diagnostics",
        "inference_geo",
        "speed",
        "user_profile_id",
        "workspace_id",
    }
)
"""Fields for Anthropic's own accounting and machines; they promise nothing about the answer."""
_EFFORT_BY_BUDGET = ((2_048, "low"), (8_192, "medium"))


class Metadata(msgspec.Struct):
    """`metadata`."""

    user_id: str | None = None


class Thinking(msgspec.Struct):
    """`thinking`."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: int | None = None
    display: str | None = None


class OutputConfig(msgspec.Struct):
    """`output_config`."""

    effort: str | None = None
    format: dict[str, object] | None = None


class CountRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/messages/count_tokens`."""

    model: str
    messages: list[Said]
    system: Content | None = None
    tools: list[dict[str, object]] | None = None


class MessagesRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/messages`."""

    model: str
    max_tokens: int
    messages: list[Said]
    system: Content | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None
    tools: list[dict[str, object]] | None = None
    tool_choice: ChosenTool | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: dict[str, object] | None = None
    """The older place of `output_config.format`."""
    metadata: Metadata | None = None
    conversation: str | None = None
    """Ours, as in chat completions."""
    template: str | None = None
    """Ours, as in chat completions."""
    variables: dict[str, object] | None = None
    """Ours: values of the prompt template's variables."""


def chat_of(
    request: MessagesRequest, extra: dict[str, object]
) -> tuple[ChatRequest, dict[str, object]]:
    """The same in chat words, with the fields that go to the model as they are.

    Raises:
        InvalidRequest: a field that nothing here acts on, or a wrong value.
    """
    _check(request, extra)
    chosen = request.tool_choice
    tools = tools_of(request.tools) or None
    one_at_a_time = tools and chosen is not None and chosen.disable_parallel_tool_use
    chat = ChatRequest(
        messages=[*system_of(request.system), *messages_of(request.messages)],
        model=request.model,
        stream=request.stream,
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=request.max_tokens,
        stop=request.stop_sequences or None,
        n=1,
        response_format=_format(request),
        tools=tools,
        tool_choice=choice_of(chosen) if tools else None,
        parallel_tool_calls=False if one_at_a_time else None,
        user=request.metadata.user_id if request.metadata else None,
        conversation=request.conversation,
        template=request.template,
        variables=request.variables,
    )
    passed = {name: value for name, value in extra.items() if name not in _LEFT_OUT}
    effort = _effort(request)
    return chat, passed if effort is None else {**passed, "reasoning_effort": effort}


def _check(request: MessagesRequest, extra: dict[str, object]) -> None:
    if not request.messages:
        raise InvalidRequest(
            "'messages' is empty", hint="send at least one message", param="messages"
        )
    for field, hint in _REFUSED.items():
        if extra.get(field):
            raise InvalidRequest(f"'{field}' is not offered", hint=hint, param=field)
    if request.temperature is not None and not 0 <= request.temperature <= 1:
        raise InvalidRequest(
            f"'temperature' is {request.temperature:g}; allowed: 0 to 1", param="temperature"
        )
    given = len(request.stop_sequences or ())
    if given > MAX_STOP_SEQUENCES:
        raise InvalidRequest(
            f"'stop_sequences' has {given} sequences; at most {MAX_STOP_SEQUENCES}",
            param="stop_sequences",
        )


def _effort(request: MessagesRequest) -> str | None:
    """How much the model is to think; None leaves it to the model."""
    thinking, config = request.thinking, request.output_config
    if config is not None and config.effort is not None:
        return config.effort
    if thinking is None or thinking.type != "enabled":
        return None
    budget = thinking.budget_tokens or 0
    return next((effort for most, effort in _EFFORT_BY_BUDGET if budget <= most), "high")


def _format(request: MessagesRequest) -> dict[str, object] | None:
    config = request.output_config
    wanted = (config.format if config is not None else None) or request.output_format
    if wanted is None:
        return None
    schema = wanted.get("schema")
    if wanted.get("type") != "json_schema" or not isinstance(schema, dict):
        raise InvalidRequest(
            '\'output_config.format\' must be {"type": "json_schema", "schema": …}',
            param="output_config.format",
        )
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
