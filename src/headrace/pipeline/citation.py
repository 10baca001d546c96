"""Citations: the markers (`[2]`) of an answer, and the passages that they name.

Two looks at an answer. `marked` stands next to the model: it gives every marker one form and
takes out those that name no passage. `cited` stands behind all steps, so that the spans it gives
are those of the text that the user gets. Text inside Markdown code is never taken for a marker.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from headrace.knowledge.passage import Passage
from headrace.pipeline.turn import Turn
from headrace.types import Citation, Delta, Deltas, FinishReason

__all__ = ["MarkerFilter", "MarkerScanner", "Piece", "cited", "marked"]

_OPENING = "[【［"
_MARKER = re.compile(
    rf" ?[{re.escape(_OPENING)}]\s?(\d{{1,3}}(?:\s?[,，、;；]\s?\d{{1,3}}){{0,9}})\s?[\]】］]"
)
_TOKEN = re.compile(rf"`+|\n| ?[{re.escape(_OPENING)}]")
_UNFINISHED = re.compile(rf" ?(?:[{re.escape(_OPENING)}][\d\s,，、;；]{{0,60}})?")
_NUMBER = re.compile(r"\d+")
_FENCE = 3
"""Backticks from which on a run opens a block of code, which may hold empty lines."""


class Piece(NamedTuple):
    """A piece of the text, as it was written."""

    text: str
    numbers: tuple[int, ...] = ()
    """What it names, if it is a marker; a space in front belongs to it."""


class MarkerScanner:
    """Cuts a text that comes in pieces into markers and what is between them.

    The joined pieces are the text. They come as late as they must: a bracket waits for its end.
    """

    def __init__(self) -> None:
        self._held = ""
        self._ticks = 0
        """Backticks that opened the code which the text is in; 0: none."""

    def push(self, text: str) -> Iterator[Piece]:
        return self._scan(self._held + text, is_end=False)

    def finish(self) -> Iterator[Piece]:
        return self._scan(self._held, is_end=True)

    def _scan(self, text: str, *, is_end: bool) -> Iterator[Piece]:
        at = done = 0
        self._held = ""
        while token := _TOKEN.search(text, at):
            at = token.end()
            if token[0] == "\n":
                self._ticks = self._ticks if self._ticks >= _FENCE else 0
            elif token[0][0] == "`":
                if at == len(text) and not is_end:
                    yield from _plain(text[done : token.start()])
                    self._held = text[token.start() :]
                    return
                self._tick(len(token[0]))
            elif not self._ticks:
                marker = _MARKER.match(text, token.start())
                if not is_end and _may_go_on(text, token.start(), marker):
                    yield from _plain(text[done : token.start()])
                    self._held = text[token.start() :]
                    return
                if marker is None or text[marker.end() : marker.end() + 1] == "(":
                    continue  # `[1](…)` is a link
                numbers = tuple(map(int, _NUMBER.findall(marker[1])))
                if 0 in numbers:
                    continue  # an interval, such as [0, 1]
                yield from _plain(text[done : token.start()])
                yield Piece(marker[0], numbers)
                at = done = marker.end()
        rest = text[done:]
        if not is_end and rest.endswith(" ") and not self._ticks:
            self._held, rest = " ", rest[:-1]
        yield from _plain(rest)

    def _tick(self, run: int) -> None:
        if not self._ticks:
            self._ticks = run
        elif run == self._ticks or min(run, self._ticks) >= _FENCE:
            self._ticks = 0


def _plain(text: str) -> Iterator[Piece]:
    if text:
        yield Piece(text)


def _may_go_on(text: str, start: int, marker: re.Match[str] | None) -> bool:
    """Whether more text could decide if what begins at `start` is a marker."""
    if marker is not None:
        return marker.end() == len(text)  # a link may follow
    unfinished = _UNFINISHED.match(text, start)
    return unfinished is not None and unfinished.end() == len(text)


class MarkerFilter:
    """Leaves markers of known passages in the form `[1][2]`, and takes others out."""

    def __init__(self, known: int) -> None:
        """
        Args:
            known: passages are numbered from 1 to this.
        """
        self.known = known
        self._scanner = MarkerScanner()
        self.unknown = 0
        """Numbers that named no passage."""

    def push(self, text: str) -> str:
        return "".join(map(self._shown, self._scanner.push(text)))

    def finish(self, reason: FinishReason | None) -> str:
        del reason
        return "".join(map(self._shown, self._scanner.finish()))

    def _shown(self, piece: Piece) -> str:
        if not piece.numbers:
            return piece.text
        known = [number for number in dict.fromkeys(piece.numbers) if number <= self.known]
        self.unknown += sum(number > self.known for number in piece.numbers)
        space = " " if piece.text[0] == " " and known else ""
        return space + "".join(f"[{number}]" for number in known)


async def marked(turn: Turn, deltas: Deltas, ended: Callable[[MarkerFilter], None]) -> Deltas:
    """The deltas with the markers of their shown text in one form.

    Args:
        ended: told what was met in each choice.
    """
    filters: dict[int, MarkerFilter] = {}
    async with aclosing(deltas) as upstream:
        async for delta in upstream:
            # None: nothing was looked up, so far.
            if delta.usage is None and turn.passages is not None:
                markers = filters.get(delta.index)
                if markers is None:
                    markers = filters[delta.index] = MarkerFilter(0)
                # Looked at each time: the model may have searched for more.
                markers.known = len(turn.passages or ())
                is_words = bool(delta.text)
                delta.text = markers.push(delta.text)
                if delta.finish_reason is not None:
                    delta.text += markers.finish(delta.finish_reason)
                    ended(markers)
                if is_words and not delta.text and _is_empty(delta):
                    continue
            yield delta


def _is_empty(delta: Delta) -> bool:
    return not (
        delta.reasoning
        or delta.refusal
        or delta.tool_calls
        or delta.logprobs
        or delta.finish_reason
    )


class _Text:
    """The shown text of one choice, as far as it has come."""

    __slots__ = ("at", "scanner")

    def __init__(self) -> None:
        self.at = 0
        self.scanner = MarkerScanner()

    def citations(self, pieces: Iterator[Piece], passages: Sequence[Passage]) -> Iterator[Citation]:
        for piece in pieces:
            start = self.at + (piece.text[0] == " ")
            self.at += len(piece.text)
            for number in piece.numbers:
                if number <= len(passages):
                    yield citation_of(number, passages[number - 1], start, self.at)


def citation_of(number: int, passage: Passage, start: int, end: int) -> Citation:
    """What a marker at a place in the answer says."""
    return Citation(
        start=start,
        end=end,
        number=number,
        passage=passage.id,
        uri=passage.uri,
        title=passage.title,
        headings=passage.headings,
        page=passage.page,
        source_start=passage.start,
        source_end=passage.end,
    )


async def cited(turn: Turn, deltas: Deltas) -> Deltas:
    """The same deltas; each marker of a passage gets its citation with the delta that ends it, or
    with the next one."""
    texts: dict[int, _Text] = {}
    async with aclosing(deltas) as upstream:
        async for delta in upstream:
            # Looked at each time: the model may have searched for more just before it answers.
            passages = turn.passages or ()
            text = texts.get(delta.index)
            if text is None:
                text = texts[delta.index] = _Text()
            found = list(text.citations(text.scanner.push(delta.text), passages))
            if delta.finish_reason is not None:
                found += text.citations(text.scanner.finish(), passages)
            if found:
                delta.annotations = [*(delta.annotations or ()), *found]
            yield delta
