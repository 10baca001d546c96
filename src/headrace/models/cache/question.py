"""A model call as the cache sees it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from headrace.access.principal import Principal
from headrace.models.ask import Asking
from headrace.models.backend import Call, Embeddings
from headrace.models.deployment import Deployment
from headrace.models.model import Model

__all__ = ["Embed", "Question"]

Embed: TypeAlias = Callable[[str, str], Awaitable[tuple[Embeddings, Deployment]]]
"""Makes the vector of a text (second) by the model of a name (first)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of which model, for whom, and how to ask it when nothing is kept."""

    call: Call
    """As it goes to the target, parameters laid over one another."""
    target: str
    """The model or route that is asked."""
    release: str
    """Digest of everything that changes behaviour."""
    principal: Principal
    subject: str = ""
    """Whom the texts are about; empty, or the key's id: nobody but the key is named."""
    in_conversation: bool = False
    """Whether earlier turns of a conversation may be in the prompt."""
    is_masked: bool = False
    """Whether placeholders stand for masked values in the prompt."""
    is_grounded: bool = False
    """Whether passages or facts stand in the prompt: a like question has others, so another answer."""
    control: str = ""
    """The client's `cache-control`."""
    ask: Callable[[], Asking]
    call_for: Callable[[Model], Call]
    embed: Embed | None = None

    @property
    def own_subject(self) -> str:
        """The subject, where one is named."""
        return "" if self.subject == self.principal.key_id else self.subject
