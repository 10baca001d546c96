"""A call as the body of `models/…:generateContent`.

Left out because it promises nothing here: a message's `name`, a picture's `detail`, cache marks,
and `reasoning_content` (docs/backends-gemini.md).
"""

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
from headrace.models.gemini.contents import GeminiPart, conversation_of
from headrace.models.gemini.settings import GeminiSettings
from headrace.types import Params

__all__ = ["body_of"]

_PROVIDER = "Gemini"
_CONFIG_BY_PARAM = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
}
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_BUDGET_BY_EFFORT = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
"""As Google's OpenAI-compatible endpoint has them, https://ai.google.dev/gemini-api/docs/openai"""


def body_of(call: Call, settings: GeminiSettings) -> dict[str, object]:
    """The request's body.

    Raises:
        InvalidRequest: the protocol has no words for what is asked.
    """
    params = call.params
    if call.completion:
        raise refuse_completion(_PROVIDER)
    refuse_unsaid(params, ("logit_bias",), _PROVIDER)
    conversation = conversation_of(call.messages, needs_signatures=settings.thinking == "level")
    body: dict[str, object] = {"contents": conversation.contents}
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    box = toolbox_of(params)
    if box is not None:
        body |= _tools(box)
    rest = further(params.extra, _PROVIDER, known=("reasoning_effort", "top_k"))
    config = _config(params, settings)
    own = rest.pop("generationConfig", None) or rest.pop("generation_config", None)
    if isinstance(own, dict):
        config |= own
    if config:
        body["generationConfig"] = config
    return body | rest


def _config(params: Params, settings: GeminiSettings) -> dict[str, object]:
    config = {
        ours: value
        for name, ours in _CONFIG_BY_PARAM.items()
        if (value := getattr(params, name)) is not None and value is not False
    }
    if params.logprobs and params.top_logprobs:
        config["logprobs"] = params.top_logprobs
    if (top_k := params.extra.get("top_k")) is not None:
        config["topK"] = top_k
    wanted = json_answer_of(params)
    if wanted is not None:
        config["responseMimeType"] = "application/json"
        if wanted.schema is not None:
            config["responseJsonSchema"] = wanted.schema
    thinking = _thinking(params, settings)
    if thinking is not None:
        config["thinkingConfig"] = thinking
    return config


def _thinking(params: Params, settings: GeminiSettings) -> dict[str, object] | None:
    effort = effort_of(params.extra)
    if effort is None:
        return None
    if settings.thinking == "level":
        if effort not in _LEVELS:
            raise NotOffered(
                f"'reasoning_effort' is {effort!r}; allowed: {', '.join(_LEVELS)}",
                hint="thinking cannot be turned off; 'minimal' is the least" * (effort == "none"),
                param="reasoning_effort",
            )
        return {"thinkingLevel": effort.upper(), "includeThoughts": True}
    budget = _BUDGET_BY_EFFORT.get(effort)
    if budget is None:
        raise NotOffered(
            f"'reasoning_effort' is {effort!r}; allowed: {', '.join(_BUDGET_BY_EFFORT)}",
            param="reasoning_effort",
        )
    return {"thinkingBudget": budget, "includeThoughts": budget > 0}


def _tools(box: Toolbox) -> dict[str, object]:
    if box.one_at_a_time and box.mode != "none":
        raise refused(
            "parallel_tool_calls", _PROVIDER, hint="leave it out and run the calls in turn"
        )
    tools: list[GeminiPart] = []
    if box.functions:
        tools.append({"functionDeclarations": [_function(each) for each in box.functions]})
    fields: dict[str, object] = {"tools": [*tools, *box.native]}
    strict = any(each.strict for each in box.functions)
    config: GeminiPart = {}
    if box.mode == "none":
        config = {"mode": "NONE"}
    elif box.name is not None:
        config = {"mode": "ANY", "allowedFunctionNames": [box.name]}
    elif box.mode == "required":
        config = {"mode": "ANY"}
    elif strict:
        # Free to call or not, but held to the functions' schemas.
        config = {"mode": "VALIDATED"}
    elif box.mode == "auto":
        config = {"mode": "AUTO"}
    if config:
        fields["toolConfig"] = {"functionCallingConfig": config}
    return fields


def _function(function: Function) -> GeminiPart:
    declared: GeminiPart = {"name": function.name}
    if function.description:
        declared["description"] = function.description
    if function.parameters is not None:
        declared["parametersJsonSchema"] = function.parameters
    return declared
