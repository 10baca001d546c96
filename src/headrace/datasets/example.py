"""One row of a dataset: an example to learn from, in one of three forms.

Read are the forms that people have: `{"prompt", "completion"}`, `{"messages"}` (OpenAI's chat
format), and preference pairs as `{"prompt", "chosen", "rejected"}` (TRL's) or
`{"input", "preferred_output", "non_preferred_output"}` (OpenAI's). Kept is one form of each kind,
so that the same example has the same id however it was written.
"""

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

import msgspec

from headrace.types import Message

__all__ = ["Example", "ExampleKind", "Provenance"]

ExampleKind: TypeAlias = Literal["completion", "chat", "preference"]


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where an example is from; not part of its id."""

    trace: str = ""
    """The trace that it was made of."""
    subject: str = ""
    """The vault's subject id of the person it is about."""
    consent: str = ""
    """The consent that allows its use."""
    source: str = ""
    """The file it was read from."""


class Example(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a model is to learn from one row."""

    kind: ExampleKind
    messages: list[Message]
    """What is said, the answer to learn last. Of a `completion`: a user's and an assistant's.
    Of a preference: what comes before the two answers."""
    chosen: list[Message] = []
    """Of a preference: the better answer."""
    rejected: list[Message] = []
    """Of a preference: the worse one."""
    untrained: list[int] = []
    """Indices of assistant messages that are shown, and not learned (`"weight": 0`)."""
    tools: list[dict[str, object]] = []
    """Functions that the model was offered."""
    metadata: dict[str, object] = {}
    """The row's own; not part of its id."""
    provenance: Provenance = Provenance()

    BLANK: ClassVar[Provenance] = Provenance()

    @property
    def id(self) -> str:
        """SHA-256 of what is learned, 32 hex digits of it: the same row anywhere has the same."""
        return hashlib.sha256(self.content()).hexdigest()[:32]

    def content(self) -> bytes:
        """What decides the id: everything but metadata and provenance."""
        learned = msgspec.structs.replace(self, metadata={}, provenance=self.BLANK)
        return _encode(learned)

    @property
    def group(self) -> int:
        """A hash (64 bits) of what was asked: rows of one question stay in one split."""
        asked = self.messages if self.kind == "preference" else self.messages[:-1]
        return int.from_bytes(hashlib.blake2b(_encode(asked), digest_size=8).digest(), "big")

    def text(self) -> str:
        """All that is said, for counting, comparing and looking into."""
        return "\n".join(_texts((*self.messages, *self.chosen, *self.rejected)))


_encode = msgspec.json.Encoder(order="sorted").encode


def _texts(messages: Sequence[Message]) -> list[str]:
    said = [each.text() for each in messages]
    for each in messages:
        said += (call.function.arguments for call in each.tool_calls or ())
    return [each for each in said if each]
