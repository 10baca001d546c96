"""Find what a text names and link it to the glossary, with a score.

Not covered: names that are only described ("our largest mill"), pronouns, embeddings for doubtful
links.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, tzinfo

import msgspec

from headrace.knowledge.entities.amount import amounts
from headrace.knowledge.entities.chinese_guess import chinese_guesses
from headrace.knowledge.entities.context import best, words_of
from headrace.knowledge.entities.date import dates
from headrace.knowledge.entities.fold import fold
from headrace.knowledge.entities.guess import english_guesses
from headrace.knowledge.entities.hour import hours
from headrace.knowledge.entities.name import Names
from headrace.knowledge.entities.settings import Entity, Glossary

__all__ = ["EntityLinker", "Link", "facts", "trace_attributes"]

_THRESHOLD = 0.6
"""Least score of a link: an alias of two entities with nothing around it stays unlinked."""
_MISTYPED = 0.8
"""What a name with a typing error is worth of one without."""
_VALUES = ("date", "time", "amount")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One mention; `id` is empty where it is not linked."""

    start: int
    end: int
    kind: str
    """One of the glossary's kinds, or date, time, amount."""
    id: str
    """The entity's name; of dates, times and amounts their value."""
    score: float
    fact: str = ""


class EntityLinker:
    """Links texts to one glossary."""

    def __init__(self, glossary: Glossary) -> None:
        self._names = Names(glossary.entities, typos=glossary.typos)
        self._guesses = glossary.guess
        self.is_empty = not glossary.entities
        """Whether it knows no name; dates and amounts it finds all the same."""

    def link(
        self,
        text: str,
        *,
        now: datetime,
        timezone: tzinfo,
        context: Sequence[str] = (),
        roles: AbstractSet[str] | None = None,
    ) -> list[Link]:
        """The mentions of `text` in order, none over another; `now` must know its zone.

        Args:
            context: what was said before.
            roles: as whom the asker may be told of entities; None: of all.
        """
        assert now.tzinfo is not None, "now without a zone names no day"
        today = now.astimezone(timezone).date()
        found = _apart([*self._known(text, " ".join(context), roles), *_values(text, today)])
        if not self._guesses:
            return found
        guesses = [
            Link(start=start, end=end, kind=kind, id="", score=score)
            for start, end, kind, score in (*english_guesses(text), *chinese_guesses(text))
        ]
        return _filled(found, guesses)

    def _known(self, text: str, context: str, roles: AbstractSet[str] | None) -> Iterator[Link]:
        folded, mentions = self._names.find(text)
        words: set[str] | None = None
        for start, end, known, is_exact in mentions:
            entities = [each for each in known if _may_tell(each, roles)]
            if not entities:
                continue
            if words is None and len(entities) > 1:
                words = {*words_of(folded), *words_of(fold(context)[0])}
            entity, score = best(entities, words or set())
            score = score if is_exact else round(score * _MISTYPED, 3)
            linked = score >= _THRESHOLD
            yield Link(
                start=start,
                end=end,
                kind=entity.kind if linked else "other",
                id=entity.name if linked else "",
                score=score,
                fact=_fact(entity) if linked else "",
            )


def _values(text: str, today: date) -> Iterator[Link]:
    """Dates, times and amounts."""
    for start, end, value in dates(text, today):
        fact = "" if text[start:end] == value else f"{text[start:end]}: {value}"
        yield Link(start=start, end=end, kind="date", id=value, score=1.0, fact=fact)
    for start, end, value in hours(text):
        yield Link(start=start, end=end, kind="time", id=value, score=1.0)
    for start, end, value in amounts(text):
        # A model reads $5 by itself; what 三百五十块 comes to it had better be told.
        fact = "" if text[start:end].isascii() else f"{text[start:end]}: {value}"
        yield Link(start=start, end=end, kind="amount", id=value, score=1.0, fact=fact)


def _fact(entity: Entity) -> str:
    source = f" (document {entity.document})" if entity.document else ""
    return f"{entity.name}: {entity.description}{source}"


def _may_tell(entity: Entity, roles: AbstractSet[str] | None) -> bool:
    return roles is None or not entity.readers or not roles.isdisjoint(entity.readers)


def _apart(links: Iterable[Link]) -> list[Link]:
    kept: list[Link] = []
    for link in sorted(links, key=lambda link: (link.start, -link.end)):
        if not kept or link.start >= kept[-1].end:
            kept.append(link)
    return kept


def _filled(known: Sequence[Link], guesses: Iterable[Link]) -> list[Link]:
    """What is known, and those guesses that lie over none of it."""
    ends = [each.end for each in known]
    free = []
    for each in guesses:
        at = bisect_right(ends, each.start)
        if at == len(known) or known[at].start >= each.end:
            free.append(each)
    return sorted((*known, *_apart(free)), key=lambda link: link.start)


def facts(links: Sequence[Link], *, max_chars: int = 2_000) -> str:
    """The facts of the links, a line each, whole lines only, each once."""
    lines: list[str] = []
    left = max_chars
    for line in dict.fromkeys(link.fact for link in links if link.fact):
        if len(line) + 1 <= left:
            lines.append(line)
            left -= len(line) + 1
    return "\n".join(lines)


def trace_attributes(links: Sequence[Link], *, content: bool) -> list[dict[str, str | int | float]]:
    """What a trace keeps of each link. Ids of dates and amounts are the user's, so: content."""
    return [
        {
            "kind": link.kind,
            "id": link.id if content or link.kind not in _VALUES else "",
            "score": link.score,
            "start": link.start,
            "end": link.end,
        }
        for link in links
    ]
