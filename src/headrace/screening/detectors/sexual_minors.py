"""Sexual content that involves minors. Rules alone: there is no data to learn it from, rightly."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.screening.content.kind import FLOOR_KIND as KIND
from headrace.screening.content.prohibition import is_prohibited
from headrace.screening.detectors.term import fold
from headrace.screening.finding import Span

__all__ = ["SexualMinorsDetector"]

_END = re.compile(r"[!?\n。！？；]|[.;]\s")
_MINOR = re.compile(
    r"\b(?:(?:[3-9]|1[0-7])[- ]?(?:years?|yrs?|yo)\b(?:[- ]?old)?|(?:[3-9]|1[0-7]) ?y/?o|under ?aged?\b"
    r"|minors?\b(?! (?:scale|key|league|change|version|issue|detail|injur|role))"
    r"|child(?:ren)?\b|kids?\b|kiddie|toddlers?|pre-?teens?|schoolgirls?|schoolboys?|little (?:girls?|boys?)|young (?:girls?|boys?)\b"
    r"|lolis?\b|lolicon|shota(?:con)?\b|jailbait|(?:middle|elementary|primary) school(?:er|ers| students?)|teen(?:age)? (?:girls?|boys?))"
    r"|(?:[3-9]|1[0-7]|(?<!十)[三四五六七八九十]|十[一二三四五六七])岁|未成年|小学生|初中生|高中生|中学生|儿童|孩子|小孩|幼女|幼童|萝莉|正太|小女孩|小男孩|少女|女童|男童"
)
_SEXUAL = re.compile(
    r"\b(?P<strong>porn\w*|erotic\w*|nudes\b|(?:nude|naked) (?:pics?|pictures?|photos?|videos?|images?|bod(?:y|ies))|hentai|blow ?job|fuck\w*"
    r"|masturbat\w*|orgasm\w*|horny|seduc\w*|undress\w*|nsfw|smut|pedo\w*|csam|sexually explicit|sexualiz\w*|sexualis\w*"
    r"|sex(?:ual)? (?:scenes?|story|stories|acts?|fantas\w*|tapes?|videos?|roleplay|relationship|relations|contact|encounters?))"
    r"|\b(?:sex(?:ual(?:ly)?|y)?\b|nude\b|naked\b(?! (?:mole|eye))|molest\w*|rape[ds]?\b|raping|lust\w*)"
    r"|(?P<han>色情|做爱|性爱|性交|淫|黄片|情色|床戏|口交|挑逗|勾引|自慰|性行为|露骨|裸照)|裸体|强奸|猥亵|性感"
)
_PROTECTS = re.compile(
    r"\b(?:prevent\w*|protect\w*|report(?:ing|ed|s)?|victims?|survivors?|abuse[ds]?|abuser|assault\w*|laws?|legal\w*|illegal|crimes?|convicted|charged|arrested"
    r"|court|police|sentenced?|education|educat\w+|curriculum|therap\w+|counsel\w*|hotline|awareness|safeguard\w*|grooming|trafficking|exploit\w+"
    r"|parents?|teach\w*|doctors?|health|puberty|combat\w*|detect\w*|against|research\w*|stud(?:y|ies)|policy|statistics|allegations?|scandal"
    r"|sexual (?:revolution|orientation|identity|dimorphism|reproduction)|same[- ]sex|sex (?:of (?:the|your|my|a)|at birth|ratio)|(?:of )?(?:either|both|the opposite) sex)\b"
    r"|预防|保护|防止|防范|举报|受害|性侵|侵害|法律|犯罪|判处|被告|法院|警方|性教育|教育|家长|老师|医生|健康|青春期|治疗|心理|救助|打击|严惩|热线|研究|报道|案件|禁止"
)
_NEEDS = (
    "sex", "porn", "erotic", "nude", "naked", "hentai", "blow", "fuck", "masturbat", "orgasm", "horny", "seduc", "molest", "rape", "raping",
    "undress", "lust", "nsfw", "smut", "pedo", "csam", "色情", "做爱", "性", "裸", "淫", "黄片", "情色", "床", "口交", "强奸", "猥亵", "挑逗",
    "勾引", "自慰", "露骨",
)  # fmt: skip
_HINT = re.compile(
    r"[^a-z_\u3400-\u9fff](?:blow ?j|c(?:hild|sam)|e(?:rotic|lementary s)|fuck|h(?:entai|orny)|jailb|kid|l(?:ittle [gb]|oli|ust)"
    r"|m(?:asturb|iddle s|inor|olest)|n(?:aked|sfw|ude)|orgas|p(?:edo|orn|re-?teen|rimary s)|rap[ei]"
    r"|s(?:chool[gb]|educ|ex|hota|mut)|t(?:een|oddl)|und(?:er ?age|ress)|young [gb]|(?<=[0-9])[- ]?y)"
)
"""How every one of the Latin words begins, and the character before it; of an age, its last digit. The
set in front is what makes it quick: the engine tries the rest where a word begins, and nowhere else."""
_HAN = re.compile(
    "色情|做爱|性爱|性交|淫|黄片|情色|床戏|口交|挑逗|勾引|自慰|性行为|露骨|裸照|裸体|强奸|猥亵|性感"
    "|岁|未成年|小学生|初中生|高中生|中学生|儿童|孩子|小孩|幼女|幼童|萝莉|正太|小女孩|小男孩|少女|女童|男童"
)
"""The Chinese ones; of an age, how it ends."""
_HINTED = 28
"""Characters before a piece in which the word that ends in it begins, or the first of several."""
_APART = 90
"""Characters that may lie between the two, and behind them count for what the sentence is about."""
_AHEAD = _APART + 16
"""Characters behind the second word that decide about it."""
_BACK = 200
_CLOSE = 10
"""Characters between the two, up to which a mild word counts like a strong one."""
_BELOW = 0.55
"""Score of sentences about protection, law, education and medicine, and of orders not to: below the
floor."""
_MILD = 0.6
"""Score of words that are sexual only now and then ("naked"), and not right beside the other."""
_TAIL = re.compile(r"[a-z0-9'/]{0,24}(?:[ \-][a-z0-9'/]{1,24}){0,2}")
"""What may become a word of the other sort, from the end: of letters the last three."""
_HAN_TAIL = re.compile(r"[\u3400-\u9fff0-9]{0,4}")
"""Of Han signs four."""


@dataclass(frozen=True, slots=True)
class _Second:
    """The second word of a pair, and the sentence around it."""

    first: int
    """Where the first word begins."""
    begin: int
    end: int
    sentence: int
    """Where what counts of its sentence begins."""
    ended: int
    """Where it ends, or -1: not yet."""
    score: float


class SexualMinorsDetector:
    """Finds a sexual word and one for a minor in one sentence, shortly behind one another; the
    match is the second of them.

    No policy can switch this off (content/floor.py), so it holds next to nothing of a stream back:
    while a sentence has one of the two, what may become the other; and a second one until its
    sentence is clear. Does not catch: ages that another sentence tells, and what says neither age
    nor act.
    """

    name = "sexual_minors"
    kinds = (KIND,)
    languages = ("en", "zh")
    cost_us = 10
    window = _AHEAD + 32

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        base = max(0, start - _BACK)
        folded = fold(text[base:])
        if not any(need in folded for need in _NEEDS):
            return
        for each in _seconds(folded):
            if base + each.begin < start:
                continue
            upto = min(each.ended if each.ended >= 0 else len(folded), each.end + _APART)
            is_below = _PROTECTS.search(folded, each.sentence, upto) or is_prohibited(
                folded[each.sentence : each.first], folded[each.end : upto]
            )
            yield Span(KIND, base + each.begin, base + each.end, _BELOW if is_below else each.score)

    def scores(self, text: str) -> dict[str, float]:
        """The highest score anywhere in a text."""
        return {KIND: max((span.score for span in self.detect(text)), default=0.0)}

    def alert(self, text: str, start: int) -> bool:
        """Whether one of the two words ends in what begins at `start` (see plain.py)."""
        return _has_term(fold(text[max(0, start - _HINTED) :]), 0)

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        base = max(0, min(start, size - _BACK) - _BACK)
        folded = fold(text[base:])
        for each in _seconds(folded) if _has(folded, _NEEDS) else ():
            if base + each.begin >= start and each.ended < 0 and size - base < each.end + _AHEAD:
                return base + each.begin
        if not _has_term(folded, max(0, size - base - _AHEAD)):
            return size
        backward = folded[:-80:-1]
        tails = (_TAIL.match(backward), _HAN_TAIL.match(backward))
        return max(start, size - max(tail.end() for tail in tails if tail))


def _has(folded: str, needs: tuple[str, ...]) -> bool:
    # A loop, and no generator: this runs for every piece of every answer.
    for need in needs:  # noqa: SIM110
        if need in folded:
            return True
    return False


def _has_term(folded: str, at: int) -> bool:
    """Whether one of the two words begins at `at` or later; of an age in Chinese, whether it ends."""
    if not folded.isascii() and _HAN.search(folded, at):
        return True
    if at == 0:
        folded, at = f" {folded}", 1
    hint = _HINT.search(folded, at - 1)
    while hint is not None:
        before = hint.start()
        if _SEXUAL.match(folded, before + 1) or _MINOR.match(folded, before + 1):
            return True
        if folded[before].isdigit() and any(
            _MINOR.match(folded, begin) for begin in (before, before - 1) if begin >= at
        ):
            return True
        hint = _HINT.search(folded, before + 1)
    return False


def _seconds(folded: str) -> list[_Second]:
    """The second words of pairs, in order."""
    terms = [
        (match.start(), match.end(), True, bool(match["strong"] or match["han"]))
        for match in _SEXUAL.finditer(folded)
    ]
    if not terms:
        return []
    terms += [(match.start(), match.end(), False, False) for match in _MINOR.finditer(folded)]
    ends = [match.end() for match in _END.finditer(folded)]
    found: list[_Second] = []
    last: dict[bool, tuple[int, int, bool]] = {}
    at = 0
    for begin, end, is_sexual, is_strong in sorted(terms):
        while at < len(ends) and ends[at] <= begin:
            at += 1
        sentence = max(ends[at - 1] if at else 0, begin - _APART)
        other, other_end, other_strong = last.get(not is_sexual, (-1, -1, False))
        if other >= sentence:
            near = begin - other_end <= _CLOSE
            score = 0.95 if is_strong or other_strong else 0.8 if near else _MILD
            ended = ends[at] if at < len(ends) else -1
            found.append(_Second(other, begin, end, sentence, ended, score))
        last[is_sexual] = (begin, end, is_strong)
    return found
