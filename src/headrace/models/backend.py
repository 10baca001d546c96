"""The backend protocol: the adapter for one wire protocol or runtime.

A backend serves one deployment. The model box calls it; steps never see it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import msgspec

from headrace.types import Deltas, Message, Params, TextKind, Usage

__all__ = [
    "Backend",
    "Call",
    "Embeddings",
    "ListedModel",
    "ModeratingBackend",
    "ModerationInput",
    "ModerationResult",
    "RateLimits",
]

ModerationInput: TypeAlias = str | list[str | dict[str, object]]
"""A text, several, or the parts of one input; as OpenAI's `input`."""
ModerationResult: TypeAlias = dict[str, object]
"""What a model says about one input: `flagged`, `categories`, `category_scores`, and what else it sends."""


class Call(msgspec.Struct, frozen=True):
    """One generation asked of a backend."""

    messages: Sequence[Message]
    """For a bare completion: one user message whose text is the prompt."""
    params: Params
    completion: bool = False
    """True: continue the bare prompt, without the chat template."""
    stream: bool = True
    """False: only the whole answer is wanted, so it may come as one delta a choice."""
    priority: int = 1
    """Where it stands in line when all deployments are full; 0 is the most urgent."""


class Embeddings(msgspec.Struct, frozen=True):
    """Vectors in the order of the inputs; every vector has the model's dimension."""

    vectors: list[list[float]]
    usage: Usage
    truncated: Sequence[int] = ()
    """Positions of the inputs of which only the beginning counted, where that is known."""


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider last said of our limits with it; None where it did not say."""

    requests_limit: int | None = None
    requests_remaining: int | None = None
    requests_reset_s: float | None = None
    """Seconds until the requests are all there again."""
    tokens_limit: int | None = None
    tokens_remaining: int | None = None
    tokens_reset_s: float | None = None


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its provider lists it."""

    id: str
    context_tokens: int | None = None
    output_tokens: int | None = None
    shutdown_date: str | None = None
    """ISO 8601 date from which it answers no more."""


class Backend(Protocol):
    """Serves one deployment."""

    provider: str
    """`gen_ai.provider.name` as OpenTelemetry spells it; our own runtime is `llama_cpp`."""
    context_tokens: int
    """The longest prompt plus answer one sequence takes; known once started."""
    digest: str
    """What is served: SHA-256 of the weights, or of the address and model name."""
    capacity: int | None
    """Calls it takes at once, where it knows; None: learned from what happens."""
    rate_limits: RateLimits | None
    """As the latest response said; None where the provider says nothing of the kind."""

    @property
    def rtt_s(self) -> float | None:
        """The latest round trip to its server; None where nobody knows."""
        ...

    async def start(self, progress: Callable[[str, int, int | None], None] | None = None) -> None:
        """Make ready to serve; raises a HeadraceError that says what to mend."""
        ...

    async def stop(self) -> None: ...

    def is_ready(self) -> bool: ...

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether it can serve within `timeout_s`; for a remote server: at once, whether it may."""
        ...

    def generate(self, call: Call) -> Deltas:
        """The answer, piece by piece; closing the iterator stops generation and frees the slot.

        Raises ModelUnavailable (or one below it, models/errors.py) when the server is down,
        refuses us or breaks off; ContextTooLong and InvalidRequest as the server says them.
        """
        ...

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        """One vector per input, in order.

        Args:
            kind: what the inputs are, for models that embed questions in another way than
                passages; None: nobody has said.
        """
        ...

    async def listed(self) -> Sequence[ListedModel]:
        """The models that this key may ask for there; empty where the server has no list."""
        ...

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered prompt, exactly as the model will see it.

        A remote server without a way to count gives an estimate that rather errs upward.
        """
        ...

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        """At most this many tokens, without asking the model; None where nobody can promise it."""
        ...


@runtime_checkable
class ModeratingBackend(Protocol):
    """One whose server can judge texts, too."""

    async def moderate(self, given: ModerationInput) -> Sequence[ModerationResult]:
        """What its model says about each input, in order.

        Raises:
            InvalidRequest: the server refuses what was given.
            ModelUnavailable: it is down, or gave no verdict.
        """
        ...
