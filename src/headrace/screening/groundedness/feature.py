"""What a claim and a text are compared by: words, numbers, names, negation, opposites.

Words only: what a paraphrase in other words says is up to the similarity of the two meanings, which
is a figure beside these. English and Chinese; other languages are compared as if they were English.
"""

import itertools
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["NAMES", "Reading", "features", "read"]

NAMES = (
    "overlap",
    "clause_overlap",
    "missing_numbers",
    "clause_numbers",
    "missing_names",
    "negation",
    "opposite",
)
_HAN = re.compile(r"[\u3400-\u9fff]+")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’][a-z]+)?")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_HAN_NUMBER = re.compile(r"[零一二两三四五六七八九十百千万]+")
_HAN_UNIT = re.compile(r"[天日年月周个人名条件次小时分钟晚元升米%度层间位岁倍]")
_STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "with",
        "and",
        "or",
        "as",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "you",
        "your",
        "they",
        "their",
        "we",
        "our",
        "i",
        "he",
        "she",
        "his",
        "her",
        "will",
        "would",
        "can",
        "could",
        "may",
        "might",
        "must",
        "should",
        "shall",
        "do",
        "does",
        "did",
        "have",
        "has",
        "had",
        "there",
        "then",
        "than",
        "so",
        "if",
        "when",
        "which",
        "who",
        "what",
        "up",
        "per",
        "into",
        "after",
        "before",
        "about",
        "also",
        "only",
        "each",
        "every",
        "all",
        "any",
        "some",
    ]
)
_SMALL_NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"third": "3", "second": "2", "first": "1", "twice": "2", "half": "0.5"}
_NEGATIONS = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot|unless)\b|n't\b"
    r"|\b(?:forbidden|prohibited|refused?|unable|lacks?|clos(?:ed|es)|remov(?:ed|es)|expires?d?|failed)\b"
    r"|不|没|作废|关闭|取消支持|未|无|勿|禁止|严禁|切勿|不得|别(?=[让把在去用])|非(?=常)?",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[.;!?](?=\s|$)|[。；！？]|，(?=[^，]{4,})|, (?=but|while|which)|(?<=\w) and (?=it|after|must|at)"
)
_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10000}
_OPPOSITES = (
    ("rise rose rises increase increased grew grow grows higher more gain", "fall fell falls decrease decreased shrank lower less fewer decline declined"),
    ("before", "after"), ("open opens opened", "close closes closed"), ("allow allowed permitted may welcome can", "forbid forbidden prohibited banned"),
    ("add added adds", "remove removed removes"), ("first", "last"), ("north northern", "south southern"), ("east eastern", "west western"),
    ("longer", "shorter"), ("always", "never"), ("minimum least", "maximum most"), ("free", "charged cost"), ("keep keeps", "lose loses lost"),
    ("buy bought", "sell sold"), ("founded", "closed sold"), ("green", "red"), ("include included", "exclude excluded"),
    ("monday", "tuesday"), ("weekdays", "weekends"),
)  # fmt: skip
_HAN_OPPOSITES = (
    ("增长增加上升提高", "下降减少降低"), ("之前前", "之后后"), ("允许可以", "禁止不得严禁"), ("最多", "最少至少"),
    ("开放", "关闭"), ("免费", "收费收取"), ("全部", "部分"), ("周一", "周二"), ("上午", "下午"),
)  # fmt: skip
_HAN_PAIRS = tuple(
    (re.compile("|".join(re.findall("..", left) or [left])), re.compile("|".join(re.findall("..", right) or [right])))
    for left, right in _HAN_OPPOSITES
)  # fmt: skip
_WORD_PAIRS = tuple(
    (frozenset(left.split()), frozenset(right.split())) for left, right in _OPPOSITES
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is to compare in a text."""

    words: AbstractSet[str]
    """Stems of its words, and pairs of neighbouring Chinese characters."""
    pairs: AbstractSet[tuple[str, str]]
    """Neighbouring words, in order."""
    numbers: AbstractSet[str]
    names: AbstractSet[str]
    """Capitalised words, also at a sentence's beginning, in lower case."""
    inner_names: AbstractSet[str]
    """Those that do not begin the text."""
    plain: AbstractSet[str]
    """Its English words as they are, in lower case."""
    text: str
    negations: int


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Take a text apart."""
    order: list[str] = []
    plain: set[str] = set()
    names: set[str] = set()
    inner: set[str] = set()
    numbers = set(_numbers(text))
    for match in _WORD.finditer(text):
        word = match[0]
        low = word.lower()
        plain.add(low)
        if low in _SMALL_NUMBERS:
            numbers.add(_SMALL_NUMBERS[low])
        elif low not in _STOP:
            order.append(_stem(low))
        if word[0].isupper() and low not in _STOP:
            names.add(low)
            if match.start() > 0:
                inner.add(low)
    for run in _HAN.findall(text):
        order += [run[at : at + 2] for at in range(len(run) - 1)] or [run]
    return Reading(
        words=frozenset(order),
        pairs=frozenset(itertools.pairwise(order)),
        numbers=frozenset(numbers),
        names=frozenset(names),
        inner_names=frozenset(inner),
        plain=frozenset(plain),
        text=text,
        negations=len(_NEGATIONS.findall(text)),
    )


def features(claim: Reading, source: Reading) -> Sequence[float]:
    """One figure for each of NAMES."""
    clause = _nearest_clause(claim, source)
    return (
        _share(claim.words, source.words),
        _share(claim.words, clause.words),
        _missing(claim.numbers, source.numbers),
        _missing(claim.numbers, clause.numbers),
        _missing(claim.inner_names, source.names | source.plain),
        float((claim.negations > 0) != (clause.negations > 0)),
        float(_opposed(claim, clause)),
    )


def _share(wanted: AbstractSet[str], there: AbstractSet[str]) -> float:
    return len(wanted & there) / len(wanted) if wanted else 1.0


def _missing(wanted: AbstractSet[str], there: AbstractSet[str]) -> float:
    return min(1.0, len(wanted - there) * 0.5 + 0.5) if wanted - there else 0.0


def _nearest_clause(claim: Reading, source: Reading) -> Reading:
    """The part of the source that speaks of what the claim speaks of."""
    clauses = [clause for each in _CLAUSE.split(source.text) if (clause := each.strip())]
    return max(map(read, clauses), key=lambda each: _likeness(claim, each), default=source)


def _likeness(claim: Reading, clause: Reading) -> float:
    return (
        len(claim.words & clause.words)
        + len(claim.numbers & clause.numbers)
        + 0.1 * (len(claim.pairs & clause.pairs))
    )


def _opposed(claim: Reading, source: Reading) -> bool:
    """Whether the claim says the opposite of a word that the source has, and not the word too."""
    for left, right in _WORD_PAIRS:
        for said, other in ((left, right), (right, left)):
            if claim.plain & said and not source.plain & said and source.plain & other:
                return True
    for one, two in _HAN_PAIRS:
        for mine, its in ((one, two), (two, one)):
            if mine.search(claim.text) and not mine.search(source.text) and its.search(source.text):
                return True
    return False


def _numbers(text: str) -> list[str]:
    found = [_plain_number(each) for each in _NUMBER.findall(text)]
    # A lone 一 is mostly no number, unless a unit follows.
    written = (
        str(_han_value(match[0]))
        for match in _HAN_NUMBER.finditer(text)
        if len(match[0]) > 1 or _HAN_UNIT.match(text, match.end())
    )
    return [*found, *written]


def _plain_number(text: str) -> str:
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", text):
        return text.replace(",", "")
    return text.removesuffix(":00")


def _han_value(text: str) -> int:
    total = section = digit = 0
    for sign in text:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif _UNITS[sign] == _UNITS["万"]:
            total, section, digit = (total + section + digit) * _UNITS[sign], 0, 0
        else:
            section, digit = section + (digit or 1) * _UNITS[sign], 0
    return total + section + digit


def _stem(word: str) -> str:
    """The word without its common endings; only good for comparing."""
    word = word.replace("’", "'").removesuffix("'s")
    for ending, least in (("ations", 5), ("ation", 5), ("ings", 4), ("ing", 4), ("ied", 3), ("ies", 3), ("ed", 4), ("es", 4), ("ly", 4), ("s", 3), ("e", 4)):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= least:
            word = word[: -len(ending)]
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
    return word
