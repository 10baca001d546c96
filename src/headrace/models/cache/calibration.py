"""How near two questions must be: measured on a service's own traffic, not guessed.

Each question is compared with the earlier ones, in the order in which they were asked, by the very
index that serves (vectors and words). Where the nearest would have been a hit, its answer is held
against the one that the model really gave. For each threshold that makes a hit rate and, with
Wilson's interval, a rate of false hits.

How answers are judged decides what the figure means. Word by word, an answer that says the same in
other words counts as false, so the rate is an upper bound; it needs turns whose model repeats
itself (temperature 0 or a seed). A judge model is only believed once it has told known pairs apart,
and those are easier than real ones.

Source of the interval: E. B. Wilson, Probable inference, the law of succession, and statistical
inference, JASA 22 (1927).
"""

import difflib
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from headrace.models.cache.errors import JudgeUnfit, TooLittleTraffic
from headrace.models.cache.semantic import Meaning, SemanticIndex
from headrace.models.cache.traffic import Sample

__all__ = [
    "THRESHOLDS",
    "Calibration",
    "Judge",
    "Level",
    "Near",
    "agree",
    "calibrate",
    "check_judge",
    "check_traffic",
    "near_pairs",
    "needed_pairs",
    "wilson",
]

THRESHOLDS: Final = (
    0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999,
)  # fmt: skip
SAME_WORDS = 0.9
"""Share of words in common from which on two answers are the same."""
FIT = 0.9
"""Share of known pairs of either kind that a judge must get right."""
KNOWN_PAIRS = 20
"""Of either kind, that a judge is tried on."""
_Z = 1.959964
_WORD = re.compile(r"\w+")

Judge: TypeAlias = Callable[[str, str], Awaitable[bool]]
"""Whether an answer (second) answers a question (first)."""


class Near(msgspec.Struct, frozen=True):
    """A question, and the earlier one that is nearest."""

    later: Sample
    earlier: Sample
    similarity: float


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What one threshold would have done."""

    threshold: float
    hits: int
    hit_rate: float
    """Of all questions."""
    false_hits: int
    false_rate: float | None
    """Of the hits; None without any."""
    false_low: float
    """Wilson's interval, 95 %."""
    false_high: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole measurement."""

    questions: int
    """Distinct ones."""
    repeated: int
    """Turns more that asked one of them word for word."""
    levels: list[Level]
    suggested: float | None
    """The lowest threshold whose false hits are surely rare enough; None: there is none."""


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share; everything between 0 and 1 when nothing was counted."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def needed_pairs(max_false: float) -> int:
    """So many hits without a false one show that at most this share is false."""
    return math.ceil(_Z * _Z * (1 - max_false) / max_false)


def near_pairs(samples: Sequence[Sample], vectors: Sequence[Sequence[float]]) -> list[Near]:
    """Each question's nearest earlier one of the same partition, where their words allow it.

    Args:
        samples: distinct within each partition, the oldest first.
        vectors: one each.
    """
    index = SemanticIndex(len(samples) + 1)
    found: list[Near] = []
    for at, (sample, vector) in enumerate(zip(samples, vectors, strict=True)):
        meaning = Meaning(sample.question, vector)
        nearest = index.nearest(sample.partition, meaning, THRESHOLDS[0])
        if nearest is not None:
            earlier = samples[int.from_bytes(nearest.key)]
            found.append(Near(sample, earlier, nearest.similarity))
        index.add(sample.partition, at.to_bytes(8), meaning)
    return found


def agree(one: str, other: str) -> bool:
    """Whether two answers are the same but for a few words, and in every number."""
    here, there = (_WORD.findall(each.lower()) for each in (one, other))
    if [each for each in here if each.isdigit()] != [each for each in there if each.isdigit()]:
        return False
    return difflib.SequenceMatcher(None, here, there, autojunk=False).ratio() >= SAME_WORDS


async def check_judge(judge: Judge, samples: Sequence[Sample]) -> None:
    """Try a judge on answers to their own questions, and on answers to quite others.

    Raises:
        JudgeUnfit: it gets too many of either kind wrong.
        TooLittleTraffic: there is not enough to try it on.
    """
    answers = {each.answer: each for each in samples}
    chosen = list(answers.values())[:KNOWN_PAIRS]
    if len(chosen) < KNOWN_PAIRS // 2:
        raise TooLittleTraffic(
            f"a judge is tried on at least {KNOWN_PAIRS // 2} different answers; there are "
            f"{len(chosen)}",
            hint="wait for more traffic, or look at more of it: --sample",
        )
    half = len(chosen) // 2
    right = sum([await judge(each.question, each.answer) for each in chosen])
    others = [(each, chosen[(at + half) % len(chosen)]) for at, each in enumerate(chosen)]
    wrong = sum([await judge(one.question, other.answer) for one, other in others])
    if right < FIT * len(chosen) or wrong > (1 - FIT) * len(chosen):
        raise JudgeUnfit(
            f"the judge accepted {right} of {len(chosen)} right answers and {wrong} of "
            f"{len(chosen)} answers to other questions, so its judgement says nothing",
            hint="name a larger model, or leave --judge out: answers are then compared by words",
        )


async def calibrate(
    samples: Sequence[Sample],
    near: Sequence[Near],
    *,
    repeated: int,
    max_false: float,
    judge: Judge | None = None,
) -> Calibration:
    """What each threshold would have done.

    Args:
        samples: all questions, hit or not.
        judge: tried before (`check_judge`); None: answers are compared by their words.

    Raises:
        TooLittleTraffic: no figure below `max_false` could be shown.
    """
    check_traffic(len(samples), len(near), max_false)
    judged = [(each.similarity, await _is_right(each, judge)) for each in near]
    levels = [_level(threshold, judged, len(samples)) for threshold in THRESHOLDS]
    good = [each.threshold for each in levels if each.hits and each.false_high <= max_false]
    return Calibration(
        questions=len(samples),
        repeated=repeated,
        levels=levels,
        suggested=min(good, default=None),
    )


def check_traffic(questions: int, near: int, max_false: float) -> None:
    """Whether so many questions near an earlier one can show that so few hits are false.

    Raises:
        TooLittleTraffic: they cannot, even if none were.
    """
    needed = needed_pairs(max_false)
    if near < needed:
        raise TooLittleTraffic(
            f"to show that at most {max_false:.2%} of hits are false takes {needed:,} questions that "
            f"come near an earlier one; of {questions:,} different ones {near:,} do",
            hint="wait for more traffic, look at more of it (--sample), or ask for less certainty "
            "(--max-false 5%)",
        )


async def _is_right(pair: Near, judge: Judge | None) -> bool:
    if agree(pair.later.answer, pair.earlier.answer):
        return True
    return judge is not None and await judge(pair.later.question, pair.earlier.answer)


def _level(threshold: float, judged: Sequence[tuple[float, bool]], questions: int) -> Level:
    hits = [is_right for similarity, is_right in judged if similarity >= threshold]
    wrong = hits.count(False)
    low, high = wilson(wrong, len(hits))
    return Level(
        threshold=threshold,
        hits=len(hits),
        hit_rate=len(hits) / questions if questions else 0.0,
        false_hits=wrong,
        false_rate=wrong / len(hits) if hits else None,
        false_low=low,
        false_high=high,
    )
