"""Names of persons in Latin script."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span
from headrace.screening.lexicon import read_lexicon

__all__ = ["PersonNameDetector"]

_UP = "A-ZÀ-ÖØ-ÞŁŚŻŠŽČ"
_LOW = "a-zß-öø-ÿąćęłńóśźżčšžěřůőűşğı"
_WORD = rf"[{_UP}](?:\.|[{_LOW}]*(?:[\-'’](?!s(?![{_LOW}]))[{_UP}]?[{_LOW}]+|(?<=Mc|Ma)[cC]?[{_UP}][{_LOW}]+)*+)"
_BEFORE = rf"(?<![{_UP}{_LOW}0-9_@./#\-'’][{_UP}])"
_TOKEN = re.compile(rf"[{_UP}]{_BEFORE}")
_PARTICLE = r"(?:(?:de|da|do|dos|del|della|di|van|von|der|den|ter|la|le|bin|ibn|al|el|y) ){0,2}"
_SEQUENCE = re.compile(rf"{_WORD}(?: {_PARTICLE}{_WORD}){{0,3}}(?![{_UP}{_LOW}0-9_@])")
_SHORTER = re.compile(rf" {_PARTICLE}{_WORD}\Z")
_OPEN = re.compile(
    rf"[{_UP}]{_BEFORE}[{_UP}{_LOW}.'’\-]{{0,24}}"
    rf"(?: {_PARTICLE}[{_UP}][{_UP}{_LOW}.'’\-]{{0,24}}){{0,5}}(?: {_PARTICLE}[a-z]{{0,9}})?\Z"
)
_WINDOW = 176
_TITLE = re.compile(
    r"(?<![A-Za-z])(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Lady|Lord|Rev|Judge|Herr|Frau|Señora?|Monsieur|Madame)\.? \Z"
)
_SAYS = re.compile(
    r"(?i)(?:(?<![a-z])(?:(?:my|his|her|their|full|first|last|the|patient|customer|client|contact|account) ?name(?: is|'s|:|,)|name:"
    r"|i am|i'm|this is|call me|named|called|dear|hi|hello|hey|signed|sincerely,|regards,|thanks,|attn:?|contact:?|patient:?|customer:?"
    r"|client:?|employee:?|tenant:?|applicant:?|beneficiary:?|recipient:?|cardholder:?|meet|ask(?: for)?|with|by|from|for|to|and|told|tell|met|cc:?)"
    r"|我叫|我是|姓名[:：是]?|联系人[:：]?|叫|名叫|患者|客户)\s{0,2}\Z"
)
_INTRODUCES = re.compile(
    r"(?i)(?:name(?: is|'s|:)|i am|i'm|call me|named|dear|attn:?|patient:?|customer:?|tenant:?|applicant:?|recipient:?"
    r"|cardholder:?|beneficiary:?|我叫|姓名[:：是]?|联系人[:：]?|名叫)\s{0,2}\Z"
)
_REACH = 40
_NOT_PERSON = re.compile(
    r"['’]?s? (?:University|College|School|Institute|River|Street|St|Road|Rd|Station|Airport|Hospital|Bridge|Park|Act|Prize|Award"
    r"|Theorem|Law|Method|County|City|Inc|Ltd|LLC|Corp|Corporation|Company|Bank|Church|Museum|Library|Stadium|Avenue|Ave|Island|Islands"
    r"|Lake|Bay|Valley|Foundation|Group|Hotel|Cathedral|Square|Center|Centre|Drive|Lane|Hall|House|Award|Medal|Effect|Equation"
    r"|Distribution|Algorithm|Test|Syndrome|Disease|Cup|Trophy|Stores?|Airlines|Motors|Line)(?![A-Za-z])"
)
_ACTS = re.compile(
    r" (?:lives|lived|said|says|called|calls|works|worked|wrote|told|asked|thinks|wants|joined|met|and I)(?![A-Za-z])"
)
"""What persons do: two unknown words before it are a name."""
_HOUSE = re.compile(
    r"(?:(?<![A-Za-z])(?:at|to|in|address|of)|[:,])[: ]{0,2} ?[0-9]{1,5}[A-Za-z]? \Z"
)
"""A number in front: the name is a street's."""
_CALLED = re.compile(
    r"(?i)(?<![a-z])(?:call|ask|tell|meet|contact|email|thank|told|asked|met|patient|customer|client)[:,]? \Z"
)
_NEVER = frozenset(
    [
        "i'm",
        "i’m",
        "he's",
        "he’s",
        "she's",
        "she’s",
        "it's",
        "it’s",
        "that's",
        "that’s",
        "here's",
        "here’s",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "july",
        "september",
        "october",
        "november",
        "december",
        "mr",
        "mrs",
        "ms",
        "miss",
        "dr",
        "prof",
        "sir",
        "the",
        "please",
        "thanks",
        "thank",
        "best",
        "kind",
        "regards",
        "dear",
        "hi",
        "hello",
        "hey",
        "yes",
        "no",
        "ok",
        "street",
        "road",
        "avenue",
        "university",
        "college",
        "river",
        "north",
        "south",
        "east",
        "west",
        "new",
        "san",
        "los",
        "las",
        "saint",
        "st",
        "lake",
        "mount",
    ]
)


class PersonNameDetector:
    """Finds names by a list of given names and surnames, by titles and by what introduces them.

    A known given name with a surname behind it scores 0.9 (1 where a title or a phrase such as "my
    name is" stands before), an unknown one before a known surname 0.7, a given name alone behind a
    phrase, or two unknown words that do what persons do, 0.6. Does not catch: names in small letters or in capitals only, surnames alone without
    a title, nicknames, given names that are also words unless a known surname follows. Names of
    well-known persons are names, too.
    """

    name = "person_name"
    kinds = ("person_name",)
    languages = ("en", "de", "fr", "es", "it")
    cost_us = 60
    window = _WINDOW

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for token in _TOKEN.finditer(text, start):
            begin = token.start()
            if begin < floor:
                continue
            match = _SEQUENCE.match(text, begin)
            if match is None:
                continue
            end, score = _name_end(text, begin, match.end())
            if end:
                yield Span("person_name", begin, end, score)
                floor = end

    def pending(self, text: str, start: int) -> int:
        run = _OPEN.search(text, max(start, len(text) - _WINDOW))
        return run.start() if run else len(text)


def _name_end(text: str, begin: int, end: int) -> tuple[int, float]:
    """Where the name that begins here ends, at `end` or before, and how sure that is; 0 for none."""
    before = text[max(0, begin - _REACH) : begin]
    if _HOUSE.search(before) and not re.search(r"(?:19|20)[0-9]{2} \Z", before):
        return 0, 0.0
    titled = _TITLE.search(before) is not None
    while True:
        words = [each for each in re.split(" ", text[begin:end]) if each[0].isupper()]
        acts = _ACTS.match(text, end) is not None or _CALLED.search(before) is not None
        score = _score([each.lower() for each in words], before, titled=titled, acts=acts)
        if (
            score
            and not _NOT_PERSON.match(text, end)
            and not (len(words) > 1 and _NOT_PERSON.match(text, begin + len(words[0])))
        ):
            return end, score
        shorter = _SHORTER.search(text, begin, end)
        if shorter is None:
            return 0, 0.0
        end = shorter.start()


def _score(words: list[str], before: str, *, titled: bool, acts: bool) -> float:
    """How sure it is that these words, small now, are one name."""
    lexicon = read_lexicon("latin_names")
    given, unsure, surnames, common = (
        lexicon[key] for key in ("given", "given-or-word", "surname", "word")
    )
    first, last = words[0].split("-")[0], words[-1]
    if not _NEVER.isdisjoint(words) or (last.endswith(".") and not titled):
        return 0.0
    if len(words) == 1:
        if titled:
            return 0.9 if len(last) > 2 else 0.0
        if first in given and _INTRODUCES.search(before):
            return 0.8
        return 0.6 if first in given and _SAYS.search(before) else 0.0
    inner_is_word = any(each in common for each in words[1:-1])
    if titled:
        return 1.0 if not inner_is_word and (last in surnames or last not in common) else 0.0
    introduced = _INTRODUCES.search(before) is not None
    known = last in surnames or last.split("-")[-1] in surnames
    if inner_is_word:
        return 0.0
    if first in given:
        if known or last not in common:
            return 1.0 if introduced else 0.9
        return 0.8 if last in given or (len(words) == 2 and introduced) else 0.7 * (len(words) == 2)
    if first in unsure or len(first.rstrip(".")) == 1:
        return 0.8 if known else 0.0
    if first not in common and known:
        return 0.9 if introduced else 0.7
    if (introduced or acts) and first not in common and last not in common:
        return 0.7 if introduced else 0.6
    return 0.0
