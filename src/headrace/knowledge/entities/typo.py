"""Names with one typing error: a letter too many, too few, another one, or two exchanged.

Only names of seven letters and more in scripts with spaces: shorter ones are one letter away from
too many other words.
"""

import re
from collections.abc import Iterable, Iterator

__all__ = ["Typos"]

_LEAST = 7
_MOST = 40
_WORD = re.compile(r"[^\W\d_\u3040-\u9fff]+(?:['-][^\W\d_\u3040-\u9fff]+)*|\d+")


class Typos:
    """Finds names that are written almost right."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, list[str]] = {}
        """By what is left when one letter is taken out, and by themselves."""
        self._ends: set[tuple[str, int]] = set()
        counts: set[int] = set()
        for name in names:
            words = _WORD.findall(name)
            if not _LEAST <= len(name) <= _MOST or " ".join(words) != name or len(words) > 4:
                continue
            counts.add(len(words))
            for variant in _shortened(name):
                self._names.setdefault(variant, []).append(name)
            for length in (len(name) - 1, len(name), len(name) + 1):
                self._ends |= {(f"<{name[0]}", length), (f">{name[-1]}", length)}
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
                length = end - start
                if (f"<{folded[start]}", length) in self._ends or (
                    f">{folded[end - 1]}", length,
                ) in self._ends:  # fmt: skip
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
