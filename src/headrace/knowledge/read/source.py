"""Sources: the files below a folder, and the bytes of one.

Hidden files, build leftovers and links that leave the folder are passed over.
"""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from os import walk
from pathlib import Path

from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.settings import ReadSettings

__all__ = ["Source", "find_sources", "load_file"]

_JUNK = frozenset(
    {"node_modules", "__pycache__", "venv", "build", "dist", "target", "Thumbs.db", "desktop.ini"}
)
_MEGA = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The bytes of one source, and what is known of them from outside."""

    uri: str
    data: bytes
    media_type: str = ""
    """What the server said it is; empty for files."""
    etag: str = ""
    last_modified: str = ""


def find_sources(folder: Path, globs: Sequence[str] = ("*",)) -> Iterator[Path]:
    """The files below `folder` whose path or name matches one of `globs`, in order.

    A link to a file inside the folder is followed; one that leaves it is not, nor any to a folder.
    """
    root = folder.resolve()
    for at, folders, names in walk(root):
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        for name in sorted(names):
            path = Path(at) / name
            inside = path.resolve().is_relative_to(root)
            if _is_junk(name) or not inside or not path.is_file():
                continue
            below = path.relative_to(root).as_posix()
            if any(fnmatch(below, glob) or fnmatch(name, glob) for glob in globs):
                yield path


def load_file(path: Path, settings: ReadSettings, uri: str = "") -> Source:
    """The file's bytes; never more of them than `max_mb`.

    Raises:
        UnreadableDocument: missing, no plain file, not permitted or too large.
    """
    name = uri or str(path)
    limit = int(settings.max_mb * _MEGA)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableDocument(f"{name}: not a plain file", hint="name a file or a folder")
        with path.open("rb") as file:
            size = path.stat().st_size
            data = file.read(limit + 1) if size <= limit else b""
    except OSError as error:
        raise UnreadableDocument(
            f"{name}: cannot be read: {error.strerror}",
            hint="check the path and its permissions",
        ) from error
    if size > limit or len(data) > limit:
        raise UnreadableDocument(
            f"{name}: {size:,} bytes, more than {limit:,}",
            hint="split the file, or raise knowledge.read.max_mb",
        )
    return Source(uri=name, data=data)


def _is_junk(name: str) -> bool:
    return name.startswith((".", "~$")) or name in _JUNK
