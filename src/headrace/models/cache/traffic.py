"""What the traces tell of the cache: what it has answered, and what it could be calibrated by."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import msgspec

from headrace.models.cache.settings import Share
from headrace.telemetry.store import TraceStore
from headrace.telemetry.trace import AttributeValue, Span, Trace
from headrace.types import Choice, Message

__all__ = ["CacheUse", "Sample", "recent_samples", "recent_use"]

PAGE = 500
_REQUEST = "gen_ai.request."
_messages = msgspec.json.Decoder(list[Message]).decode
_choices = msgspec.json.Decoder(list[Choice]).decode


@dataclass(slots=True, kw_only=True)
class CacheUse:
    """Turns of one result."""

    result: str
    turns: int = 0
    tokens: int = 0
    """Of prompts and answers together, as reported."""
    ttft_s: list[float] = field(default_factory=list)

    @property
    def ttft_p50_s(self) -> float | None:
        return median(self.ttft_s) if self.ttft_s else None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A question with the answer that a model gave to it."""

    question: str
    answer: str
    partition: bytes
    """Equal for those that the cache would compare (key.py)."""
    repeats: bool
    """Whether the model says the same each time: temperature 0, or a seed."""


def recent_use(store: TraceStore, *, since: float, most: int) -> list[CacheUse]:
    """How turns since then were answered, by result; the most frequent first.

    Args:
        most: the newest turns that are looked at.
    """
    found: dict[str, CacheUse] = {}
    for trace in _recent(store, most=most, since=since):
        said = _generate(trace)
        result = said.get("headrace.cache.result")
        if said.get("headrace.cache.coalesced"):
            result = "coalesced"
        if not isinstance(result, str):
            continue
        use = found.setdefault(result, CacheUse(result=result))
        use.turns += 1
        use.tokens += trace.prompt_tokens + trace.completion_tokens
        if trace.ttft_s is not None:
            use.ttft_s.append(trace.ttft_s)
    return sorted(found.values(), key=lambda each: -each.turns)


def recent_samples(
    store: TraceStore, *, most: int, share: Share, team_by_key: Mapping[str, str]
) -> list[Sample]:
    """Questions that the cache would compare, the oldest first, with answers of a model's own.

    Texts are as the client sent them: what the pipeline does to a prompt is the same for both of a
    pair, because only turns of one release are compared.

    Args:
        most: the newest turns that are looked at.
    """
    found = [
        sample
        for trace in _recent(store, most=most)
        if _may_be_compared(trace)
        and (sample := _sample(store.get(trace.id), share, team_by_key)) is not None
    ]
    return found[::-1]


def _recent(store: TraceStore, *, most: int, since: float = 0.0) -> Iterator[Trace]:
    before: str | None = None
    while most > 0:
        page: Sequence[Trace] = store.list(limit=min(PAGE, most), before=before)
        for trace in page:
            if trace.started_at < since:
                return
            yield trace
        if len(page) < PAGE:
            return
        most -= len(page)
        before = page[-1].id


def _generate(trace: Trace) -> Mapping[str, AttributeValue]:
    spans: Iterator[Span] = (each for each in trace.spans if each.name == "generate")
    found = next(spans, None)
    return {} if found is None else found.attributes


def _may_be_compared(trace: Trace) -> bool:
    """Whether the cache would look for a question like it, and its answer is the model's own."""
    said = _generate(trace)
    is_own = said.get("headrace.cache.result") not in ("hit", "semantic")
    is_text = trace.finish_reason in ("stop", "length") and trace.operation == "chat"
    is_masked = any(each["side"] == "input" and each["action"] == "mask" for each in trace.findings)
    return (
        trace.status == "ok"
        and is_own
        and is_text
        and not is_masked
        and trace.conversation is None
        and "gen_ai.request.choice.count" not in said
    )


def _sample(trace: Trace, share: Share, team_by_key: Mapping[str, str]) -> Sample | None:
    if not trace.input or not trace.output:
        # Not kept, or the subject was erased.
        return None
    messages, choices = _messages(trace.input), _choices(trace.output)
    last = messages[-1] if messages else None
    if last is None or last.role != "user" or not isinstance(last.content, str):
        return None
    if not last.content.strip() or not choices or choices[0].tool_calls:
        return None
    said = _generate(trace)
    asked = sorted((k, v) for k, v in said.items() if k.startswith(_REQUEST) and "stream" not in k)
    partition = (trace.release, trace.model, trace.template, asked, messages[:-1])
    return Sample(
        question=last.content,
        answer=choices[0].text,
        partition=msgspec.json.encode((*partition, _scope(trace, share, team_by_key))),
        repeats=said.get(f"{_REQUEST}temperature") == 0 or f"{_REQUEST}seed" in said,
    )


def _scope(trace: Trace, share: Share, team_by_key: Mapping[str, str]) -> tuple[str, ...]:
    """Whose it is. A subject is an id here; turns that name none all have their key's."""
    if share == "service":
        return ()
    team = team_by_key.get(trace.key_id, "")
    return (team,) if share == "team" and team else (trace.key_id, trace.subject)
