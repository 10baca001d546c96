"""`POST /v1/moderations`: how texts score in OpenAI's categories, by the built-in detectors, or by a model
of the service that the request names.

Without such a model nothing is sent anywhere, and pictures are refused, never passed over in silence.
No trace is kept.
"""

import asyncio
import threading
import time
from collections.abc import Sequence

import msgspec

from headrace.access.limits.admission import Admission
from headrace.errors import InvalidRequest, ModelUnavailable, UnknownModel
from headrace.gateway.call import Call
from headrace.gateway.wire import decode
from headrace.models.backend import ModerationInput
from headrace.models.estimate import estimate_text_tokens
from headrace.models.model import Target
from headrace.screening.content.kind import CATEGORIES, REPORTED
from headrace.screening.content.moderation import moderation_scores, moderation_version

__all__ = ["answer_moderation"]

MODEL = "headrace-moderation"
_THEIRS = ("omni-moderation", "text-moderation")
"""What OpenAI's SDKs ask for: answered by the one there is."""
MOST_INPUTS = 256
MOST_CHARACTERS = 1 << 20
"""Of all inputs together: a second's work of a core in English, five in Chinese; others are answered
meanwhile."""
_AT_ONCE = 4000
"""ASCII characters judged on the event loop; about four milliseconds. More goes to a thread."""
_AT_ONCE_WIDE = 700
"""The same of other text: Chinese takes 21 ms for 4,000 characters."""
_LOADED = threading.Event()
"""Whether the detectors are; the first time takes most of a second."""


class ModerationRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/moderations`."""

    input: ModerationInput
    model: str | None = None


async def answer_moderation(call: Call) -> None:
    """Judge each text; a list of parts is one input, as at OpenAI.

    Raises:
        InvalidRequest: nothing to judge, too much of it, or a part that is no text.
        UnknownModel: a model that judges no texts.
        ModelUnavailable: the model that was named is down, or gave no verdict.
    """
    request, _ = decode(await call.body(), ModerationRequest)
    target = _target(call, request.model or MODEL)
    inputs = _inputs(request, only_texts=target is None)
    name = MODEL if target is None else target.name
    tokens = await _estimated(inputs)
    admitted = call.platform.limiter.admit(
        call.principal, name, tokens, time.time(), estimated_cost_usd=0.0
    )
    admission = admitted if isinstance(admitted, Admission) else await admitted
    results: Sequence[dict[str, object]]
    with admission:
        if target is None:
            results = [await _judged(texts) for texts in inputs]
            name = f"{MODEL}-{moderation_version()}"
        else:
            results = await target.moderate(request.input)
            if len(results) != len(inputs):
                raise ModelUnavailable(
                    f"{name} gave {len(results)} results for {len(inputs)} inputs"
                )
        admission.settle(tokens, 0.0)
    body = {"id": f"modr-{call.id}", "model": name, "results": results}
    await call.respond(msgspec.json.encode(body))


def _target(call: Call, name: str) -> Target | None:
    """The service's own model of that name; None: the detectors judge."""
    models = call.service.models
    if name in models.names_for(call.principal):
        return models.get_for(name, call.principal)
    if name != MODEL and not name.startswith(_THEIRS):
        raise UnknownModel.named(name, (MODEL, *models.names_for(call.principal)))
    return None


def _inputs(request: ModerationRequest, *, only_texts: bool) -> list[list[str]]:
    """The texts of each input."""
    inputs = _texts(request.input, only_texts=only_texts)
    characters = _characters(inputs)
    if characters > MOST_CHARACTERS:
        raise InvalidRequest(
            f"'input' holds {characters:,} characters; allowed: {MOST_CHARACTERS:,}",
            hint="send several requests",
            param="input",
        )
    return inputs


def _texts(given: ModerationInput, *, only_texts: bool) -> list[list[str]]:
    if isinstance(given, str):
        return [[given]]
    if not 1 <= len(given) <= MOST_INPUTS:
        raise InvalidRequest(
            f"'input' holds {len(given)} entries; allowed: 1 to {MOST_INPUTS}", param="input"
        )
    texts = [each for each in given if isinstance(each, str)]
    if len(texts) == len(given):
        return [[text] for text in texts]
    if texts:
        raise InvalidRequest("'input' mixes texts and parts", param="input")
    parts: list[str] = []
    for position, part in enumerate(given):
        assert isinstance(part, dict)
        text = part.get("text")
        if part.get("type") == "text" and isinstance(text, str):
            parts.append(text)
        elif only_texts:
            raise InvalidRequest(
                f"this service judges texts, not {part.get('type')!r} parts",
                hint="leave the part out, or name a model of the service that judges pictures",
                param=f"input[{position}]",
            )
    return [parts]


def _characters(inputs: Sequence[Sequence[str]]) -> int:
    return sum(len(text) for texts in inputs for text in texts)


async def _estimated(inputs: Sequence[Sequence[str]]) -> int:
    """Tokens of all texts; what takes long is done beside the event loop."""

    def counted() -> int:
        if not _LOADED.is_set():
            moderation_scores("")
            _LOADED.set()
        return sum(estimate_text_tokens(text) for texts in inputs for text in texts)

    is_quick = _LOADED.is_set() and _characters(inputs) <= _AT_ONCE
    return counted() if is_quick else await asyncio.to_thread(counted)


def _is_quick(text: str) -> bool:
    return len(text) <= (_AT_ONCE if text.isascii() else _AT_ONCE_WIDE)


async def _judged(texts: list[str]) -> dict[str, object]:
    """One entry of `results`: the highest scores among the texts."""
    scores = dict.fromkeys(CATEGORIES, 0.0)
    for text in texts:
        # Others are answered between any two texts, however many there are.
        await asyncio.sleep(0)
        own = (
            moderation_scores(text)
            if _is_quick(text)
            else await asyncio.to_thread(moderation_scores, text)
        )
        scores = {kind: max(score, own[kind]) for kind, score in scores.items()}
    categories = {kind: score >= REPORTED for kind, score in scores.items()}
    return {
        "flagged": any(categories.values()),
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": {kind: ["text"] for kind in scores},
    }
