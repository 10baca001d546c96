"""Orders not to, such as services give their models: "Never write … about …", "… is not allowed".

By what stands around two words, in one sentence. Does not see a heading above a list ("Forbidden:").
"""

import re
from typing import Final

__all__ = ["is_prohibited"]

_VERB: Final = (
    r"(?:produc|generat|writ|creat|provid|output|describ|depict|includ|discuss|mak|giv|shar|show|draw|tell"
    r"|offer|return|continu|publish|engag|respond|answer|assist|help|compl[yi]|play|role-?play|pretend|begin"
    r"|start)(?:e|es|ing)?(?: (?:in|to|with))?"
)
_BEFORE = re.compile(
    r"(?:\b(?:never|(?:do|must|may|shall|should|will|are|is) not|don't|cannot|won't|not allowed"
    rf"|(?:must|may|should|will) never) (?:to )?(?:ever )?{_VERB}\b(?:, {_VERB}\b)*(?:,? (?:or|and) {_VERB}\b)?"
    r"|(?<!never )(?<!not )(?<!n't )(?<!not to )\b(?:refuse|decline|reject|avoid|block|filter)s?\b(?: to (?:write|produce|generate|create)\b)?"
    r"|\bno\b(?= (?:\w+ )?\Z))"
    r"(?:(?!\b(?:but|except|unless|only|instead|without|other than|rather|just|please|hesitate|stop|refuse"
    rf"|{_VERB})\b)[^;:]){{0,64}}\Z"
    r"|(?:不得|不可|不要|不准|不许|不允许|不应|严禁|绝不|切勿|请勿|避免|(?<![不要别勿])拒绝)"
    r"(?:(?!拒绝|但|除|只|直接|而是|请|停)[^，；：,;:]){0,24}\Z"
)
"""Up to the first of the two words; nothing that asks for something else may lie between."""
_BEHIND = re.compile(
    r"(?:(?! (?:it|that|this|which|even|if|though|although|because|where|who|when|and|but)\b) [a-z-]+){0,3}"
    r" (?:is|are)(?: strictly| absolutely| always| explicitly| never){0,2}"
    r" (?:prohibited|forbidden|disallowed|banned|not allowed|not permitted|unacceptable|off[- ]limits)\b"
    r"|[^，；：,;:写要]{0,8}?(?:是|均|一律|都)(?:不允许|不被允许|被禁止|严禁)"
)
_ASKS = re.compile(rf"\b{_VERB}\b|写|生成|描述|讲|画|继续")


def is_prohibited(before: str, behind: str) -> bool:
    """Whether a sentence forbids what it names.

    Args:
        before: the sentence up to the first of its words, folded.
        behind: what follows the last of them in it.
    """
    if _BEFORE.search(before):
        return True
    return _BEHIND.match(behind) is not None and not _ASKS.search(before)
