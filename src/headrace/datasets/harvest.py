"""Examples from what was really asked and answered, of people who allow it alone.

A turn becomes an example when its person's consent holds now, it ended well, its texts were kept and
the filter wants it. What the policy's input rules find is masked for good before anything is
written: `[EMAIL]` in place of the address. The example says which trace, person and consent it is
from, and is sealed under the person's key, so that erasing them takes it out of every version.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from headrace.datasets.example import Example, Provenance
from headrace.types import Choice, Message

__all__ = ["Harvest", "TurnText", "Wanted", "harvest"]


class TurnText(Protocol):
    """A stored trace, its texts readable."""

    @property
    def id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def input(self) -> str: ...
    @property
    def output(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which turns are wanted. None: whatever it is."""

    least_score: int | None = None
    """1: only answers that were rated good."""
    model: str | None = None
    language: str | None = None
    template: str | None = None
    """A template's name."""
    only_corrected: bool = False
    """Only answers that somebody has corrected."""
    as_pairs: bool = False
    """Of a corrected answer a preference pair: the correction before what was answered."""


@dataclass(slots=True)
class Harvest:
    """What became of the turns that were looked at."""

    looked_at: int = 0
    taken: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """By reason."""
    masked: Counter[str] = field(default_factory=Counter)
    """Places that were masked, by kind."""


_messages = msgspec.json.Decoder(list[Message]).decode
_choices = msgspec.json.Decoder(list[Choice]).decode


def harvest(
    turns: Iterable[TurnText],
    consents: Mapping[str, str],
    scores: Mapping[str, int],
    corrections: Mapping[str, str],
    mask: Callable[[str], tuple[str, Iterable[str]]],
    wanted: Wanted,
    report: Harvest,
) -> Iterator[Example]:
    """The examples that may be made, in the order of the turns.

    Args:
        consents: id of the consent that holds, by subject id.
        scores: by trace: 1 good, -1 bad.
        corrections: by trace: what the answer should have been, which is learned instead of it.
        mask: a text without what must not be learned, and the kinds that were masked.
        report: counts as the iterator goes on.
    """
    for turn in turns:
        report.looked_at += 1
        correction = corrections.get(turn.id, "")
        reason = _unfit(turn, consents, scores, correction, wanted)
        if reason:
            report.left_out[reason] += 1
            continue
        example = _example(turn, correction, consents[turn.subject], mask, wanted, report)
        if example is None:
            report.left_out["no text to learn"] += 1
            continue
        report.taken += 1
        yield example


def _unfit(
    turn: TurnText,
    consents: Mapping[str, str],
    scores: Mapping[str, int],
    correction: str,
    wanted: Wanted,
) -> str:
    """Why a turn is left out; empty when it is not."""
    # Consent first: nothing else about the turn is looked at without it.
    if turn.subject not in consents:
        return "no consent"
    if turn.status != "ok":
        return "did not end well"
    if not turn.input or not turn.output:
        return "its texts are not kept"
    if not correction:
        if wanted.only_corrected or wanted.as_pairs:
            return "not corrected"
        if wanted.least_score is not None and scores.get(turn.id, 0) < wanted.least_score:
            return "not rated so"
    if wanted.model is not None and turn.model != wanted.model:
        return "another model"
    if wanted.language is not None and turn.language != wanted.language:
        return "another language"
    if wanted.template is not None and turn.template.partition("@")[0] != wanted.template:
        return "another template"
    return ""


def _example(
    turn: TurnText,
    correction: str,
    consent: str,
    mask: Callable[[str], tuple[str, Iterable[str]]],
    wanted: Wanted,
    report: Harvest,
) -> Example | None:
    def masked(text: str) -> str:
        clean, kinds = mask(text)
        report.masked.update(kinds)
        return clean

    asked = [each for each in _messages(turn.input) if each.role in ("user", "assistant", "system")]
    answer = next((each.text for each in _choices(turn.output) if each.text.strip()), "")
    if not answer or not any(each.role == "user" and each.text().strip() for each in asked):
        return None
    said = [each.map_text(masked) for each in asked]
    best = [Message(role="assistant", content=masked(correction or answer))]
    about: dict[str, object] = {"release": turn.release, "language": turn.language}
    provenance = Provenance(trace=turn.id, subject=turn.subject, consent=consent)
    if wanted.as_pairs:
        return Example(
            kind="preference",
            messages=said,
            chosen=best,
            rejected=[Message(role="assistant", content=masked(answer))],
            metadata=about,
            provenance=provenance,
        )
    return Example(kind="chat", messages=[*said, *best], metadata=about, provenance=provenance)
