"""Scores between 0 and 1 that only compare texts: exact, contains, regex, numeric, ROUGE-L, chrF,
BLEU.

Words of Chinese and Japanese are not segmented: each sign counts as a word, as in sacrebleu's
tokenizer `zh`. A score never judges what a text means.
"""

import math
import re
import unicodedata
from collections import Counter

__all__ = ["bleu", "chrf", "contains", "exact", "numeric", "regex", "rouge_l", "words"]

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]|[^\W_]")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")
_BLEU_ORDER = 4
_ORDER = 6
_BETA = 2.0
"""chrF2, sacrebleu's default: recall counts twice as much as precision."""


def exact(answer: str, target: str) -> float:
    """1 when both are the same text but for case, width and white space."""
    return float(_folded(answer) == _folded(target))


def contains(answer: str, target: str) -> float:
    """1 when the answer holds the target, case, width and white space aside."""
    return float(_folded(target) in _folded(answer))


def regex(answer: str, pattern: str) -> float:
    """1 when the pattern is found anywhere.

    Raises:
        re.error: the pattern is none.
    """
    return float(re.search(pattern, answer) is not None)


def numeric(answer: str, target: float, *, tolerance: float = 0.0) -> float:
    """1 when the last number of the answer is within `tolerance` (absolute) of the target."""
    found = _NUMBER.findall(unicodedata.normalize("NFKC", answer).replace("\u2212", "-"))
    if not found:
        return 0.0
    return float(abs(float(found[-1].replace(",", "")) - target) <= tolerance)


def rouge_l(answer: str, target: str) -> float:
    """The F1 of the longest common subsequence of words (Lin 2004)."""
    one, two = words(answer), words(target)
    if not one or not two:
        return float(one == two)
    row = [0] * (len(two) + 1)
    for left in one:
        before = 0
        for at, right in enumerate(two, start=1):
            kept = row[at]
            row[at] = before + 1 if left == right else max(kept, row[at - 1])
            before = kept
    return 2 * row[-1] / (len(one) + len(two))


def chrf(answer: str, target: str) -> float:
    """chrF2 over character n-grams up to 6 (Popović 2015), orders absent from either left out."""
    one, two = "".join(answer.split()), "".join(target.split())
    precisions, recalls = [], []
    for order in range(1, min(_ORDER, len(one), len(two)) + 1):
        left, right = _grams(one, order), _grams(two, order)
        common = (left & right).total()
        precisions.append(common / left.total())
        recalls.append(common / right.total())
    if not precisions:
        return float(one == two)
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    if precision + recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (_BETA**2 * precision + recall)


def bleu(answer: str, target: str) -> float:
    """BLEU-4 of one sentence over `words`, with sacrebleu's default smoothing (`exp`).

    Orders longer than the answer are left out, as sacrebleu does for single sentences.
    """
    one, two = words(answer), words(target)
    if not one or not two:
        return float(one == two)
    total, orders, smooth = 0.0, 0, 1.0
    for order in range(1, _BLEU_ORDER + 1):
        left = Counter(zip(*(one[at:] for at in range(order)), strict=False))
        if not left:
            break
        orders = order
        common = (left & Counter(zip(*(two[at:] for at in range(order)), strict=False))).total()
        if not common:
            smooth *= 2
        total += math.log((common or 1 / smooth) / left.total())
    brevity = min(0.0, 1 - len(two) / len(one))
    # No common word at all is worth nothing, whatever smoothing would say.
    return math.exp(brevity + total / orders) if set(one) & set(two) else 0.0


def words(text: str) -> list[str]:
    """Words in lower case; each Chinese or Japanese sign is one."""
    found: list[str] = []
    end = -1
    for match in _WORD.finditer(_folded(text)):
        sign = match.group()
        joins = match.start() == end and not _is_sign(sign) and not _is_sign(found[-1])
        if joins:
            found[-1] += sign
        else:
            found.append(sign)
        end = match.end()
    return found


def _is_sign(text: str) -> bool:
    return text[-1] >= "\u3040" and not "\uac00" <= text[-1] <= "\ud7ff"


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))
