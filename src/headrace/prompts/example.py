"""Few-shot examples: real messages between the system prompt and the conversation."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.prompts.file import ExampleEntry
from headrace.types import Message

__all__ = ["Examples"]


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one template, as its file lists them."""

    entries: Sequence[ExampleEntry]

    def choose(self, language: str | None) -> Sequence[ExampleEntry]:
        """Those of the language, or else the default ones; and those of none in particular."""
        base = (language or "").partition("-")[0]
        there = {each.language for each in self.entries}
        keys = (language, base, "default", "en")
        chosen = next((key for key in keys if key is not None and key in there), None)
        return [each for each in self.entries if each.language in (None, chosen)]

    @staticmethod
    def messages(entry: ExampleEntry, marker: str | None) -> tuple[Message, Message]:
        """One example as messages; with a marker, its thought stands before the answer."""
        answer = entry.assistant
        if marker is not None and entry.reasoning:
            space = "" if marker.endswith("：") else " "
            answer = f"{entry.reasoning.strip()}\n{marker}{space}{answer}"
        return Message(role="user", content=entry.user), Message(role="assistant", content=answer)
