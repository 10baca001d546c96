"""A call as the body of `POST /model/…/converse`.

Left out because it promises nothing here: `seed`, a message's `name`, a picture's `detail`, and
`reasoning_content` without the model's signature (docs/backends-bedrock.md).
"""

import msgspec

from headrace.errors import InvalidRequest
from headrace.models.backend import Call
from headrace.models.bedrock.messages import (
    Block,
    Conversation,
    cache_point,
    conversation_of,
)
from headrace.models.bedrock.settings import BedrockSettings
from headrace.models.dialect.answer import JsonAnswer, json_answer_of
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

_PROVIDER = "Bedrock"
_UNSAID = ("n", "logprobs", "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty")
_TOP = frozenset(
    {
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "performanceConfig",
        "projectIdentifier",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
    }
)
"""Converse's own fields; any other one belongs to the model."""
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_BUDGET_BY_EFFORT = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 24_576}
_LEAST_BUDGET = 1_024
_TIERS = ("default", "flex", "priority")


def body_of(call: Call, settings: BedrockSettings) -> dict[str, object]:
    """The request's body; the same for a stream.

    Raises:
        InvalidRequest: the protocol has no words for what is asked.
    """
    params = call.params
    if call.completion:
        raise refuse_completion(_PROVIDER)
    refuse_unsaid(params, _UNSAID, _PROVIDER)
    conversation = conversation_of(call.messages)
    body: dict[str, object] = {"messages": conversation.turns}
    if conversation.system:
        body["system"] = conversation.system
    if inference := _inference(params):
        body["inferenceConfig"] = inference
    box = toolbox_of(params)
    if box is not None and (config := _tools(box, conversation)):
        body["toolConfig"] = config
    fields, output = _thinking(params, settings, conversation)
    wanted = json_answer_of(params)
    if wanted is not None and wanted.schema is None:
        body["toolConfig"] = _json_tool(params)
    elif wanted is not None:
        output["textFormat"] = _json_format(wanted)
    _add_extra(body, params, fields, output)
    return body


def _inference(params: Params) -> dict[str, object]:
    inference: dict[str, object] = {}
    if params.max_tokens is not None:
        inference["maxTokens"] = params.max_tokens
    if params.temperature is not None:
        if params.temperature > 1:
            raise NotOffered(
                f"'temperature' is {params.temperature:g}; {_PROVIDER} takes 0 to 1",
                param="temperature",
            )
        inference["temperature"] = params.temperature
    if params.top_p is not None:
        inference["topP"] = params.top_p
    if params.stop:
        inference["stopSequences"] = params.stop
    return inference


def _add_extra(
    body: dict[str, object], params: Params, fields: dict[str, object], output: dict[str, object]
) -> None:
    """Converse's own fields, those of the model, and how the answer is given."""
    rest = further(params.extra, _PROVIDER, known=("reasoning_effort", "service_tier"))
    for name, ours in (("additionalModelRequestFields", fields), ("outputConfig", output)):
        own = rest.pop(name, None)
        if isinstance(own, dict):
            ours.update(own)
    for name, value in rest.items():
        if name in _TOP:
            body[name] = value
        else:
            fields[name] = value
    if fields:
        body["additionalModelRequestFields"] = fields
    if output:
        body["outputConfig"] = output
    tier = params.extra.get("service_tier")
    if tier is not None and tier != "auto":
        if tier not in _TIERS:
            raise refused("service_tier", _PROVIDER, hint=f"it takes {', '.join(_TIERS)}")
        body["serviceTier"] = {"type": tier}


def _thinking(
    params: Params, settings: BedrockSettings, conversation: Conversation
) -> tuple[dict[str, object], dict[str, object]]:
    """What says how much the model thinks: fields of its own, and of `outputConfig`."""
    effort = effort_of(params.extra)
    if effort is None:
        return {}, {}
    if settings.thinking == "field":
        return {"reasoning_effort": effort}, {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}, {}
    if settings.thinking == "adaptive":
        effort = "low" if effort == "minimal" else effort
        if effort not in _EFFORTS:
            raise _unknown_effort(effort, ("none", "minimal", *_EFFORTS))
        return {"thinking": {"type": "adaptive"}}, {"effort": effort}
    if effort not in _BUDGET_BY_EFFORT:
        raise _unknown_effort(effort, ("none", *_BUDGET_BY_EFFORT))
    if conversation.lacks_thoughts:
        # As at Anthropic: a turn that another model began is finished without thinking.
        return {}, {}
    budget = _BUDGET_BY_EFFORT[effort]
    if params.max_tokens is not None:
        if params.max_tokens <= _LEAST_BUDGET:
            raise NotOffered(
                f"'max_tokens' is {params.max_tokens}; thinking takes more than {_LEAST_BUDGET}",
                hint="raise max_tokens, or leave out reasoning_effort",
                param="max_tokens",
            )
        budget = min(budget, max(_LEAST_BUDGET, params.max_tokens * 3 // 4))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}, {}


def _unknown_effort(effort: str, known: tuple[str, ...]) -> InvalidRequest:
    return NotOffered(
        f"'reasoning_effort' is {effort!r}; allowed: {', '.join(known)}", param="reasoning_effort"
    )


def _tools(box: Toolbox, conversation: Conversation) -> Block | None:
    if box.mode == "none":
        if conversation.has_tools:
            raise NotOffered(
                f"{_PROVIDER} cannot forbid tools once they have been called",
                hint="leave out tool_choice, or name a model of another provider",
                param="tool_choice",
            )
        return None
    if box.one_at_a_time:
        raise refused(
            "parallel_tool_calls", _PROVIDER, hint="leave it out and run the calls in turn"
        )
    tools: list[Block] = []
    for function in box.functions:
        tools.append({"toolSpec": _spec(function)})
        if function.cache_control is not None:
            tools.append(cache_point(function.cache_control))
    config: Block = {"tools": [*tools, *box.native]}
    if box.name is not None:
        config["toolChoice"] = {"tool": {"name": box.name}}
    elif box.mode == "required":
        config["toolChoice"] = {"any": {}}
    elif box.mode == "auto":
        config["toolChoice"] = {"auto": {}}
    return config


def _spec(function: Function) -> Block:
    spec: Block = {"name": function.name, "inputSchema": {"json": function.schema}}
    if function.description:
        spec["description"] = function.description
    if function.strict is not None:
        spec["strict"] = function.strict
    return spec


def is_forced_json(params: Params) -> bool:
    """Whether the answer comes as the input of `JSON_TOOL`."""
    wanted = json_answer_of(params)
    return wanted is not None and wanted.schema is None


def _json_tool(params: Params) -> Block:
    if params.tools or effort_of(params.extra) not in (None, "none"):
        raise NotOffered(
            f"{_PROVIDER} has no 'json_object' beside tools or thinking",
            hint="use response_format of type 'json_schema'",
            param="response_format",
        )
    spec: Block = {
        "name": JSON_TOOL,
        "description": "Write the whole answer here, as one JSON object.",
        "inputSchema": {"json": {"type": "object"}},
    }
    return {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": JSON_TOOL}}}


def _json_format(wanted: JsonAnswer) -> Block:
    # Converse takes the schema as JSON text.
    schema: Block = {
        "schema": msgspec.json.encode(wanted.schema).decode(),
        "name": wanted.name,
    }
    if wanted.description is not None:
        schema["description"] = wanted.description
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}
