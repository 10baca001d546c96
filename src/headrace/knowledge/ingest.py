"""Bringing the index up to date with its sources: only what is new or changed is read.

A source that cannot be read is reported; documents of it that were read before stay. A file that
is not there any more vanishes. Nothing is visible before all of it is.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.errors import HeadraceError
from headrace.knowledge.chunk.chunk import chunk
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.index.cache import text_digest
from headrace.knowledge.index.entry import Entry, Item
from headrace.knowledge.index.place import Cache, Store
from headrace.knowledge.index.store import guarded
from headrace.knowledge.read.read import read
from headrace.knowledge.read.source import Source, find_sources, load_file
from headrace.knowledge.settings import KnowledgeSection, SourceSettings
from headrace.types import Embedder

__all__ = ["Advance", "Fetch", "Report", "Unread", "sync"]

Advance: TypeAlias = Callable[[str, int, int], None]
"""Called with what is done (`read`, `embed`), how many, and of how many."""
Fetch: TypeAlias = Callable[[str, str, str], Awaitable[Source | None]]
"""Loads a URL, given the ETag and date it had; None: it has not changed."""

BATCH = 64
"""Texts that are embedded, and kept, at a time: what a kill can cost."""
_FORMAT = 2
"""Changes when a new Headrace reads or cuts in another way."""

_log = logging.getLogger(__name__)


class Unread(msgspec.Struct, frozen=True):
    """A source that could not be read, and why."""

    source: str
    reason: str
    hint: str = ""


@dataclass(slots=True)
class Report:
    """What a sync has done."""

    version: str = ""
    changed: bool = False
    unchanged: int = 0
    """Files and addresses."""
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    chunks: int = 0
    """Of what was added and updated."""
    embedded: int = 0
    """Texts that the model embedded; the others were known."""
    truncated: int = 0
    """Of those, the ones of which the model reads only the beginning, as far as it says so."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One file or address that a source names now."""

    origin: str
    uri: str
    source: SourceSettings


async def sync(
    store: Store,
    cache: Cache,
    embedder: Embedder,
    settings: KnowledgeSection,
    root: Path,
    *,
    fetch: Fetch | None = None,
    advance: Advance | None = None,
) -> Report:
    """Make the index what its sources are now.

    Args:
        root: the service's folder, that paths are relative to.

    Raises:
        KnowledgeUnusable: the index cannot be written; the last version stays.
        ModelUnavailable: nothing can be embedded; what was, is kept.
    """
    return await _Sync(store, cache, embedder, settings, root, fetch, advance).run()


class _Sync:
    def __init__(
        self,
        store: Store,
        cache: Cache,
        embedder: Embedder,
        settings: KnowledgeSection,
        root: Path,
        fetch: Fetch | None,
        advance: Advance | None,
    ) -> None:
        self._store, self._cache, self._embedder = store, cache, embedder
        self._settings, self._root, self._fetch = settings, root, fetch
        self._advance = advance or (lambda what, done, total: None)
        self._report = Report()
        self._entries: list[Entry] = []
        self._items: list[Item] = []
        self._told: list[tuple[str, SourceSettings]] = []
        self._away: set[str] = set()
        """Sources that may be away for a while only."""
        self._lost: list[str] = []
        """Origins that cannot be read and whose vectors are of another model."""

    async def run(self) -> Report:
        with guarded(Path("knowledge")):
            self._store.announce()
            known = self._store.items()
            fresh = self._store.meta("embedder") in ("", self._embedder.id)
            places = {place.origin: place for place in self._places(known)}
            for done, place in enumerate(places.values(), 1):
                await self._look(place, known.get(place.origin), fresh=fresh)
                self._advance("read", done, len(places))
            gone = [
                origin
                for origin, item in known.items()
                if origin not in places and not (fresh and item.source in self._away)
            ]
            gone += self._lost
            self._report.removed = [known[origin].uri for origin in gone]
            report = self._report
            if self._entries or gone or self._told or not self._store.meta("version"):
                vectors = await self._vectors()
                report.version = self._store.publish(
                    self._entries,
                    vectors,
                    self._items,
                    gone,
                    self._told,
                    settings=_digest(self._settings.chunk, self._settings.read),
                    embedder=self._embedder.id,
                )
                report.changed = True
            else:
                report.version = self._store.meta("version")
        return report

    def _places(self, known: dict[str, Item]) -> Iterator[_Place]:
        declared = {each.name: each for each in self._store.sources()}
        declared.update((each.name, each) for each in self._settings.sources)
        for source in declared.values():
            if source.url:
                yield _Place(source.url, source.url, source)
                continue
            path = (self._root / source.path).resolve()
            if path.is_dir():
                for file in find_sources(path, source.include):
                    below = file.relative_to(path).as_posix()
                    if not any(
                        fnmatch(below, each) or fnmatch(file.name, each) for each in source.exclude
                    ):
                        yield _Place(str(file), self._shown(file), source)
            elif path.exists() or str(path) not in known:
                # A folder that is away (not mounted) is reported and its documents stay; a single
                # file that is away is gone, unless it never was there.
                self._away.add(source.name)
                yield _Place(str(path), self._shown(path), source)

    def _shown(self, path: Path) -> str:
        root = self._root.resolve()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    async def _look(self, place: _Place, item: Item | None, *, fresh: bool) -> None:
        """Read a place if it has changed."""
        source = place.source
        settings = _digest(
            _FORMAT, self._settings.chunk, self._settings.read, source.title, source.metadata
        )
        told = _digest(source.readers)
        same = item is not None and fresh and item.settings.startswith(settings)
        try:
            loaded, stamp = await self._loaded(place, item if same else None)
            if loaded is not None:
                digest = hashlib.sha256(loaded.data).hexdigest()
            else:
                digest = item.digest if item is not None else ""
            changed = not same or item is None or item.digest != digest
            if changed and loaded is not None:
                self._take(place, loaded, known=item is not None)
            else:
                self._report.unchanged += 1
                if item is not None and item.settings != f"{settings}:{told}":
                    self._told.append((place.origin, source))
        except HeadraceError as error:
            self._report.unread.append(Unread(place.uri, error.message, error.hint))
            if item is not None and not fresh:
                self._lost.append(place.origin)
                return
            # What was read before stays, but not for those who may not read it any more.
            if item is not None and item.settings.rpartition(":")[2] != told:
                self._told.append((place.origin, source))
                self._items.append(
                    msgspec.structs.replace(item, stamp="", settings=f":{told}", source=source.name)
                )
            return
        if item is None or changed or (item.stamp, item.settings) != (stamp, f"{settings}:{told}"):
            self._items.append(
                Item(
                    origin=place.origin,
                    source=source.name,
                    stamp=stamp,
                    digest=digest,
                    settings=f"{settings}:{told}",
                    uri=place.uri,
                )
            )

    async def _loaded(self, place: _Place, item: Item | None) -> tuple[Source | None, str]:
        """The bytes, None if its stamp says that they are the same; and the stamp."""
        if place.source.url:
            if self._fetch is None:
                raise UnreadableDocument(f"{place.uri}: addresses cannot be read here")
            etag, _, date = (item.stamp if item else "").partition("\n")
            fetched = await self._fetch(place.origin, etag, date)
            if fetched is None:
                return None, item.stamp if item else ""
            return fetched, f"{fetched.etag}\n{fetched.last_modified}"
        return self._file(place, item)

    def _file(self, place: _Place, item: Item | None) -> tuple[Source | None, str]:
        path = Path(place.origin)
        try:
            found = path.stat()
        except OSError as error:
            raise UnreadableDocument(
                f"{place.uri}: cannot be read: {error.strerror}", hint="check the path"
            ) from error
        stamp = f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"
        if item is not None and item.stamp == stamp:
            return None, stamp
        return load_file(path, self._settings.read, place.uri), stamp

    def _take(self, place: _Place, source: Source, *, known: bool) -> None:
        for document in read(source, self._settings.read):
            cut = chunk(document, self._settings.chunk)
            self._entries.append(Entry.of(document, cut, place.origin, place.source))
            self._report.chunks += len(cut)
        (self._report.updated if known else self._report.added).append(place.uri)

    async def _vectors(self) -> NDArray[np.float32]:
        """A row for each new chunk, from what is kept or by the model, kept batch by batch."""
        texts = [text for entry in self._entries for text in entry.texts()]
        digests = [text_digest(text) for text in texts]
        known = self._cache.known(digests)
        unknown = {
            digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known
        }
        # Of like length together: a batch is padded to its longest.
        order = sorted(unknown, key=lambda digest: len(unknown[digest]))
        for begin in range(0, len(order), BATCH):
            batch = order[begin : begin + BATCH]
            self._cache.put(batch, await self._embedder.embed([unknown[each] for each in batch]))
            self._report.embedded += len(batch)
            self._advance("embed", self._report.embedded, len(order))
        return self._cache.vectors(digests)


def _digest(*settings: object) -> str:
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()[:16]
