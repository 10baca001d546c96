"""Which files a service is read from, and whether any of them has changed.

Meant to be asked every second: a look costs one `stat` per file; a YAML file is read again only
when it has changed, to learn which files it names with `${file:…}`. Weights are not watched, nor
is the environment, which does not change under a running process.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from headrace.config.reference import named_files

__all__ = ["Fingerprint", "ServiceFiles"]

_Stamp: TypeAlias = tuple[int, int, int] | None
"""Modification time in ns, size in bytes and inode; None when the file is not there."""
Fingerprint: TypeAlias = tuple[tuple[str, _Stamp], ...]
"""Each file with its stamp. Equal fingerprints: nothing has changed."""

_DATASET = re.compile(r"""\bfrom:\s*["']?([^\s"'{},#]+\.jsonl)\b""")
"""A dataset that a prompt template takes its examples from, relative to the service's folder."""
_FOLDERS = ("prompts", "policies")


class ServiceFiles:
    """The files of the service in one folder."""

    def __init__(self, root: Path, also: Sequence[Path] = ()) -> None:
        """
        Args:
            also: further files that count, outside the folder.
        """
        self._root = root
        self._also = also
        self._named: dict[Path, tuple[_Stamp, list[Path]]] = {}
        """The files that each YAML file names, and the stamp it had when it was read."""

    def fingerprint(self) -> Fingerprint:
        """How the files stand now.

        Editors write in several moves, so a change is best acted on once two looks in a row
        agree.
        """
        stamps: dict[Path, _Stamp] = {}
        for path in self._yaml_files():
            stamps[path] = stamp = _stamp(path)
            for named in self._named_in(path, stamp):
                stamps.setdefault(named, _stamp(named))
        self._named = {path: known for path, known in self._named.items() if path in stamps}
        return tuple((str(path), stamp) for path, stamp in sorted(stamps.items()))

    def paths(self) -> list[Path]:
        """The files themselves, sorted; some may not be there."""
        return [Path(name) for name, _ in self.fingerprint()]

    def _yaml_files(self) -> list[Path]:
        found = [self._root / f"{name}.yaml" for name in ("headrace", "catalogue", "entities")]
        for folder in _FOLDERS:
            found += (self._root / folder).glob("*.yaml")
        return [*found, self._root / "entities.csv", *self._also]

    def _named_in(self, path: Path, stamp: _Stamp) -> list[Path]:
        known = self._named.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        named = [*named_files(text, path.parent), *(self._root / n for n in _DATASET.findall(text))]
        self._named[path] = (stamp, named)
        return named


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
