"""Find what a text names and link it to the glossary, with a score.

Not covered: names that the glossary does not hold, typing errors, embeddings for doubtful links.
Chinese names are found wherever their characters stand: text is not cut into words.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, tzinfo

import msgspec

from headrace.knowledge.entities.date import dates
from headrace.knowledge.entities.fold import fold
from headrace.knowledge.entities.number import CHINESE, chinese_number
from headrace.knowledge.entities.settings import Entity, Glossary

__all__ = ["EntityLinker", "Link", "facts", "trace_attributes"]

_THRESHOLD = 0.6
"""Least score of a link: an alias of two entities with nothing around it stays unlinked."""
_MONEY = re.compile(
    rf"[$€£¥]\d{{1,15}}(?:[.,]\d{{1,3}}){{0,5}}|(?<!\d)\d{{1,9}}(?:\.\d{{1,6}})?%"
    rf"|(?<![{CHINESE}\d])(?P<zh>[{CHINESE}]{{1,15}})(?P<unit>美元|元)"
)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One mention; `id` is empty where it is not linked."""

    start: int
    end: int
    kind: str
    id: str
    score: float
    fact: str = ""


class EntityLinker:
    """Links texts to one glossary."""

    def __init__(self, glossary: Glossary) -> None:
        self._by_name: dict[str, list[Entity]] = {}
        for entity in glossary.entities:
            for name in dict.fromkeys(fold(n)[0] for n in (entity.name, *entity.aliases)):
                self._by_name.setdefault(name, []).append(entity)
        self._lengths: dict[str, list[int]] = {}
        for name in sorted(filter(None, self._by_name), key=len, reverse=True):
            lengths = self._lengths.setdefault(name[:2], [])
            if len(name) not in lengths:
                lengths.append(len(name))

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
        found = [*self._names(text, " ".join(context), roles)]
        for start, end, day in dates(text, now.astimezone(timezone).date()):
            fact = f"{text[start:end]}: {day.isoformat()}"
            found.append(
                Link(start=start, end=end, kind="date", id=day.isoformat(), score=1, fact=fact)
            )
        for match in _MONEY.finditer(text):
            value = f"{chinese_number(match['zh'])} {match['unit']}" if match["zh"] else match[0]
            fact = f"{match[0]}: {value}" if match["zh"] else ""
            found.append(
                Link(
                    start=match.start(),
                    end=match.end(),
                    kind="amount",
                    id=value,
                    score=1,
                    fact=fact,
                )
            )
        return _apart(found)

    def _names(self, text: str, context: str, roles: AbstractSet[str] | None) -> Iterator[Link]:
        folded, source = fold(text)
        words = set(_words(folded)) | set(_words(fold(context)[0]))
        at = 0
        while at < len(folded):
            length = self._longest(text, folded, source, at)
            if not length:
                at += 1
                continue
            known = self._by_name[folded[at : at + length]]
            entities = [each for each in known if _may_tell(each, roles)]
            if not entities:
                at += length
                continue
            entity, score = _best(entities, words)
            end = source[at + length - 1] + 1
            while end < len(text) and unicodedata.combining(text[end]):
                end += 1
            linked = score >= _THRESHOLD
            yield Link(
                start=source[at],
                end=end,
                kind=entity.kind if linked else "other",
                id=entity.name if linked else "",
                score=score,
                fact=f"{entity.name}: {entity.description}" if linked else "",
            )
            at += length

    def _longest(self, text: str, folded: str, source: list[int], at: int) -> int:
        for key in (folded[at : at + 2], folded[at]):
            for length in self._lengths.get(key, ()):
                end = at + length
                if end > len(folded):
                    continue
                if folded[at:end] in self._by_name and _is_word(folded, at, end):
                    whole = at == 0 or source[at - 1] != source[at]
                    if whole and (end == len(folded) or source[end - 1] != source[end]):
                        return length
        return 0


def _may_tell(entity: Entity, roles: AbstractSet[str] | None) -> bool:
    return roles is None or not entity.readers or not roles.isdisjoint(entity.readers)


def _is_spaced(char: str) -> bool:
    """Whether a letter belongs to a script that puts spaces between words."""
    return char.isalnum() and not "\u3040" <= char <= "\u9fff"


def _is_word(text: str, start: int, end: int) -> bool:
    if start and _is_spaced(text[start - 1]) and _is_spaced(text[start]):
        return False
    if end == len(text) or not (_is_spaced(text[end]) and _is_spaced(text[end - 1])):
        return True
    return text[end] == "s" and (end + 1 == len(text) or not _is_spaced(text[end + 1]))


def _words(folded: str) -> Iterator[str]:
    for match in re.finditer(r"[\u3040-\u9fff]+|[^\W\d_\u3040-\u9fff]{4,}", folded):
        word = match[0]
        if "\u3040" <= word[0] <= "\u9fff":
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield word


def _best(entities: list[Entity], words: set[str]) -> tuple[Entity, float]:
    """The entity that the words around fit best: 1 if it is alone, 0.5 for an even choice."""
    if len(entities) == 1:
        return entities[0], 1.0
    fits = [len(words & set(_words(fold(f"{e.description} {e.kind}")[0]))) for e in entities]
    order = sorted(range(len(fits)), key=lambda at: -fits[at])
    first, second = fits[order[0]], fits[order[1]]
    return entities[order[0]], round((first + 1) / (first + second + 2), 3)


def _apart(links: list[Link]) -> list[Link]:
    kept: list[Link] = []
    for link in sorted(links, key=lambda link: (link.start, -link.end)):
        if not kept or link.start >= kept[-1].end:
            kept.append(link)
    return kept


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
            "id": link.id if content or link.kind not in ("date", "amount") else "",
            "score": link.score,
            "start": link.start,
            "end": link.end,
        }
        for link in links
    ]
