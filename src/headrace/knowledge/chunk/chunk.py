"""Cuts a document into chunks along its structure.

Text is cut between sentences, lists and code between lines, tables between rows with their head
repeated. Chunks never cross a heading or a page. Headings themselves are context, not chunks.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TypeAlias

from headrace.knowledge.chunk.sentence import sentences, trimmed
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.document import Block, BlockKind, Chunk, Document

__all__ = ["Counter", "chunk", "estimate_tokens"]

Counter: TypeAlias = Callable[[str], int]
Span: TypeAlias = tuple[int, int]

_ASCII_PER_TOKEN = 3
_FLOWING = ("text", "list")


def estimate_tokens(text: str) -> int:
    """An estimate on the high side for prose: three ASCII letters, or one other sign, a token."""
    ascii_count = len(text.encode("ascii", "ignore"))
    return len(text) - ascii_count + -(-ascii_count // _ASCII_PER_TOKEN)


def chunk(
    document: Document, settings: ChunkSettings, count: Counter = estimate_tokens
) -> list[Chunk]:
    """The document's chunks, in order; none counts more than `settings.max_tokens`.

    A single character that counts more than that stands alone.
    """
    cutter = _Cutter(document.text, settings, count)
    chunks: list[Chunk] = []
    for _, group in groupby(enumerate(document.blocks), _run):
        blocks = [block for _, block in group]
        kinds = {block.kind for block in blocks}
        kind: BlockKind = kinds.pop() if len(kinds) == 1 else "text"
        for start, end, head in cutter.cut(blocks, kind):
            text = document.text[start:end]
            chunks.append(
                Chunk(
                    ordinal=len(chunks),
                    start=start,
                    end=end,
                    text=f"{head}\n{text}" if head else text,
                    kind=kind,
                    headings=blocks[0].headings,
                    page=blocks[0].page,
                )
            )
    return chunks


def _run(item: tuple[int, Block]) -> tuple[object, ...]:
    """What blocks share that may stand in one chunk; tables and code stand alone."""
    at, block = item
    return (block.headings, block.page, -1 if block.kind in _FLOWING else at)


class _Cutter:
    def __init__(self, text: str, settings: ChunkSettings, count: Counter) -> None:
        self._text = text
        self._max = settings.max_tokens
        self._target = min(settings.target_tokens, settings.max_tokens)
        self._overlap = min(settings.overlap_tokens, settings.max_tokens // 2)
        self._count = count

    def cut(self, blocks: list[Block], kind: BlockKind) -> Iterator[tuple[int, int, str]]:
        if kind == "table":
            yield from self._table(blocks[0])
            return
        units = [unit for block in blocks for unit in self._units(block)]
        whole = kind == "code" and self._fits(units)
        if whole and units:
            yield units[0][0], units[-1][1], ""
            return
        overlap = 0 if kind == "code" else self._overlap
        yield from ((start, end, "") for start, end in self._pack(units, overlap, ""))

    def _fits(self, units: list[Span]) -> bool:
        return bool(units) and self._count(self._text[units[0][0] : units[-1][1]]) <= self._max

    def _table(self, block: Block) -> Iterator[tuple[int, int, str]]:
        units = list(self._units(block))
        if self._fits(units):
            yield units[0][0], units[-1][1], ""
            return
        lines = self._text[block.start : block.end].strip().split("\n", 2)
        is_ruled = len(lines) > 1 and not lines[1].strip("|-: \t")
        head = "\n".join(lines[:2]) if is_ruled else lines[0]
        if self._count(head + "\n") * 2 > self._max:
            head = ""
        for at, (start, end) in enumerate(self._pack(units, 0, head)):
            # A long line stays whole, and goes without the head where both are too long.
            fits = at and head and self._count(f"{head}\n{self._text[start:end]}") <= self._max
            yield start, end, head if fits else ""

    def _units(self, block: Block) -> Iterator[Span]:
        parts = sentences if block.kind == "text" else _lines
        for start, end in parts(self._text, block.start, block.end):
            # Counting is the dear part: no counter finds more tokens than UTF-8 bytes.
            if (end - start) * 4 <= self._max or self._count(self._text[start:end]) <= self._max:
                yield start, end
            else:
                yield from self._pieces(start, end)

    def _pieces(self, start: int, end: int) -> Iterator[Span]:
        """A sentence or line that is too long, cut between words where there are any.

        A quarter of the maximum each, so that a table's head fits in front.
        """
        step = self._max * _ASCII_PER_TOKEN
        most = max(1, self._max // 2)
        while start < end:
            stop = min(end, start + step)
            while stop - start > 1 and self._count(self._text[start:stop]) > most:
                stop = start + (stop - start) // 2
            if stop < end:
                space = self._text.rfind(" ", start + (stop - start) // 2, stop)
                stop = space + 1 if space > start else stop
            if span := trimmed(self._text, start, stop):
                yield span
            start = stop

    def _pack(self, units: list[Span], overlap: int, head: str) -> Iterator[Span]:
        sizes = [self._count(self._text[start:end]) for start, end in units]
        room = self._max - (self._count(head + "\n") if head else 0)
        target = min(self._target, room)
        first = done = 0
        while done < len(units):
            last, total = done, sum(sizes[first : done + 1])
            while last + 1 < len(units) and total + sizes[last + 1] <= target:
                last += 1
                total += sizes[last]
            first, last = self._checked(units, first, done, last, head)
            yield units[first][0], units[last][1]
            done = last + 1
            first, kept = done, 0
            while first - 1 > 0 and first <= last + 1 and kept + sizes[first - 1] <= overlap:
                first -= 1
                kept += sizes[first]

    def _checked(
        self, units: list[Span], first: int, done: int, last: int, head: str
    ) -> tuple[int, int]:
        """The same run, shortened until it counts no more than the maximum."""
        front = f"{head}\n" if head else ""
        while self._count(front + self._text[units[first][0] : units[last][1]]) > self._max:
            if first < done:
                first = done
            elif last > done:
                last = done + (last - done) // 2
            else:
                break
        return first, last


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if text[start:stop].strip():
            # The indentation of code belongs to it.
            yield start, start + len(text[start:stop].rstrip())
        start = stop + 1
