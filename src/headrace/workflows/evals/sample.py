"""What a row asks, what came of it, and how that counts."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from headrace.errors import InvalidRequest
from headrace.workflows.batch.runner import Reply
from headrace.workflows.evals.job import EvalRun, OutputItem, RunCounts, Usage
from headrace.workflows.evals.source import Row
from headrace.workflows.evals.template import messages

__all__ = [
    "Sample", "counted", "error_of", "json_of", "sample_of", "shown_sample", "turns_of",
]  # fmt: skip


class _Choice(msgspec.Struct):
    message: dict[str, object]
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int = 0


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Chat(msgspec.Struct):
    choices: list[_Choice] = []
    model: str = ""
    usage: _Tokens | None = None


@dataclass(slots=True)
class Sample:
    """A model's answer, and what asking for it took."""

    text: str
    model: str
    finish_reason: str
    usage: Usage


def turns_of(source: Mapping[str, object], row: Row) -> list[list[dict[str, str]]]:
    """What the user says, one list of messages a turn."""
    asked = source.get("input_messages")
    values = {"item": row.item, "sample": row.sample}
    if isinstance(asked, dict) and asked.get("type") == "template":
        template = asked.get("template")
        return [messages(template if isinstance(template, list) else [], values)]
    if isinstance(asked, dict) and asked.get("type") == "item_reference":
        found: object = {"item": row.item}
        for name in str(asked.get("item_reference")).split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, list):
            raise InvalidRequest("'item_reference' names no list of messages")
        return [messages(found, {})]
    said = row.item.get("input")
    texts = said if isinstance(said, list) else [said]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise InvalidRequest("say 'input_messages', or give items an `input`")
    return [[{"role": "user", "content": str(text)}] for text in texts]


def counted(run: EvalRun, items: list[OutputItem]) -> EvalRun:
    by_criterion = dict(run.by_criterion)
    usage = dict(run.usage)
    for item in items:
        for each in item.results:
            passed, failed = by_criterion.get(str(each["name"]), (0, 0))
            is_passed = bool(each["passed"])
            by_criterion[str(each["name"])] = (passed + is_passed, failed + (not is_passed))
        for model, took in item.usage.items():
            usage[model] = usage.get(model, Usage()).plus(took)
    states = [item.status for item in items]
    counts = RunCounts(
        total=run.counts.total,
        passed=run.counts.passed + states.count("pass"),
        failed=run.counts.failed + states.count("fail"),
        errored=run.counts.errored + states.count("error"),
    )
    return msgspec.structs.replace(run, counts=counts, by_criterion=by_criterion, usage=usage)


def sample_of(reply: Reply) -> Sample:
    chat = msgspec.json.decode(reply.body, type=_Chat)
    used = chat.usage or _Tokens()
    cached = used.prompt_tokens_details
    choice = chat.choices[0] if chat.choices else _Choice({})
    return Sample(
        text=str(choice.message.get("content") or ""),
        model=chat.model,
        finish_reason=choice.finish_reason or "",
        usage=Usage(
            invocations=1,
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            cached_tokens=cached.cached_tokens if cached is not None else 0,
        ),
    )


def shown_sample(
    run: EvalRun,
    said: list[dict[str, str]],
    sample: Mapping[str, object],
    usage: Mapping[str, Usage],
    error: tuple[str, str],
) -> dict[str, object]:
    sampling = run.data_source.get("sampling_params")
    params = sampling if isinstance(sampling, dict) else {}
    took = next(iter(usage.values()), Usage())
    return {
        "input": said,
        "output": [{"role": "assistant", "content": str(sample.get("output_text", ""))}],
        "finish_reason": sample.get("finish_reason") or "",
        "model": sample.get("model") or run.model,
        "usage": {
            "total_tokens": took.prompt_tokens + took.completion_tokens,
            "prompt_tokens": took.prompt_tokens,
            "completion_tokens": took.completion_tokens,
            "cached_tokens": took.cached_tokens,
        },
        "error": {"code": error[0], "message": error[1]} if error[0] else None,
        "temperature": params.get("temperature"),
        "top_p": params.get("top_p"),
        "seed": params.get("seed"),
        "max_completion_tokens": params.get("max_completion_tokens"),
    }


def error_of(reply: Reply) -> tuple[str, str]:
    try:
        error = msgspec.json.decode(reply.body, type=dict[str, dict[str, object]])["error"]
    except (msgspec.DecodeError, KeyError):
        return "internal_error", f"status {reply.status}"
    return str(error.get("code") or "error"), str(error.get("message") or "")


def json_of(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
