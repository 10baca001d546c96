"""Attacks that no single message shows: asked again after a refusal, or given in pieces.

Looks at what users said, the last `MOST` messages of theirs, and whether the model refused in
between. English and Chinese. Does not catch: patient conversations in which each step is harmless,
nor the model's own drift.
"""

import re
from collections.abc import Sequence

from headrace.screening.injection.assessment import Assessment, assess
from headrace.types import Message

__all__ = ["MOST", "assess_conversation"]

MOST = 6
_EACH = 2000
"""Characters of each message that count."""
_PUSH = 0.35
"""What asking again in another dress counts, each time."""
_DRIFT = 0.6
"""How much a suspicion about an earlier message counts now."""
_REFUSES = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can't|cannot|can not|won't|will not|must decline)"
    r"|(?:against|violates) (?:my|the|our)|as an ai|not (?:able|allowed|comfortable)|stopped by a content policy)\b"
    r"|抱歉|对不起|我不能|我无法|不方便|因内容政策",
    re.IGNORECASE,
)
_PUSHES = re.compile(
    r"\b(?:hypothetical\w*|pretend|imagine|role-?play|fiction\w*|in a (?:story|novel|movie|game)|as a character"
    r"|for (?:research|education\w*|academic|testing|a friend)|just (?:tell|give|say|answer|this once)|anyway"
    r"|you (?:can|must|have to|are able|already|just)|why not|come on|try again|no one will know|it'?s (?:ok|okay|fine|legal)"
    r"|i(?:'m| am) (?:the|your|an?) (?:admin\w*|developer|owner|doctor|professor|police|researcher)"
    r"|more (?:detail|specific|explicit)|step[- ]by[- ]step|continue|go on|skip the (?:warning|disclaimer))\b"
    r"|假设|假装|想象|小说|故事|扮演|为了(?:研究|学术|教学)|你(?:可以|必须|能)|继续|更(?:详细|具体)|没关系|我是(?:管理员|开发者|医生|警察)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]{4,}|[\u3400-\u9fff]")


def assess_conversation(messages: Sequence[Message]) -> Assessment | None:
    """What the turns together show; its span is the whole last message. None: nothing beyond what
    each message shows by itself, or the last message is not a user's."""
    if not messages or messages[-1].role != "user":
        return None
    asked = [each.text()[:_EACH] for each in messages if each.role == "user"][-MOST:]
    if len(asked) < 2:
        return None
    alone = [_score(each) for each in asked]
    harmless = 1.0 - alone[-1]
    reasons: list[str] = []
    for score in alone[:-1]:
        harmless *= 1.0 - _DRIFT * score
    if max(alone[:-1]) >= 0.5:
        reasons.append("earlier messages were like attacks")
    pushes = _pushes(messages)
    if pushes:
        harmless *= (1.0 - _PUSH) ** pushes
        reasons.append(f"asked again after a refusal, {pushes} times")
    joined = _score("\n".join(asked))
    if joined >= 0.5 and joined > 1.3 * max(alone):
        harmless *= 1.0 - joined
        reasons.append("the messages make an attack when they are put together")
    score = 1.0 - harmless
    if not reasons or score <= alone[-1]:
        return None
    return Assessment(round(score, 4), 0, len(messages[-1].text()), "; ".join(reasons))


def _score(text: str) -> float:
    found = assess(text)
    return found.score if found is not None and found.score >= 0.2 else 0.0


def _pushes(messages: Sequence[Message]) -> int:
    """How often a user went on at what the model had just refused."""
    count = 0
    before = ""
    refused = False
    for each in messages:
        text = each.text()[:_EACH]
        if each.role == "assistant":
            refused = bool(_REFUSES.search(text[:300]))
        elif each.role == "user":
            if refused and (_PUSHES.search(text) or _alike(before, text)):
                count += 1
            before = text
            refused = False
    return min(count, MOST)


def _alike(one: str, other: str) -> bool:
    """Whether half of the shorter one's words stand in the other."""
    first, second = ({word.lower() for word in _WORD.findall(each)} for each in (one, other))
    shared = len(first & second)
    return shared >= 3 and 2 * shared >= min(len(first), len(second))
