"""Puts passages and the conversation so far in front of the message; remembers what was said."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self

import msgspec
from msgspec import Meta

from headrace.errors import ConfigError, ContextTooLong
from headrace.models.box import ModelBox
from headrace.models.model import Target
from headrace.pipeline.citation import MarkerFilter, marked
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.memory import History, Line, RememberedTurn, Summary
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.steps.ground.block import Block, blocks
from headrace.pipeline.steps.ground.fit import Counter, fit
from headrace.pipeline.steps.ground.known import Knower
from headrace.pipeline.steps.ground.lookup import KnowledgeSettings, Lookup
from headrace.pipeline.steps.ground.overlap import overlap
from headrace.pipeline.steps.ground.summary import INSTRUCTION, Summariser, summary_messages
from headrace.pipeline.turn import Turn
from headrace.types import Choice, Citation, Deltas, Message

if TYPE_CHECKING:
    from headrace.pipeline.tools.toolbox import Toolbox

__all__ = ["GroundSettings", "GroundStep"]

ANSWER_TOKENS = 512
"""Room for the answer when neither request, template nor model says how long it may be."""


class GroundSettings(Settings, frozen=True, kw_only=True):
    """Settings of `ground`."""

    history: bool = True
    """Whether earlier turns of the conversation come along; off remembers them all the same."""
    budget_tokens: Annotated[int, Meta(ge=64)] | None = None
    """Tokens up to which a prompt is filled with earlier turns; absent: the model's context less
    what the answer may take. New messages stay whatever they take, as long as the model holds them.
    """
    max_turns: Annotated[int, Meta(ge=1)] | None = None
    """Most earlier turns that come along; absent: as many as fit."""
    summary: Literal["none", "rolling"] = "none"
    """`rolling`: what no longer fits is summarised by the model, after the turn."""
    summary_tokens: Annotated[int, Meta(ge=16, le=2048)] = 160
    """Longest summary, in tokens."""
    knowledge: KnowledgeSettings | None = None
    """What is looked up in the knowledge base; `{}` takes the defaults, absent: nothing."""


@dataclass(frozen=True, slots=True)
class _Memory:
    """What the end of a turn needs from its beginning."""

    history: History
    lines: tuple[Line, ...]
    """What the request adds to the conversation."""
    shown: "_Shown"


@dataclass(frozen=True, slots=True)
class _Shown:
    """What of the conversation the model was shown, and what not."""

    dropped: Sequence[RememberedTurn] = ()
    """Turns that did not fit and that no summary covers yet."""
    begin: int = 0
    """Index of the first message that was put in."""
    positions: Sequence[str] = ()
    """For each message that was put in, the position of what it is from."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What comes along, and the tokens of the whole prompt if they had to be counted."""

    recap: Sequence[Message]
    blocks: Sequence[Block]
    tokens: int | None


_MEMORY = "ground.memory"
_UNKNOWN = "ground.unknown"


class GroundStep(Step[GroundSettings]):
    """Grounds a turn in its conversation and in the knowledge base.

    Without either, requests pass at no cost. The messages of a request without a conversation
    are the client's: nothing of them is dropped, and the backend counts them.
    """

    name = "ground"
    Settings = GroundSettings

    def __init__(
        self,
        settings: GroundSettings,
        models: ModelBox,
        conversations: ConversationStore,
        lookup: Lookup | None = None,
        toolbox: "Toolbox | None" = None,
    ) -> None:
        super().__init__(settings)
        self._toolbox = toolbox
        self._models = models
        self._conversations = conversations
        self._lookup = lookup
        self._answer: Callable[[Turn], Deltas] | None = None
        self._summariser = (
            Summariser(conversations, max_tokens=settings.summary_tokens)
            if settings.summary == "rolling"
            else None
        )

    @classmethod
    def build(cls, settings: GroundSettings, context: BuildContext) -> Self:
        """Raises ConfigError when there is nothing to look things up in."""
        lookup = None
        if settings.knowledge is not None:
            knows_names = context.entities is not None and not context.entities.is_empty
            if context.knowledge is None and not knows_names:
                raise ConfigError(
                    "pipeline: ground.knowledge is set, but the service has no knowledge base",
                    hint="declare one under `knowledge:`, or names in entities.yaml, or remove it",
                )
            knower = None
            if context.entities is not None:
                knower = Knower(context.entities, settings.knowledge.timezone)
            lookup = Lookup(settings.knowledge, context.knowledge, context.models, knower)
        return cls(settings, context.models, context.conversations, lookup, context.toolbox)

    def digest_inputs(self) -> object:
        return {
            **({"summary": INSTRUCTION} if self._summariser is not None else {}),
            **(self._lookup.digest_inputs() if self._lookup is not None else {}),
        } or None

    def compiled(self, answer: Callable[[Turn], Deltas]) -> None:
        self._answer = answer

    async def prepare(self, turn: Turn) -> None:
        """Put passages and earlier turns in place.

        Raises:
            InvalidRequest: that cannot be a conversation's id.
            StateUnusable: the conversation cannot be read now.
            ContextTooLong: the new messages alone do not fit.
        """
        if turn.kind == "completion":
            return
        if turn.conversation is None:
            if self._lookup is not None:
                await self._lookup.ground(turn, _previous(turn.received[:-1]))
            return
        history = await self._conversations.history(turn.principal.key_id, turn.conversation)
        if not turn.is_shadow:
            turn.remembered_until = history.turns[-1].position if history.turns else ""
        usable = [
            each
            for each in history.turns
            if each.is_usable
            and each.position not in history.withheld
            and each.position <= turn.remembered_until
        ]
        ahead = _ahead(turn)
        said = _without_system(turn.received)
        known = overlap([each.messages for each in usable], said)
        new = len(said) - known.repeated
        seen = _without_system(turn.messages)
        lines = _lines(said[known.repeated :], seen[max(0, len(seen) - new) :])
        if self._lookup is not None:
            earlier = [m for each in usable[: known.turns] for m in each.for_model]
            await self._lookup.ground(turn, _previous([*earlier, *turn.received[:-1]]))
        shown = _Shown()
        if self.settings.history:
            shown = await self._ground(turn, history, usable[: known.turns], ahead)
        turn.state[_MEMORY] = _Memory(history, lines, shown)

    async def _ground(
        self, turn: Turn, history: History, turns: Sequence[RememberedTurn], ahead: int
    ) -> _Shown:
        """Put what fits of `turns` at `ahead`."""
        model = self._models.get(turn.model)
        summary = self._summary(history)
        covered = sum(each.position <= summary.until for each in turns) if summary else 0
        start = max(covered, _start(history, turns, model.name), self._oldest(turns))
        front, behind = turn.messages[:ahead], turn.messages[ahead:]
        recap = summary_messages(summary, turn.language) if summary is not None else []
        budget = self._budget(turn, model)
        chosen = await _choose(front, recap, turns[start:], behind, budget, model)
        if chosen.tokens is not None and chosen.tokens >= model.context_tokens:
            raise ContextTooLong.counted(chosen.tokens, model.context_tokens, model.name)
        put = [message for block in chosen.blocks for message in block.messages]
        turn.messages = [*front, *chosen.recap, *put, *behind]
        first = len(turns)
        if chosen.blocks:
            first = next(i for i, each in enumerate(turns) if each is chosen.blocks[0].turns[0])
        if chosen.blocks and not turn.is_shadow:
            history.starts[model.name] = chosen.blocks[0].position
        looked_up = turn.state.get(self.name)
        turn.state[self.name] = {
            **(looked_up if isinstance(looked_up, dict) else {}),
            "turns": sum(len(block.turns) for block in chosen.blocks),
            "dropped": first,
            "summarised": covered,
            "budget_tokens": budget,
            "summary": bool(chosen.recap),
            **({} if chosen.tokens is None else {"tokens": chosen.tokens}),
        }
        origins = [summary.until] * len(chosen.recap) if summary is not None else []
        origins += [position for block in chosen.blocks for position in block.positions()]
        return _Shown(turns[covered:first], ahead, origins)

    def _summary(self, history: History) -> Summary | None:
        """The summary to show, if it is wanted and was not refused by a policy lately."""
        summary = history.summary if self._summariser is not None else None
        return None if summary is None or summary.until in history.withheld else summary

    def transform(self, turn: Turn, deltas: Deltas) -> Deltas:
        """Markers of passages in one form; none of passages that are not there."""
        if turn.passages is None:
            return deltas

        def note(markers: MarkerFilter) -> None:
            unknown = turn.state.get(_UNKNOWN, 0)
            assert isinstance(unknown, int)
            turn.state[_UNKNOWN] = unknown + markers.unknown

        return marked(turn, deltas, note)

    async def complete(self, turn: Turn) -> None:
        """Say on the step's span what the answer cites."""
        if turn.passages is None:
            return
        unknown = turn.state.get(_UNKNOWN, 0)
        assert isinstance(unknown, int)
        cited = {
            each.number
            for choice in turn.choices
            for each in choice.annotations
            if isinstance(each, Citation)
        }
        for span in turn.trace.spans:
            if span.name == self.name:
                span.attributes["headrace.ground.cited"] = len(cited)
                span.attributes["headrace.ground.unknown_citations"] = unknown

    def ended(self, turn: Turn) -> None:
        """Remember what was said: the question and as much of the answer as the user got."""
        memory = turn.state.pop(_MEMORY, None)
        if not isinstance(memory, _Memory) or not memory.lines or turn.is_shadow:
            return
        if turn.trace.status == "blocked":
            _withhold(turn, memory)
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
        if self._summariser is not None and self._answer is not None and memory.shown.dropped:
            self._summariser.cover(memory.history, memory.shown.dropped, turn, self._answer)

    def _oldest(self, turns: Sequence[RememberedTurn]) -> int:
        limit = self.settings.max_turns
        return max(0, len(turns) - limit) if limit is not None else 0

    def _budget(self, turn: Turn, model: Target) -> int:
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
        if self._toolbox is not None:
            budget -= self._toolbox.offered_bytes(turn.tools, turn.principal)
        return budget


def _ahead(turn: Turn) -> int:
    """Where the conversation begins: behind what the template and the client put in front."""
    said = turn.state.get("template")
    if isinstance(said, dict) and isinstance(ahead := said.get("ahead"), int):
        return ahead
    roles = [each.role in ("system", "developer") for each in turn.messages]
    return next((i for i, is_system in enumerate(roles) if not is_system), len(roles))


def _previous(messages: Sequence[Message]) -> str:
    """What the user asked last among these; empty for nothing."""
    return next((each.text() for each in reversed(messages) if each.role == "user"), "")


def _lines(said: Sequence[Message], seen: Sequence[Message]) -> tuple[Line, ...]:
    """What is new, as it was sent and, where earlier steps changed it, as the model sees it."""
    if [each.role for each in said] != [each.role for each in seen]:
        # A step of someone's own has made other messages of them.
        return tuple(map(Line, said))
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


async def _choose(
    front: Sequence[Message],
    recap: Sequence[Message],
    turns: Sequence[RememberedTurn],
    behind: Sequence[Message],
    budget: int,
    model: Target,
) -> _Chosen:
    """What of `recap` and `turns` fits between `front` and `behind`."""
    counter = Counter(model.count_tokens, model.token_upper_bound)
    candidates = blocks(turns, behind)
    held: list[Block] = []
    if candidates and behind and behind[0].role in ("tool", "function"):
        # The call that a new result answers has to stay with it.
        held = [candidates.pop()]
    needed = [*(message for block in held for message in block.messages), *behind]
    fitted = await fit(
        [*front, *recap], [each.messages for each in candidates], needed, budget, counter
    )
    kept, tokens = candidates[fitted.first :], fitted.tokens
    if recap and not kept and tokens is not None and tokens > budget:
        recap, tokens = [], await counter.exact([*front, *needed])
    return _Chosen(recap, [*kept, *held], tokens)


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """What was said: instructions belong to their request, not to the conversation."""
    return [each for each in messages if each.role not in ("system", "developer")]


def _withhold(turn: Turn, memory: _Memory) -> None:
    """Show no more of what the prompt was refused for, if it came from the conversation.

    A policy that was made stricter would otherwise refuse every further turn of it.
    """
    shown = memory.shown
    for finding in turn.findings:
        if finding.side == "input" and finding.action == "block" and finding.message is not None:
            index = finding.message - shown.begin
            if 0 <= index < len(shown.positions):
                memory.history.withheld.add(shown.positions[index])


def _answer_of(choices: Sequence[Choice]) -> Message | None:
    """The first choice as a message; None when nothing of it was given."""
    for choice in choices:
        # Calls of an answer that was cut off may be cut off too.
        calls = choice.tool_calls if choice.finish_reason is not None else []
        # A refusal was shown in the answer's place, and so it is remembered.
        if (text := choice.text or choice.refusal) or calls:
            return Message(role="assistant", content=text or None, tool_calls=calls or None)
    return None
