"""Longer Chinese words that hold a short name by chance: 阿里 in 阿里山, 小米 in 小米粥.

Chinese is written without spaces, so a name of two signs is found in many words that have nothing
to do with it. The words are those of jieba's dictionary (tools/build_chinese_words.py); what it
does not know (青龙偃月刀) still misleads, and so do words that only overlap (人工 in 工人工资).
"""

import lzma
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["LongerWords", "is_short", "longer_words"]

_FILE = Path(__file__).with_name("chinese_words.xz")
_HAN = re.compile("[\u4e00-\u9fff]+")
_MOST = 2
"""Signs of a name that is short."""
_HEADS = (
    "公司", "集团", "手机", "电脑", "汽车", "银行", "股份", "科技", "总部", "官网", "平台", "系统",
    "产品", "市", "省", "县", "区", "人", "话", "语", "站", "店",
)  # fmt: skip
"""What may stand behind a name and leave it the same name: 苹果电脑, 上海市."""


def is_short(name: str) -> bool:
    return len(name) <= _MOST and bool(_HAN.fullmatch(name))


@dataclass(frozen=True, slots=True)
class LongerWords:
    """The longer words that hold one name."""

    words: frozenset[str]
    places: tuple[tuple[int, int], ...]
    """Where in them the name begins, and how long they are."""

    def hold(self, text: str, start: int) -> bool:
        """Whether the name at `start` is part of one of them."""
        return any(
            start >= at and text[start - at : start - at + length] in self.words
            for at, length in self.places
        )


@lru_cache(maxsize=4)
def longer_words(names: frozenset[str]) -> Mapping[str, LongerWords]:
    """For each name of two signs the longer words that hold it, if there are any.

    Reads 61,849 words: about 25 ms, once for each set of names.
    """
    if not names:
        return {}
    words: dict[str, set[str]] = {}
    places: dict[str, set[tuple[int, int]]] = {}
    for word in lzma.decompress(_FILE.read_bytes()).decode().split("\n"):
        for at in range(len(word) - 1):
            name = word[at : at + 2]
            if name in names and not (at == 0 and word[2:] in _HEADS):
                words.setdefault(name, set()).add(word)
                places.setdefault(name, set()).add((at, len(word)))
    return {
        name: LongerWords(frozenset(found), tuple(sorted(places[name])))
        for name, found in words.items()
    }
