"""What is looked up for a message: its own words, and for a short follow-up those before it.

No model is asked, so this costs microseconds. What it does not do: resolve "the second one" or
translate; a follow-up is searched together with the question that it follows.
"""

import re

__all__ = ["MOST_CHARACTERS", "is_small_talk", "query_of"]

MOST_CHARACTERS = 1_000
"""Of a message that are searched with: its end, where in long messages the question stands."""
_SHORT_WORDS = 5
_SHORT_HAN = 10
_HAN = re.compile(r"[\u3400-\u9fff]")
_WORD = re.compile(r"\w+")
_FOLLOWS = re.compile(
    r"(?:and|but|or|so|what about|how about|also|then|why|it|its|that|this|these|those|they|them"
    r"|he|she|his|her|there|same|else|more|another)\b"
    r"|那么?|这|它|他|她|还有?|以及|另外|然后|为什么|呢|其中|上面|刚才",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|he|him|she|her|that one|this one|those|these|there)\b"
    r"|它们?|他们?|她们?|这个|那个|这些|那些|呢[？?]?$",
    re.IGNORECASE,
)
_SMALL_TALK = re.compile(
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening|night)|thanks?(?: you)?(?: (?:so|very) much)?"
    r"|thx|ok(?:ay)?|great|perfect|nice|cool|bye|goodbye|see you|how are you|who are you"
    r"|你好|您好|嗨|早上好|下午好|晚上好|谢谢(?:你|您)?|多谢|好的?|再见|拜拜|你是谁|嗯)"
    r"(?:[\s,，!！.。~?？:：;)]*(?:there|all|everyone|again|啊|呀|了|吗)?)[\s!！.。~?？]*",
    re.IGNORECASE,
)


def is_small_talk(text: str) -> bool:
    """Whether a message only greets or thanks, so that nothing need be looked up."""
    return not text.strip() or _SMALL_TALK.fullmatch(text.strip()) is not None


def query_of(text: str, previous: str) -> str:
    """What to search with.

    Args:
        previous: the user's question before this one; empty for none.
    """
    text = text.strip()[-MOST_CHARACTERS:]
    previous = previous.strip()[-MOST_CHARACTERS:]
    return f"{previous}\n{text}" if previous and _is_follow_up(text) else text


def _is_follow_up(text: str) -> bool:
    han = len(_HAN.findall(text))
    words = len(_WORD.findall(text))
    if (han or words) <= (2 if not han else 4):
        return True
    is_short = han <= _SHORT_HAN if han else words <= _SHORT_WORDS
    points_back = _FOLLOWS.match(text) is not None or _POINTS_BACK.search(text) is not None
    return points_back and (is_short or (han <= 2 * _SHORT_HAN and words <= 2 * _SHORT_WORDS))
