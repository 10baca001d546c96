"""Longer Chinese words that hold a short name by chance: 阿里 in 阿里山, 小米 in 小米粥.

Chinese is written without spaces, so a name of two signs is found in many words that have nothing
to do with it. The words are those of jieba's dictionary (tools/build_chinese_words.py); what it
does not know (青龙偃月刀) still misleads, and so do words that only overlap (人工 in 工人工资).
"""

import lzma
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

__all__ = ["is_short", "longer_words", "stands_inside"]

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


@lru_cache(maxsize=4)
def longer_words(names: frozenset[str]) -> Mapping[str, Sequence[str]]:
    """For each short name the longer words that hold it, if there are any.

    Reads 59,000 words: about 50 ms, once for each set of names.
    """
    if not names:
        return {}
    found: dict[str, list[str]] = {}
    for word in lzma.decompress(_FILE.read_bytes()).decode().split("\n"):
        for at in range(len(word) - 1):
            name = word[at : at + 2]
            if name in names and not (at == 0 and word[2:] in _HEADS):
                found.setdefault(name, []).append(word)
    return found


def stands_inside(text: str, start: int, words: Sequence[str], name: str) -> bool:
    """Whether the name at `start` is part of one of the longer words."""
    for word in words:
        at = word.find(name)
        while at >= 0:
            if start >= at and text.startswith(word, start - at):
                return True
            at = word.find(name, at + 1)
    return False
