"""Few-shot examples: real messages between the system prompt and the conversation."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from headrace.prompts.file import ExampleEntry, ExamplesSpec
from headrace.types import Message

__all__ = ["Examples"]

_LETTERS_PER_TOKEN = 3.0
"""As models/estimate.py has it, which this room may not import."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one template: those of its file, then those of its dataset."""

    entries: Sequence[ExampleEntry]
    spec: ExamplesSpec

    def choose(self, language: str | None) -> Sequence[ExampleEntry]:
        """Those of the language, as many as `most` and `max_tokens` let through, in their order."""
        return self.within([self.entries[at] for at in self.fitting(language)])

    def fitting(self, language: str | None) -> Sequence[int]:
        """Where those of the language stand, or else the default ones; and those of none."""
        base = (language or "").partition("-")[0]
        there = {each.language for each in self.entries}
        keys = (language, base, "default", "en")
        chosen = next((key for key in keys if key is not None and key in there), None)
        return [at for at, each in enumerate(self.entries) if each.language in (None, chosen)]

    def within(self, entries: Sequence[ExampleEntry]) -> Sequence[ExampleEntry]:
        """The first of these, as many as `most` and `max_tokens` let through."""
        entries = entries[: self.spec.most]
        left = self.spec.max_tokens
        if left is None:
            return entries
        kept = []
        for each in entries:
            tokens = self.tokens(each)
            if tokens <= left:
                left -= tokens
                kept.append(each)
        return kept

    @staticmethod
    def tokens(entry: ExampleEntry) -> int:
        """Tokens that an example takes, estimated rather too high."""
        text = entry.user + entry.reasoning + entry.assistant
        wide = sum(letter > "\u02ff" for letter in text)
        return int((len(text) - wide) / _LETTERS_PER_TOKEN + wide * 1.25) + 16

    def doubles(self) -> list[tuple[ExampleEntry, ExampleEntry]]:
        """Pairs of examples that answer one question differently, in one language."""

        def key(entry: ExampleEntry) -> tuple[str, str]:
            return entry.language or "", " ".join(entry.user.casefold().split())

        ordered = sorted(self.entries, key=key)
        return [
            (one, other)
            for one, other in pairwise(ordered)
            if key(one) == key(other) and one.assistant.strip() != other.assistant.strip()
        ]

    @staticmethod
    def messages(entry: ExampleEntry, marker: str | None) -> tuple[Message, Message]:
        """One example as messages; with a marker, its thought stands before the answer."""
        answer = entry.assistant
        if marker is not None and entry.reasoning:
            space = "" if marker.endswith("：") else " "
            answer = f"{entry.reasoning.strip()}\n{marker}{space}{answer}"
        return Message(role="user", content=entry.user), Message(role="assistant", content=answer)
