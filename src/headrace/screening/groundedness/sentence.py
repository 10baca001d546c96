"""A text in sentences, in English and Chinese, and which of them claim something.

Not for other scripts without spaces (Thai, say), and abbreviations with a point in the middle of a
sentence ("approx. 5") may cut it in two.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Sentence", "sentences", "windows"]

_END = re.compile(
    r"(?<!\b[A-Z])(?<!\b(?:Mr|Dr|St|No|vs))(?<!\b(?:Mrs|etc))(?<!\b(?:e\.g|i\.e))"
    r"[.!?]+[\"'”’)]*(?:\s?\[\d{1,3}\])*(?=\s|$)"
    r"|[。！？!?]+[”’」』）]*(?:\s?\[\d{1,3}\])*|\n+"
)
_MARKER = re.compile(r"\s?\[\d{1,3}\]")
_DECORATION = re.compile(r"^[\s>#*_\-+•·|]+|^\d{1,3}[.)、]\s+")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_WORD = re.compile(r"\w+")
_LEAST_LETTERS = 4
_NO_CLAIM = re.compile(
    r"\b(?:i|we) (?:do not|don't|cannot|can't|could not|couldn't) (?:know|find|tell|answer|say|help)\b"
    r"|\b(?:passages?|sources?|documents?|texts?|context|information)(?: \w+){0,3}? (?:do|does|did)(?: not|n't)"
    r" (?:say|mention|contain|answer|provide|hold|state|specify|include|cover|tell)"
    r"|\b(?:is|are) not (?:mentioned|stated|specified|covered|given|answered|in the (?:passages|sources))"
    r"|^(?:hello|hi|sure|certainly|of course|thanks|thank you|you're welcome|here (?:is|are)"
    r"|let me know|i hope|feel free|please let|if you have)\b"
    r"|(?:资料|文中|上述内容|来源|文档)[^。]{0,8}(?:没有|未|并未|不)(?:提到|提及|说明|回答|包含|涉及|给出)"
    r"|(?:我)?(?:不知道|不清楚|无法(?:回答|确定|判断))|^(?:你好|您好|好的|当然|希望|如有|如果您)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, with its place in the text."""

    start: int
    end: int
    text: str
    """Without markers of citations and list signs."""

    @property
    def claims(self) -> bool:
        """Whether it says something that a source could support."""
        if self.text.endswith(("?", "？", ":", "：")) or len(_WORD.findall(self.text)) == 0:
            return False
        letters = sum(map(str.isalnum, self.text))
        return letters >= _LEAST_LETTERS and _NO_CLAIM.search(self.text) is None


def sentences(text: str) -> list[Sentence]:
    """All sentences of a Markdown text but those in blocks of code."""
    found: list[Sentence] = []
    plain = _CODE.sub(lambda code: "\n" * len(code[0]), text)
    start = 0
    ends = [match.end() for match in _END.finditer(plain)]
    for end in (*ends, len(plain)):
        raw = plain[start:end]
        stripped = raw.strip()
        if stripped:
            begin = start + raw.index(stripped[0])
            words = _DECORATION.sub("", _MARKER.sub("", stripped)).strip(" *_")
            if words:
                found.append(Sentence(begin, begin + len(stripped), words))
        start = end
    return found


def windows(text: str, size: int = 3) -> Sequence[str]:
    """Runs of neighbouring sentences, each sentence in the middle of one: what a claim may stand
    on without the whole text speaking for it."""
    parts = [each.text for each in sentences(text)]
    if len(parts) <= size:
        return [" ".join(parts)] if parts else []
    return [" ".join(parts[at : at + size]) for at in range(len(parts) - size + 1)]
