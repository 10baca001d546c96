"""Names with one typing error: a letter too many, too few, another one, or two exchanged.

Only names of seven letters and more in scripts with spaces: shorter ones are one letter away from
too many other words.
"""

import re
from collections.abc import Collection, Iterator

__all__ = ["Typos"]

_LEAST = 7
_MOST = 40
_KEPT = 3
_MOST_NAMES = 20_000
"""The index of errors takes about 3 kB for each name; with more names none are looked for."""
_WORD = re.compile(r"[^\W\d_\u3040-\u9fff]+(?:['-][^\W\d_\u3040-\u9fff]+)*|\d+")


class Typos:
    """Finds names that are written almost right."""

    def __init__(self, names: Collection[str]) -> None:
        self._names: dict[str, list[str]] = {}
        """By what is left when one letter is taken out, and by themselves."""
        # An error leaves the first three letters of a long name alone, or the last three.
        self._heads: set[str] = set()
        self._tails: set[str] = set()
        counts: set[int] = set()
        for name in names if len(names) <= _MOST_NAMES else ():
            words = _WORD.findall(name)
            if not _LEAST <= len(name) <= _MOST or " ".join(words) != name or len(words) > 4:
                continue
            counts.add(len(words))
            for variant in _shortened(name):
                self._names.setdefault(variant, []).append(name)
            self._heads.add(name[:_KEPT])
            self._tails.add(name[-_KEPT:])
        self._counts = sorted(counts)

    def find(self, folded: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and name of what is one error away from exactly one name."""
        if not self._counts:
            return
        words = [match.span() for match in _WORD.finditer(folded)]
        for index, (start, _) in enumerate(words):
            for count in self._counts:
                if index + count > len(words):
                    break
                end = words[index + count - 1][1]
                if end - start < _LEAST - 1 or end - start > _MOST:
                    continue
                kept = folded[start : start + _KEPT] in self._heads
                if kept or folded[end - _KEPT : end] in self._tails:
                    name = self._meant(folded[start:end])
                    if name:
                        yield start, end, name

    def _meant(self, written: str) -> str:
        near = {
            name
            for variant in _shortened(written)
            for name in self._names.get(variant, ())
            if name != written and _is_one_error(written, name)
        }
        # Plurals are not errors.
        near = {name for name in near if f"{name}s" != written}
        return near.pop() if len(near) == 1 else ""


def _shortened(name: str) -> Iterator[str]:
    yield name
    yield from {name[:at] + name[at + 1 :] for at in range(len(name))}


def _is_one_error(written: str, name: str) -> bool:
    at = 0
    while at < min(len(written), len(name)) and written[at] == name[at]:
        at += 1
    rest, wanted = written[at:], name[at:]
    if len(rest) == len(wanted):
        exchanged = rest[:2] == wanted[:2][::-1] and rest[2:] == wanted[2:]
        return rest[1:] == wanted[1:] or exchanged
    return rest[1:] == wanted if len(rest) > len(wanted) else rest == wanted[1:]
