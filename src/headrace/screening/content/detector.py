"""A detector of content: the classifier's head, and signs beside it.

A sentence's score for a kind is the highest of what the classifier and the signs say. What is
found of a narrower kind (`hate/threatening`) is of the wider one (`hate`) too.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.screening.content.classifier import Judged, judge
from headrace.screening.content.kind import HEADS, REPORTED
from headrace.screening.content.sign import Sign
from headrace.screening.content.unit import LONGEST, pending
from headrace.screening.finding import Span

__all__ = ["ContentDetector"]

_EVERY = 8
"""Where a text has no gaps, signs are looked for at one character in so many, by its code."""


class ContentDetector:
    """Finds one family of content. Detectors of one text share the classifier's look at it."""

    languages: tuple[str, ...] = ("en", "zh")
    cost_us = 60
    """For 1,000 characters; the first of them on a text pays 700 more for the classifier."""
    window = LONGEST

    def __init__(
        self,
        name: str,
        kinds: Sequence[str],
        signs: Sequence[Sign],
        heads: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """`heads`: for each kind that the classifier knows, the heads that must all say so."""
        self.name = name
        self.kinds = tuple(kinds)
        self._signs = tuple(signs)
        self._heads = {
            self.kinds.index(kind): [HEADS.index(head) for head in all_of]
            for kind, all_of in (heads or {}).items()
        }
        self._wider = [
            (self.kinds.index(kind), self.kinds.index(kind.split("/")[0]))
            for kind in self.kinds
            if "/" in kind and kind.split("/")[0] in self.kinds
        ]

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        found = judge(text, start)
        signs = self._signs_in(found)
        if not signs and all(
            min(found.highest[head] for head in heads) < REPORTED for heads in self._heads.values()
        ):
            return
        scores = self._scored(found, signs)
        for unit, kind in np.argwhere(scores >= REPORTED):
            begin, end = _trimmed(text, int(found.units.starts[unit]), int(found.units.ends[unit]))
            if begin < end:
                yield Span(self.kinds[kind], begin, end, round(float(scores[unit, kind]), 4))

    def pending(self, text: str, start: int) -> int:
        return pending(text, start)

    def scores(self, text: str) -> dict[str, float]:
        """The highest score of each kind anywhere in a text, below what is reported too."""
        found = judge(text, 0)
        scores = self._scored(found, self._signs_in(found))
        highest = scores.max(axis=0, initial=0.0)
        return {kind: round(float(highest[at]), 6) for at, kind in enumerate(self.kinds)}

    def _signs_in(self, found: Judged) -> list[Sign]:
        """Those of which a piece stands anywhere."""
        folded = found.folded
        return [each for each in self._signs if any(need in folded for need in each.needs)]

    def _scored(self, found: Judged, signs: Sequence[Sign]) -> NDArray[np.float64]:
        """(units, kinds)"""
        scores = np.zeros((len(found.units.starts), len(self.kinds)))
        for at, heads in self._heads.items():
            scores[:, at] = found.scores[:, heads].min(axis=1)
        if signs:
            self._sign(found, signs, scores)
        for narrow, wide in self._wider:
            np.maximum(scores[:, wide], scores[:, narrow], out=scores[:, wide])
        return scores

    def _sign(self, found: Judged, signs: Sequence[Sign], scores: NDArray[np.float64]) -> None:
        """Raise the scores of units that have signs."""
        units, folded, offset = found.units, found.folded, found.offset
        columns = [self.kinds.index(each.kind) for each in signs]
        starts = (units.starts - offset).tolist()
        contexts = (units.contexts - offset).tolist()
        for at, end in enumerate((units.ends - offset).tolist()):
            begin = starts[at]
            if contexts[at] != begin and end - begin == 1 and ord(folded[begin]) % _EVERY:
                continue
            said = folded[contexts[at] : end]
            for each, column in zip(signs, columns, strict=True):
                if (
                    each.score > scores[at, column]
                    and any(need in said for need in each.needs)
                    and each.pattern.search(said)
                    and not (each.unless and each.unless.search(said))
                ):
                    scores[at, column] = each.score


def _trimmed(text: str, begin: int, end: int) -> tuple[int, int]:
    while begin < end and text[begin].isspace():
        begin += 1
    while begin < end and text[end - 1].isspace():
        end -= 1
    return begin, end
