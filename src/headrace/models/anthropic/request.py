"""A call as the body of `POST /v1/messages`.

Left out because it promises nothing here: `seed`, a message's `name`, a picture's `detail`, and
`reasoning_content` without Anthropic's signature (docs/backends-anthropic.md).
"""

from headrace.errors import InvalidRequest
from headrace.models.anthropic.messages import Block, Conversation, conversation_of
from headrace.models.anthropic.settings import AnthropicSettings
from headrace.models.backend import Call
from headrace.models.dialect.answer import json_answer_of
from headrace.models.dialect.field import (
    effort_of,
    further,
    refuse_completion,
    refuse_unsaid,
    refused,
)
from headrace.models.dialect.tool import Function, Toolbox, toolbox_of
from headrace.models.errors import NotOffered
from headrace.types import Params

__all__ = ["JSON_TOOL", "body_of", "is_forced_json"]

JSON_TOOL = "json_answer"
"""The tool that an answer in any JSON is written into: the protocol's own JSON needs a schema."""

_PROVIDER = "Anthropic"
_UNSAID = ("n", "logprobs", "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_BUDGET_BY_EFFORT = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 24_576}
_LEAST_BUDGET = 1_024
_SAMPLING_REMOVED_IN = "2026-10-21"
"""https://platform.claude.com/docs/en/api/migration-2026-10-21; a value of 1 changes nothing."""
_SERVICE_TIER = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def body_of(call: Call, settings: AnthropicSettings) -> dict[str, object]:
    """The request's body.

    Raises:
        InvalidRequest: the protocol has no words for what is asked.
    """
    params = call.params
    if call.completion:
        raise refuse_completion(_PROVIDER)
    refuse_unsaid(params, _UNSAID, _PROVIDER)
    conversation = conversation_of(call.messages)
    body: dict[str, object] = {
        "model": settings.model,
        "max_tokens": params.max_tokens or settings.output_tokens,
        "messages": conversation.turns,
        "stream": call.stream,
    }
    if conversation.system:
        body["system"] = conversation.system
    body |= _sampling(params, settings)
    body |= _thinking(params, settings, conversation)
    body |= _tools(params)
    _add_json(body, params)
    if (tier := params.extra.get("service_tier")) is not None:
        if tier not in _SERVICE_TIER:
            raise refused("service_tier", _PROVIDER, hint="it takes 'auto' and 'default'")
        body["service_tier"] = _SERVICE_TIER[str(tier)]
    return body | _further(params, body)


def _further(params: Params, body: dict[str, object]) -> dict[str, object]:
    rest = further(params.extra, _PROVIDER, known=("reasoning_effort", "service_tier"))
    config = rest.get("output_config")
    if isinstance(config, dict) and isinstance(ours := body.get("output_config"), dict):
        rest["output_config"] = {**ours, **config}
    return rest


def _sampling(params: Params, settings: AnthropicSettings) -> dict[str, object]:
    sampling: dict[str, object] = {}
    for name in ("temperature", "top_p"):
        value = getattr(params, name)
        if value is None:
            continue
        if value > 1:
            raise NotOffered(f"'{name}' is {value:g}; {_PROVIDER} takes 0 to 1", param=name)
        if settings.version < _SAMPLING_REMOVED_IN:
            sampling[name] = value
        elif value != 1:
            hint = f"leave it out, or set `version` before {_SAMPLING_REMOVED_IN}"
            raise refused(name, _PROVIDER, hint=hint)
    if params.stop:
        sampling["stop_sequences"] = params.stop
    return sampling


def _thinking(
    params: Params, settings: AnthropicSettings, conversation: Conversation
) -> dict[str, object]:
    """How much the model thinks; the client's own `thinking` field, if any, comes over this."""
    effort = effort_of(params.extra)
    if effort is None:
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    thinking: dict[str, object] = {}
    if settings.thinking_display is not None:
        thinking["display"] = settings.thinking_display
    if settings.thinking == "adaptive":
        effort = "low" if effort == "minimal" else effort
        if effort not in _EFFORTS:
            raise _unknown_effort(effort, ("none", "minimal", *_EFFORTS))
        return {"thinking": {"type": "adaptive", **thinking}, "output_config": {"effort": effort}}
    if effort not in _BUDGET_BY_EFFORT:
        raise _unknown_effort(effort, ("none", *_BUDGET_BY_EFFORT))
    if conversation.lacks_thoughts:
        # Without the thoughts before a tool call, a budget for more is refused. That happens where
        # another model made the call; its turn is finished without thinking.
        return {}
    limit = params.max_tokens or settings.output_tokens
    if limit <= _LEAST_BUDGET:
        raise NotOffered(
            f"'max_tokens' is {limit}; thinking takes more than {_LEAST_BUDGET}",
            hint="raise max_tokens, or leave out reasoning_effort",
            param="max_tokens",
        )
    budget = min(_BUDGET_BY_EFFORT[effort], max(_LEAST_BUDGET, limit * 3 // 4))
    return {"thinking": {"type": "enabled", "budget_tokens": budget, **thinking}}


def _unknown_effort(effort: str, known: tuple[str, ...]) -> InvalidRequest:
    return NotOffered(
        f"'reasoning_effort' is {effort!r}; allowed: {', '.join(known)}", param="reasoning_effort"
    )


def _tools(params: Params) -> dict[str, object]:
    box = toolbox_of(params)
    if box is None:
        return {}
    tools: list[Block] = [_tool(each) for each in box.functions]
    fields: dict[str, object] = {"tools": [*tools, *box.native]}
    choice = _choice(box)
    if choice is not None:
        fields["tool_choice"] = choice
    return fields


def _tool(function: Function) -> Block:
    tool: Block = {"name": function.name, "input_schema": function.schema}
    if function.description:
        tool["description"] = function.description
    if function.strict is not None:
        tool["strict"] = function.strict
    if function.cache_control is not None:
        tool["cache_control"] = function.cache_control
    return tool


def _choice(box: Toolbox) -> Block | None:
    if box.mode == "none":
        return {"type": "none"}
    if box.name is not None:
        choice: Block = {"type": "tool", "name": box.name}
    elif box.mode == "required":
        choice = {"type": "any"}
    elif box.mode == "auto" or box.one_at_a_time:
        choice = {"type": "auto"}
    else:
        return None
    if box.one_at_a_time:
        choice["disable_parallel_tool_use"] = True
    return choice


def is_forced_json(params: Params) -> bool:
    """Whether the answer comes as the input of `JSON_TOOL`."""
    wanted = json_answer_of(params)
    return wanted is not None and wanted.schema is None


def _add_json(body: dict[str, object], params: Params) -> None:
    wanted = json_answer_of(params)
    if wanted is None:
        return
    if wanted.schema is not None:
        config = body.setdefault("output_config", {})
        assert isinstance(config, dict)
        config["format"] = {"type": "json_schema", "schema": wanted.schema}
        return
    thinks = effort_of(params.extra) not in (None, "none") or "thinking" in params.extra
    if params.tools or thinks:
        raise NotOffered(
            f"{_PROVIDER} has no 'json_object' beside tools or thinking",
            hint="use response_format of type 'json_schema'",
            param="response_format",
        )
    body["tools"] = [
        {
            "name": JSON_TOOL,
            "description": "Write the whole answer here, as one JSON object.",
            "input_schema": {"type": "object"},
        }
    ]
    body["tool_choice"] = {
        "type": "tool",
        "name": JSON_TOOL,
        "disable_parallel_tool_use": True,
    }
