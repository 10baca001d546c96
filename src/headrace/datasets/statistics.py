"""What a dataset is made of, in figures: one pass over its rows."""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from headrace.datasets.example import Example
from headrace.datasets.similar import find_similar

__all__ = ["Looks", "Spread", "Statistics", "measure"]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How a length is spread over rows."""

    total: int
    mean: float
    p50: int
    p95: int
    longest: int


class Looks(msgspec.Struct, frozen=True, kw_only=True):
    """What looks into texts; rooms that know how give these."""

    tokens: Callable[[str], int] | None = None
    language: Callable[[str], str | None] | None = None
    findings: Callable[[str], Iterable[str]] | None = None
    """Kinds of what was found: personal data, secrets, what is not fit to learn."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of one version, or of one file."""

    rows: int
    kinds: dict[str, int]
    turns: Spread
    """Messages a row."""
    prompt: Spread
    """Length of what is asked, in `unit`."""
    answer: Spread
    """Length of what is learned, in `unit`."""
    unit: str
    """`tokens`, or `characters` where no tokenizer was given."""
    languages: dict[str, int]
    """Rows by ISO 639-1 code; `unknown` where a row is too short or mixed."""
    findings: dict[str, int]
    """Rows in which each kind was found."""
    similar_groups: int
    similar_rows: int
    """Rows that repeat another one nearly word for word."""


def measure(
    rows: Iterable[Example],
    looks: Looks | None = None,
    *,
    saw: Callable[[int], None] = lambda _: None,
) -> Statistics:
    """
    Args:
        saw: told how many rows have been seen, for a progress bar.
    """
    looks = looks or Looks()
    length = looks.tokens or len
    kinds: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    turns: Counter[int] = Counter()
    prompts: Counter[int] = Counter()
    answers: Counter[int] = Counter()

    def texts() -> Iterable[str]:
        for count, row in enumerate(rows, 1):
            text = row.text()
            kinds[row.kind] += 1
            turns[len(row.messages)] += 1
            learned = row.chosen or row.messages[-1:]
            asked = row.messages if row.kind == "preference" else row.messages[:-1]
            prompts[length("\n".join(each.text() for each in asked))] += 1
            answers[length("\n".join(each.text() for each in learned))] += 1
            if looks.language is not None:
                languages[looks.language(text) or "unknown"] += 1
            if looks.findings is not None:
                findings.update(set(looks.findings(text)))
            saw(count)
            yield text

    similar = find_similar(texts())
    return Statistics(
        rows=sum(kinds.values()),
        kinds=dict(kinds.most_common()),
        turns=_spread(turns),
        prompt=_spread(prompts),
        answer=_spread(answers),
        unit="tokens" if looks.tokens is not None else "characters",
        languages=dict(languages.most_common()),
        findings=dict(findings.most_common()),
        similar_groups=len(similar.groups),
        similar_rows=similar.repeats,
    )


def _spread(counts: Counter[int]) -> Spread:
    """From how often each length came: a dataset has few different ones, and many rows."""
    rows = sum(counts.values())
    if not rows:
        return Spread(total=0, mean=0.0, p50=0, p95=0, longest=0)
    lengths = sorted(counts)
    total = sum(length * counts[length] for length in lengths)

    def quantile(share: float) -> int:
        seen = 0
        for length in lengths:
            seen += counts[length]
            if seen >= share * rows:
                return length
        return lengths[-1]

    return Spread(
        total=total,
        mean=total / rows,
        p50=quantile(0.5),
        p95=quantile(0.95),
        longest=lengths[-1],
    )
