"""Chain of thought kept apart from the answer, on the stream.

What the model writes before its marker goes to `Delta.reasoning` as it comes; what follows is
the answer. Nothing depends on how the stream is cut.

A model that never writes the marker still answers: at the end its whole text is given as the
answer too. One that thinks by itself (its backend gives `reasoning`) is left as it is.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from headrace.types import Delta, Deltas, TokenLogprob

__all__ = ["Marker", "Outcome", "ThoughtSplitter", "keep_apart"]

Outcome: TypeAlias = str
"""`marked`, `unmarked` (no marker came: the whole text is the answer) or `native`."""

# Models dress a marker up: `**Final answer:** 42`, `### Final answer`, `> Final answer: 42`.
_BEFORE = r"[ \t>]{0,8}(?:#{1,6}[ \t]{0,4})?(?:\*{1,3}|_{1,3})?"
_BEFORE_GROUPED = r"[ \t>]{0,8}(?:#{1,6}[ \t]{0,4})?(\*{1,3}|_{1,3})?"
_AFTER = r"[ \t]{0,4}(?:\*{1,3}|_{1,3})?[ \t]{0,4}"
_AFTER_GROUPED = r"[ \t]{0,4}(\*{1,3}|_{1,3})?[ \t]{0,4}"
_FLAGS = re.ASCII | re.IGNORECASE | re.MULTILINE


@dataclass(frozen=True, slots=True)
class Marker:
    """All markers of a template, compiled: the model may write that of another language."""

    line: re.Pattern[str] | None
    """A whole marker at the start of a line; groups: emphasis opened, emphasis closed."""
    line_start: re.Pattern[str] | None
    """A line that may still become one."""
    anywhere: re.Pattern[str] | None
    anywhere_start: re.Pattern[str] | None
    """The end of a text that may still become one."""

    @classmethod
    def compiled(cls, markers: Sequence[str]) -> "Marker":
        """Markers that end in a colon count at the start of a line only, in both widths of colon,
        and without one when they have the line to themselves."""
        bases = [each.rstrip(":： ") for each in markers if each.endswith((":", "："))]
        others = [each for each in markers if not each.endswith((":", "："))]
        line = line_start = anywhere = anywhere_start = None
        if bases:
            whole = "|".join(map(re.escape, bases))
            line = re.compile(
                rf"^{_BEFORE_GROUPED}(?:{whole}){_AFTER_GROUPED}(?:[:：]|(?=\n))", _FLAGS
            )
            begun = "|".join(_begun(each, _AFTER) for each in bases)
            line_start = re.compile(rf"{_BEFORE}(?:{begun})", _FLAGS)
        if others:
            anywhere = re.compile("|".join(map(re.escape, others)), _FLAGS)
            begun = "|".join(re.escape(each[0]) + _begun(each[1:], "") for each in others)
            anywhere_start = re.compile(rf"(?:{begun})\Z", _FLAGS)
        return cls(line, line_start, anywhere, anywhere_start)


def _begun(text: str, tail: str) -> str:
    """A pattern for every beginning of `text`, the whole followed by `tail`."""
    pattern = tail
    for letter in reversed(text):
        pattern = f"(?:{re.escape(letter)}{pattern})?"
    return pattern


class ThoughtSplitter:
    """Splits one text into thought and answer as it streams."""

    def __init__(self, marker: Marker) -> None:
        self._marker = marker
        self._held = ""
        """Not decided yet: may be the beginning of a marker."""
        self._at_line_start = True
        """Whether `held` starts a line."""
        self._thought: list[str] = []
        self._push: Callable[[str], tuple[str, str]] = self._think
        self._emphasis = ""
        """Opened before the marker and not closed within it."""
        self.marked = False
        """Whether an answer has begun behind a marker."""

    def push(self, text: str) -> tuple[str, str]:
        """The thought and the answer that may leave now."""
        return self._push(text)

    def finish(self, *, answered: bool) -> tuple[str, str]:
        """The rest of both. Without a marker the whole text is the answer, when there must be one.

        Args:
            answered: the model ended its answer, rather than calling a tool or being stopped.
        """
        if self.marked:
            return "", ""
        rest, self._held = self._held, ""
        thought = "" if self._push == self._open else rest
        self._thought.append(thought)
        return thought, "".join(self._thought) if answered else ""

    def _think(self, text: str) -> tuple[str, str]:
        self._held += text
        found = self._find()
        if found is None:
            thought = self._release(self._undecided_from())
            return thought, ""
        opened, closed = found.groups() if found.re is self._marker.line else (None, None)
        self._emphasis = "" if closed else opened or ""
        rest = self._held[found.end() :]
        thought = self._release(found.start())
        self._held = ""
        self._push = self._open
        return thought, self._open(rest)[1]

    def _open(self, text: str) -> tuple[str, str]:
        """Behind the marker: drop emphasis that it closes, and space, until the answer begins."""
        self._held += text
        if self._emphasis and self._held.startswith(self._emphasis):
            self._held = self._held[len(self._emphasis) :]
            self._emphasis = ""
        if self._emphasis.startswith(self._held):
            return "", ""
        answer = self._held.lstrip()
        if not answer:
            return "", ""
        # `**Final answer: 42**`: what opened before the marker goes on around the answer.
        self._held, answer = "", self._emphasis + answer
        self.marked = True
        self._push = self._answer
        return "", answer

    def _answer(self, text: str) -> tuple[str, str]:
        return "", text

    def _release(self, end: int) -> str:
        thought, self._held = self._held[:end], self._held[end:]
        if thought:
            self._at_line_start = thought.endswith("\n")
            self._thought.append(thought)
        return thought

    def _first_line(self) -> int:
        """Where the first line that starts within `held` starts; its length when none does."""
        if self._at_line_start:
            return 0
        return self._held.find("\n") + 1 or len(self._held)

    def _find(self) -> re.Match[str] | None:
        marker, held = self._marker, self._held
        first = self._first_line()
        found = None
        if marker.line is not None and first < len(held):
            found = marker.line.search(held, first)
        other = marker.anywhere.search(held) if marker.anywhere is not None else None
        if found is None or other is None:
            return found or other
        return min(found, other, key=lambda each: each.start())

    def _undecided_from(self) -> int:
        """Where the part of `held` begins that may still become a marker."""
        marker, held = self._marker, self._held
        end = len(held)
        if marker.line_start is not None:
            last = max(self._first_line(), held.rfind("\n") + 1)
            if last < end and marker.line_start.fullmatch(held, last):
                end = last
        if marker.anywhere_start is not None:
            begun = marker.anywhere_start.search(held)
            end = min(end, begun.start()) if begun is not None else end
        return end


class _Choice:
    """One choice of an answer, split."""

    def __init__(self, marker: Marker) -> None:
        self._splitter = ThoughtSplitter(marker)
        self._tokens: list[TokenLogprob] = []
        """Log probabilities of the thought, for the case that it turns out to be the answer."""
        self._begun = False
        self.outcome: Outcome = "unmarked"

    def apply(self, delta: Delta) -> Delta | None:
        """The delta with its text on the right side; None when nothing of it may leave yet."""
        if delta.reasoning and not self._begun:
            self.outcome = "native"
        self._begun = self._begun or bool(delta.text)
        if self.outcome == "native":
            return delta
        thought, answer = self._splitter.push(delta.text) if delta.text else ("", "")
        if self._splitter.marked:
            self.outcome = "marked"
        tokens = self._logprobs(delta, answer)
        if delta.finish_reason is not None:
            rest, late = self._splitter.finish(
                answered=delta.finish_reason in ("stop", "length") and not delta.tool_calls
            )
            thought, answer = thought + rest, answer + late
            tokens = self._tokens if late else tokens
        split = msgspec.structs.replace(
            delta, text=answer, reasoning=delta.reasoning + thought, logprobs=tokens or None
        )
        empty = not (split.text or split.reasoning or split.tool_calls or split.logprobs)
        return None if empty and delta.finish_reason is None else split

    def _logprobs(self, delta: Delta, answer: str) -> list[TokenLogprob]:
        """The log probabilities of the tokens that lie in the answer."""
        tokens = delta.logprobs or []
        if not self._splitter.marked:
            self._tokens += tokens
            return []
        if answer == delta.text:
            return tokens
        # The answer began in mid-delta: tokens of its end are sure to be its own.
        left, kept = answer.encode(), len(tokens)
        for token in reversed(tokens):
            raw = bytes(token.bytes) if token.bytes is not None else token.token.encode()
            if not left.endswith(raw):
                break
            left, kept = left[: len(left) - len(raw)], kept - 1
        return tokens[kept:]


async def keep_apart(
    deltas: Deltas, marker: Marker, *, ended: Callable[[int, Outcome], None]
) -> Deltas:
    """The deltas with each choice's thought in `reasoning` and only its answer in `text`.

    Args:
        ended: called when a choice has ended, with its index and how it was split.
    """
    choices: dict[int, _Choice] = {}
    async with aclosing(deltas) as upstream:
        async for delta in upstream:
            if delta.usage is not None:
                yield delta
                continue
            choice = choices.get(delta.index)
            if choice is None:
                choice = choices[delta.index] = _Choice(marker)
            split = choice.apply(delta)
            if split is not None:
                yield split
            if delta.finish_reason is not None:
                ended(delta.index, choice.outcome)
