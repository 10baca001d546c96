"""Writes `knowledge/entities/chinese_words.xz`: `python tools/build_chinese_words.py DICT`.

DICT is `jieba/dict.txt` of jieba 0.42.1 (MIT licence, Copyright (c) 2013 Sun Junyi): a word, its
frequency and its kind in each line. Kept: words of three to six signs that were seen five times.
"""

import lzma
import re
import sys
from pathlib import Path

OUT = Path(__file__).parent.parent / "src/headrace/knowledge/entities/chinese_words.xz"
LEAST_SEEN = 5
WORD = re.compile("[\u4e00-\u9fff]{3,6}")


def main(source: Path) -> None:
    words = set()
    for line in source.read_text("utf-8").splitlines():
        word, seen, *_ = line.split(" ")
        if int(seen) >= LEAST_SEEN and WORD.fullmatch(word):
            words.add(word)
    packed = lzma.compress("\n".join(sorted(words)).encode(), preset=9 | lzma.PRESET_EXTREME)
    OUT.write_bytes(packed)
    sys.stdout.write(f"{len(words):,} words, {len(packed):,} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
