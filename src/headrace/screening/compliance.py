"""Compliance rules as detectors: topics and competitors that a policy lists.

Terms are looked for on the event loop. Examples are compared by meaning, which takes the embedding
model: `TopicJudge` is a costly detector, and a policy with examples has asked for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.screening.detectors.term import TermDetector
from headrace.screening.finding import Span, Tools

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headrace.screening.form import Topic

__all__ = ["NamedTerms", "TopicJudge"]

_LEAST_LETTERS = 12
"""A question shorter than this (`And why?`) goes on with what was said before."""
_LEAST_OTHER = 5
"""The same in scripts whose signs are words."""


class NamedTerms:
    """Terms whose kinds are not `term.NAME`; finds and waits as `TermDetector` does."""

    def __init__(self, name: str, lists: Mapping[str, Sequence[str]]) -> None:
        self.name = name
        self._terms = TermDetector(lists)
        self.kinds = tuple(lists)
        self.window = self._terms.window
        self.pending = self._terms.pending

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        for span in self._terms.detect(text, start):
            yield Span(span.kind.removeprefix("term."), span.start, span.end)


class TopicJudge:
    """Finds what a text is about by examples, and whether it is about an allowed topic at all.

    The score of a topic is the cosine to its nearest example; that of `off_topic` is 1 less the
    best of the allowed topics. Does not tell: short follow-up questions (they pass), texts of which
    only a small part is about something else.
    """

    name = "topic_examples"
    cost = "costly"

    def __init__(self, topics: Mapping[str, "Topic"], allowed: Sequence[str]) -> None:
        self._topics = topics
        self._allowed = tuple(allowed)
        lists = {name: topic.terms for name, topic in topics.items() if topic.terms}
        self._terms = TermDetector(lists)
        with_examples = tuple(f"topic.{n}" for n, each in topics.items() if each.examples)
        self.kinds = (*with_examples, *(("off_topic",) if allowed else ()))
        self._examples: NDArray[np.float32] | None = None
        self._owners = [n for n, each in topics.items() for _ in each.examples]

    async def judge(self, text: str, tools: Tools) -> Sequence[Span]:
        """The topics of the text, each over all of it.

        Raises:
            ModelUnavailable: the embedding model is down.
        """
        near = await self._near(text, tools)
        found = [
            Span(f"topic.{name}", 0, len(text), score=score)
            for name, score in near.items()
            if score >= self._topics[name].threshold
        ]
        if not self._allowed or len(text.strip()) < (
            _LEAST_LETTERS if text.isascii() else _LEAST_OTHER
        ):
            return found
        about = {span.kind.removeprefix("topic.") for span in found}
        about |= {span.kind.removeprefix("term.") for span in self._terms.detect(text)}
        if not about & set(self._allowed):
            best = max((near.get(name, 0.0) for name in self._allowed), default=0.0)
            found.append(Span("off_topic", 0, len(text), score=round(1.0 - best, 4)))
        return found

    async def _near(self, text: str, tools: Tools) -> dict[str, float]:
        """For each topic with examples the cosine to the nearest one."""
        if not self._owners:
            return {}
        if self._examples is None:
            examples = [text for each in self._topics.values() for text in each.examples]
            self._examples = await tools.embed(examples)
        (vector,) = await tools.embed([text])
        near: dict[str, float] = {}
        for name, score in zip(self._owners, self._examples @ vector, strict=True):
            near[name] = max(near.get(name, 0.0), round(min(1.0, max(0.0, float(score))), 4))
        return near
