"""Puts the conversation so far in front of the new message, and remembers what was said."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from headrace.errors import ContextTooLong
from headrace.models.box import Model, ModelBox
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.memory import History, Line, RememberedTurn
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.steps.ground.fit import Counter, Fit, fit
from headrace.pipeline.steps.ground.overlap import overlap
from headrace.pipeline.steps.ground.summary import INSTRUCTION, Summariser, summary_messages
from headrace.pipeline.turn import Turn
from headrace.types import Choice, Deltas, Message

__all__ = ["GroundSettings", "GroundStep"]

ANSWER_TOKENS = 512
"""Room for the answer when neither request, template nor model says how long it may be."""


class GroundSettings(Settings, frozen=True, kw_only=True):
    """Settings of `ground`."""

    history: bool = True
    """Whether earlier turns of the conversation come along; off remembers them all the same."""
    budget_tokens: Annotated[int, Meta(ge=64)] | None = None
    """Most tokens a prompt may have; absent: the model's context less what the answer may take."""
    max_turns: Annotated[int, Meta(ge=1)] | None = None
    """Most earlier turns that come along; absent: as many as fit."""
    summary: Literal["none", "rolling"] = "none"
    """`rolling`: what no longer fits is summarised by the model, after the turn."""
    summary_tokens: Annotated[int, Meta(ge=16, le=2048)] = 160
    """Longest summary, in tokens."""


@dataclass(frozen=True, slots=True)
class _Memory:
    """What the end of a turn needs from its beginning."""

    history: History
    lines: tuple[Line, ...]
    """What the request adds to the conversation."""
    dropped: Sequence[RememberedTurn]
    """Turns that did not fit and that no summary covers yet."""


_MEMORY = "ground.memory"


class GroundStep(Step[GroundSettings]):
    """Grounds a turn in its conversation; requests without one pass at no cost."""

    name = "ground"
    Settings = GroundSettings

    def __init__(
        self, settings: GroundSettings, models: ModelBox, conversations: ConversationStore
    ) -> None:
        super().__init__(settings)
        self._models = models
        self._conversations = conversations
        self._answer: Callable[[Turn], Deltas] | None = None
        self._summariser = (
            Summariser(conversations, max_tokens=settings.summary_tokens)
            if settings.summary == "rolling"
            else None
        )

    @classmethod
    def build(cls, settings: GroundSettings, context: BuildContext) -> Self:
        return cls(settings, context.models, context.conversations)

    def digest_inputs(self) -> object:
        return {"summary": INSTRUCTION} if self._summariser is not None else None

    def compiled(self, answer: Callable[[Turn], Deltas]) -> None:
        self._answer = answer

    async def prepare(self, turn: Turn) -> None:
        """Put earlier turns in place.

        Raises:
            InvalidRequest: that cannot be a conversation's id.
            StateUnusable: the conversation cannot be read now.
            ContextTooLong: the new messages alone do not fit.
        """
        if turn.conversation is None or turn.kind == "completion":
            return
        history = await self._conversations.history(turn.principal.key_id, turn.conversation)
        usable = [each for each in history.turns if each.is_usable]
        ahead = _ahead(turn)
        said = [each for each in turn.received if each.role not in ("system", "developer")]
        known = overlap([each.messages for each in usable], said)
        new = len(said) - known.repeated
        lines = _lines(said[known.repeated :], turn.messages[len(turn.messages) - new :])
        dropped: Sequence[RememberedTurn] = ()
        if self.settings.history:
            dropped = await self._ground(turn, history, usable[: known.turns], ahead)
        turn.state[_MEMORY] = _Memory(history, lines, dropped)

    async def _ground(
        self, turn: Turn, history: History, turns: Sequence[RememberedTurn], ahead: int
    ) -> Sequence[RememberedTurn]:
        """Put what fits of `turns` at `ahead`; gives those that did not fit and should not be lost."""
        model = self._models.get(turn.model)
        summary = history.summary if self._summariser is not None else None
        covered = sum(each.position <= summary.until for each in turns) if summary else 0
        start = max(covered, _start(history, turns, model.name), self._oldest(turns))
        before = [*turn.messages[:ahead]]
        if summary is not None:
            before += summary_messages(summary, turn.language)
        budget = self._budget(turn, model)
        counter = Counter(model.count_tokens, model.token_upper_bound)
        behind = turn.messages[ahead:]
        fitted = await fit(
            before, [each.for_model for each in turns[start:]], behind, budget, counter
        )
        first = start + fitted.first
        _check(turn, model, fitted, alone=first == len(turns) and summary is None)
        if first < len(turns) and first:
            history.starts[model.name] = turns[first].position
        kept = [message for each in turns[first:] for message in each.for_model]
        turn.messages = [*before, *kept, *behind]
        turn.state[self.name] = {
            "turns": len(turns) - first,
            "dropped": first,
            "budget_tokens": budget,
            "summary": summary is not None,
            **({} if fitted.tokens is None else {"tokens": fitted.tokens}),
        }
        return turns[covered:first]

    def ended(self, turn: Turn) -> None:
        """Remember what was said: the question and as much of the answer as the user got."""
        memory = turn.state.pop(_MEMORY, None)
        if not isinstance(memory, _Memory) or not memory.lines:
            return
        answer = _answer_of(turn.choices)
        lines = memory.lines if answer is None else (*memory.lines, Line(answer))
        self._conversations.remember(
            memory.history,
            turn.id,
            lines,
            subject=turn.subject,
            # A question that was refused or failed is shown, but would mislead the next answer.
            is_usable=answer is not None and turn.trace.status in ("ok", "cancelled"),
        )
        if self._summariser is not None and self._answer is not None and memory.dropped:
            self._summariser.cover(memory.history, memory.dropped, turn, self._answer)

    def _oldest(self, turns: Sequence[RememberedTurn]) -> int:
        limit = self.settings.max_turns
        return max(0, len(turns) - limit) if limit is not None else 0

    def _budget(self, turn: Turn, model: Model) -> int:
        """Tokens that the prompt may have."""
        context = model.context_tokens
        asked = turn.params.max_tokens or turn.template_params.max_tokens or model.params.max_tokens
        budget = context - min(asked or ANSWER_TOKENS, context // 2)
        if self.settings.budget_tokens is not None:
            budget = min(budget, self.settings.budget_tokens)
        if turn.params.tools:
            # Tools become part of the prompt, but the tokenizer is only asked about messages; a
            # token has at least a byte.
            budget -= len(msgspec.json.encode(turn.params.tools))
        return budget


def _ahead(turn: Turn) -> int:
    """Where the conversation begins: behind what the template and the client put in front."""
    said = turn.state.get("template")
    if isinstance(said, dict) and isinstance(ahead := said.get("ahead"), int):
        return ahead
    roles = [each.role in ("system", "developer") for each in turn.messages]
    return next((i for i, is_system in enumerate(roles) if not is_system), len(roles))


def _lines(said: Sequence[Message], seen: Sequence[Message]) -> tuple[Line, ...]:
    """What is new, as it was sent and, where earlier steps changed it, as the model sees it."""
    return tuple(
        Line(message, None if message == shown else shown)
        for message, shown in zip(said, seen, strict=True)
    )


def _start(history: History, turns: Sequence[RememberedTurn], model: str) -> int:
    """Where the last prompt of this model began, so that this one has the same prefix."""
    position = history.starts.get(model)
    if position is None:
        return 0
    return next((i for i, each in enumerate(turns) if each.position >= position), 0)


def _check(turn: Turn, model: Model, fitted: Fit, *, alone: bool) -> None:
    """Raises ContextTooLong when the new messages alone leave no room for an answer."""
    limit = model.context_tokens
    if alone and fitted.tokens is not None and fitted.tokens >= limit:
        raise ContextTooLong.counted(fitted.tokens, limit, turn.model or model.name)


def _answer_of(choices: Sequence[Choice]) -> Message | None:
    """The first choice as a message; None when nothing of it was given."""
    for choice in choices:
        if choice.text or choice.tool_calls:
            return Message(
                role="assistant", content=choice.text or None, tool_calls=choice.tool_calls or None
            )
    return None
