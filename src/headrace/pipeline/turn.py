"""One request on its way through the pipeline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from headrace.access.limits.admission import FREE, Admission
from headrace.access.principal import Principal
from headrace.knowledge.passage import Passage
from headrace.prompts.template import PromptTemplate
from headrace.screening.finding import Finding
from headrace.screening.masking import MaskTable
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Span, Trace
from headrace.types import Choice, Message, Params, Usage

__all__ = ["Turn", "TurnKind", "TurnObserver"]

TurnKind: TypeAlias = Literal["chat", "completion"]
TurnObserver: TypeAlias = Callable[[Span], None]
"""Called when a step has finished, so that a page can show the steps as they run."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """Everything the steps read and write about one request.

    Steps before `generate` change `messages` and `params`; steps after it change the answer's
    deltas. `received` stays as the client sent it.
    """

    principal: Principal
    messages: list[Message]
    """What goes to the model. Starts as the request's messages."""
    params: Params = field(default_factory=Params)
    """The request's inference parameters; `generate` lays them over the template's and model's."""
    kind: TurnKind = "chat"
    """`completion` is a bare prompt (one user message): no template, no conversation."""
    model: str | None = None
    """The logical model the client asked for; None leaves it to the pipeline."""
    stream: bool = False
    gives_way: bool = False
    """Whether others go first where calls have to wait."""
    conversation: str | None = None
    subject: str = ""
    template: str | None = None
    """The prompt template the client asked for; None leaves it to the pipeline."""
    prompt: PromptTemplate | None = None
    """The very version of a template to use, whatever the library holds: trials of one."""
    variables: dict[str, object] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    cache_control: str = ""
    """The request's `cache-control`; a step may set `no-store`, so that the answer is not kept."""

    received: list[Message] = field(default_factory=list)
    template_params: Params = field(default_factory=Params)
    """Inference parameters of the chosen prompt template."""
    only: frozenset[str] | None = None
    """Of a route, the models that meet what the template requires; None: any."""
    tools: Sequence[str] | None = None
    """The service's tools that the model may call; None: as the template says, else the pipeline."""
    max_rounds: int | None = None
    """Rounds of tool calls that the template allows; None: as the pipeline says."""
    consulted: list[Message] = field(default_factory=list)
    """What the model called of the service's tools, and what that gave, as the model reads it."""
    language: str | None = None
    """ISO 639-1 code of the last user message, as far as `normalize` could tell."""
    passages: Sequence[Passage] | None = None
    """What the answer may stand on and cite, `[1]` first; None: nothing was looked up."""
    is_held: bool = False
    """Whether its answer is held back at first, so that the time between pieces tells nothing."""
    searches: bool = False
    """Whether the model may search for passages itself while it answers."""
    findings: list[Finding] = field(default_factory=list)
    masks: MaskTable = field(default_factory=MaskTable)
    escalations: list[Escalation] = field(default_factory=list)
    """What a policy gives to a person to decide; goes into the review queue when the turn ends."""
    choices: list[Choice] = field(default_factory=list)
    """The answer as the user got it, complete once the stream has ended."""
    usage: Usage = field(default_factory=Usage)
    admission: Admission = FREE
    """What the turn has reserved of its limits; settled when it ends."""
    blocked: str | None = None
    """The policy's words, when a policy stopped the answer."""
    stop_generation: bool = False
    """A filter may set this once the rest of the answer can only be thrown away."""
    state: dict[str, object] = field(default_factory=dict)
    """For steps of one's own: whatever one step wants to tell a later one. Key: the step's name."""
    trace: Trace = field(default_factory=Trace)
    observe: TurnObserver | None = None
    is_shadow: bool = False
    """Whether it is a copy that nobody sees: it is traced, and not remembered or counted."""
    remembered_until: str = ""
    """Position of the last turn that its conversation had when it began; a copy sees no later one."""
    then: Callable[[], None] | None = None
    """Called once, when the turn has ended well and is recorded."""

    @property
    def id(self) -> str:
        return self.trace.id

    @property
    def question(self) -> str:
        """The last message of the user as it was sent, before anything was put around it."""
        return next(
            (m.text() for m in reversed(self.received or self.messages) if m.role == "user"), ""
        )

    @property
    def last_user_message(self) -> Message | None:
        return next((m for m in reversed(self.messages) if m.role == "user"), None)
