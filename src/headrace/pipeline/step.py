"""The step protocol: what a part of the pipeline implements. Yours too: see `docs/steps.md`.

A step is built once, when the service loads, and then serves every turn at the same time, so it
keeps what belongs to a turn in the turn (`turn.state[self.name]`), never in itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

import msgspec

from headrace.types import Deltas, Embedder, FinishReason, Message

if TYPE_CHECKING:
    from headrace.knowledge.entities.link import EntityLinker
    from headrace.knowledge.passage import Retriever
    from headrace.models.box import ModelBox
    from headrace.models.cache.cache import AnswerCache
    from headrace.pipeline.conversation import ConversationStore
    from headrace.pipeline.tools.toolbox import Toolbox
    from headrace.pipeline.turn import Turn
    from headrace.prompts.library import PromptLibrary
    from headrace.screening.policy import PolicyLibrary

__all__ = ["BuildContext", "Channel", "Settings", "Step", "TextFilter"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every step's settings, as written under its name in `pipeline:`."""


S = TypeVar("S", bound=Settings)

Channel: TypeAlias = Literal["text", "reasoning", "arguments", "name"]
"""Which text of an answer flows: the shown answer, the chain of thought, tool-call arguments, the
name of a called tool that the request does not offer (offered ones pass as they are)."""


class TextFilter(Protocol):
    """Rewrites one text as it streams. `push` may hold text back; `finish` gives what remains.

    The joined output must not depend on how the text was cut into pieces.
    """

    def push(self, text: str) -> str: ...

    def finish(self, reason: FinishReason | None) -> str:
        """The text still held back. `reason` is None when the stream broke off."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """What a step may use when it is built."""

    root: Path
    """The service's folder, against which relative paths are resolved."""
    before_generate: bool
    """Whether the step stands before `generate` in the pipeline."""
    models: "ModelBox"
    prompts: "PromptLibrary"
    policies: "PolicyLibrary"
    conversations: "ConversationStore"
    cache: "AnswerCache | None" = None
    """Answers that are given again; None: the service is only looked at."""
    knowledge: "Retriever | None" = None
    """The knowledge base; None: the service has none."""
    entities: "EntityLinker | None" = None
    """Names that the service knows; None: it has no glossary."""
    embedder: Embedder | None = None
    """Makes vectors, for steps that compare meanings."""
    toolbox: "Toolbox | None" = None
    """The service's tools; None: it has none."""
    later: tuple[str, ...] = ()
    """The names of the steps that stand behind this one, in order."""


class Step(Generic[S]):
    """A part of the pipeline; override what the step needs, the rest costs nothing.

    `prepare` runs before generation. For the answer, either give a `filter` (a synchronous text
    rewriter; the pipeline runs neighbouring filters in one pass and keeps log probabilities,
    tool calls and choices straight), or override `transform` for full control of the deltas.
    """

    name: ClassVar[str]
    """The name in `pipeline:`; the entry point's name."""
    Settings: ClassVar[type[msgspec.Struct]] = Settings

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @classmethod
    def build(cls, settings: S, context: BuildContext) -> Self:
        """Make the step from its settings; raises ConfigError for what cannot work."""
        del context
        return cls(settings)

    def digest_inputs(self) -> object:
        """What else than the settings changes this step's behaviour (file digests, versions).

        Anything msgspec can encode as JSON; becomes part of the release digest.
        """
        return None

    def model_for(self, turn: "Turn", default: str) -> str | None:
        """The model for a turn whose request names none, before anything is done for it.

        `default` is the one it gets when no step says otherwise, as with None.
        """
        return None

    async def prepare(self, turn: "Turn") -> None:
        """Change the turn before generation. Raise a HeadraceError to refuse it."""

    async def prepare_result(self, turn: "Turn", message: Message) -> Message:
        """Change what one of the service's tools gave before the model reads it (role `tool`).

        Asked only of steps in front of `generate`, while it runs.
        """
        return message

    def filter(self, turn: "Turn", channel: Channel, index: int) -> TextFilter | None:
        """A fresh filter for one text of the answer (`index`: the choice), or None to pass it."""
        return None

    def transform(self, turn: "Turn", deltas: Deltas) -> Deltas:
        """Change the answer's deltas. Override only where `filter` is not enough."""
        return deltas

    async def complete(self, turn: "Turn") -> None:
        """Runs once the answer is complete (`turn.choices`), before the trace is recorded."""

    def ended(self, turn: "Turn") -> None:
        """Runs when the turn has ended, however it ended: `turn.trace.status` tells.

        `turn.choices` is what the user got, whole or not. Must not wait or raise.
        """

    async def start(self, home: Path) -> None:
        """Runs once the models answer and before the service does, for what takes a while.

        `home` is the service's state, where a step may keep what is dear to make. A service whose
        step cannot start is not loaded. A step that is only tried out may never be started.
        """

    def compiled(self, answer: Callable[["Turn"], Deltas]) -> None:
        """Told once how the whole pipeline answers, for steps that ask the model on their own.

        A turn asked this way is screened, traced and counted like any other.
        """
