"""What `POST /v1/responses` may hold, and the chat request that it comes to.

Source: OpenAI API reference, `responses/create`.
"""

from typing import Literal

import msgspec

from headrace.errors import InvalidRequest
from headrace.gateway.convert import converted
from headrace.gateway.responses.tool import choice_of, tools_of
from headrace.gateway.wire import ChatRequest
from headrace.types import Message

__all__ = ["ConversationName", "Prompt", "Reasoning", "ResponsesRequest", "TextConfig", "chat_of"]

LOGPROBS = "message.output_text.logprobs"
_INCLUDABLE = frozenset(
    {
        LOGPROBS,
        # Of what this service has none of, so that leaving it out is true.
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)
_REFUSED: dict[str, str] = {
    "access_programs": "it belongs to OpenAI's own service",
    "background_options": "send the request without it and keep the connection, or stream",
    "context_management": "the step `ground` decides which earlier turns come along",
    "moderation": "the step `screen` does this, by the policies of the service",
}
"""Fields that would change the answer and that nothing here acts on, with a hint for each."""
_PASSED = ("prompt_cache_key", "prompt_cache_retention", "service_tier")
"""Fields that go to the model as they are."""


class ConversationName(msgspec.Struct):
    """`conversation` as an object."""

    id: str


class Reasoning(msgspec.Struct):
    """`reasoning`."""

    effort: str | None = None
    summary: str | None = None


class TextConfig(msgspec.Struct):
    """`text`."""

    format: dict[str, object] | None = None
    verbosity: str | None = None


class Prompt(msgspec.Struct):
    """`prompt`: a stored prompt. Here it is a prompt template of the service."""

    id: str
    variables: dict[str, object] | None = None
    version: str | None = None


class ResponsesRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/responses`."""

    input: str | list[dict[str, object]] | None = None
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: dict[str, object] | None = None
    """Only `include_obfuscation`, which pads events against eavesdroppers; nothing is padded."""
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationName | None = None
    tools: list[dict[str, object]] | None = None
    tool_choice: str | dict[str, object] | None = None
    max_tool_calls: int | None = None
    """Of built-in tools, so it limits nothing here."""
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    include: list[str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt: Prompt | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    service_tier: str | None = None
    template: str | None = None
    """Ours, as in chat completions."""
    variables: dict[str, object] | None = None
    """Ours: values of the prompt template's variables."""

    @property
    def conversation_name(self) -> str | None:
        named = self.conversation
        return named.id if isinstance(named, ConversationName) else named


class _Schema(msgspec.Struct, omit_defaults=True):
    name: str
    schema: dict[str, object]
    description: str | None = None
    strict: bool | None = None


def chat_of(
    request: ResponsesRequest,
    extra: dict[str, object],
    messages: list[Message],
    conversation: str | None,
) -> tuple[ChatRequest, dict[str, object]]:
    """The same in chat words, with the fields that go to the model as they are.

    Args:
        messages: what `input` comes to, with what comes before it.
        conversation: where it is remembered.

    Raises:
        InvalidRequest: a field that nothing here acts on, or a wrong value.
    """
    _refuse(request, extra)
    limit = request.max_output_tokens
    if limit is not None and limit < 1:
        raise InvalidRequest(
            f"'max_output_tokens' is {limit}; allowed: at least 1", param="max_output_tokens"
        )
    if request.instructions:
        messages = [Message(role="system", content=request.instructions), *messages]
    logprobs = LOGPROBS in (request.include or ()) or None
    choice, tools = choice_of(request.tool_choice, tools_of(request.tools))
    prompt = request.prompt
    variables = prompt.variables if prompt is not None else None
    chat = ChatRequest(
        messages=messages,
        model=request.model,
        stream=request.stream,
        temperature=request.temperature,
        top_p=request.top_p,
        max_completion_tokens=limit,
        n=1,
        logprobs=logprobs,
        top_logprobs=request.top_logprobs if logprobs else None,
        response_format=_format(request.text),
        tools=tools or None,
        tool_choice=choice if tools else None,
        parallel_tool_calls=request.parallel_tool_calls if tools else None,
        user=request.user,
        safety_identifier=request.safety_identifier,
        metadata=request.metadata,
        conversation=conversation,
        template=request.template or (prompt.id if prompt is not None else None),
        variables={**(variables or {}), **(request.variables or {})} or None,
    )
    return chat, {**extra, **_passed(request)}


def _refuse(request: ResponsesRequest, extra: dict[str, object]) -> None:
    if request.background:
        raise InvalidRequest(
            "'background' is not offered: every response is answered on its own connection",
            hint="leave it out, and use 'stream' for long answers",
            param="background",
        )
    if request.prompt is not None and request.prompt.version is not None:
        raise InvalidRequest(
            "'prompt.version' is not offered: a release has one version of each template",
            hint="leave it out",
            param="prompt.version",
        )
    for field, hint in _REFUSED.items():
        if extra.get(field) is not None:
            raise InvalidRequest(f"'{field}' is not offered", hint=hint, param=field)
    for i, each in enumerate(request.include or ()):
        if each not in _INCLUDABLE:
            raise InvalidRequest(
                f"'include[{i}]' is {each!r}; known: {', '.join(sorted(_INCLUDABLE))}",
                param=f"include[{i}]",
            )


def _passed(request: ResponsesRequest) -> dict[str, object]:
    """Fields in which chat completions have other words, or the same."""
    fields = {name: getattr(request, name) for name in _PASSED}
    fields["reasoning_effort"] = request.reasoning.effort if request.reasoning else None
    fields["verbosity"] = request.text.verbosity if request.text else None
    return {name: value for name, value in fields.items() if value is not None}


def _format(text: TextConfig | None) -> dict[str, object] | None:
    if text is None or text.format is None:
        return None
    kind = text.format.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    if kind == "json_schema":
        schema = converted(text.format, _Schema, "text.format")
        return {"type": "json_schema", "json_schema": msgspec.to_builtins(schema)}
    raise InvalidRequest(
        f"'text.format.type' is {kind!r}; allowed: text, json_object, json_schema",
        param="text.format.type",
    )
