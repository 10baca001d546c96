"""The check that may act: does the answer stand on the passages that were looked up for it?

`annotate` and `warn` let the answer flow and speak at its end. `ask_again` and `refuse` hold it
back until it is whole, for what has been shown cannot be taken back.
"""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.knowledge.passage import Passage
from headrace.pipeline.again import AskAgain
from headrace.pipeline.steps.check.judge import Judge, Judged
from headrace.pipeline.steps.check.words import correction, refusal, warning
from headrace.pipeline.steps.ground.known import FACTS
from headrace.pipeline.turn import Turn
from headrace.screening.finding import Action, Finding
from headrace.types import Delta, Deltas, Message

__all__ = ["GROUNDED", "GroundedCheck", "GroundedSettings", "OnUnsupported"]

OnUnsupported: TypeAlias = Literal["annotate", "warn", "ask_again", "refuse"]
GROUNDED = "check.grounded"
"""Where a turn's state says how its answer stood."""
_AGAIN = "check.again"
"""Where it says how often the model was asked again."""
_JUDGED_ENDS = ("stop", "length")


class GroundedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `check` holds answers against the passages (`check.grounded`)."""

    on_unsupported: OnUnsupported = "annotate"
    """What a claim does that no passage supports: marks it, adds a note for the user, asks the
    model once more with the claim named, or replaces the answer."""
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """Support below which a claim counts as unsupported."""
    max_again: Annotated[int, Meta(ge=1, le=3)] = 1
    """How often the model is asked again at most (`ask_again`)."""
    then: Literal["annotate", "warn", "refuse"] = "warn"
    """What happens when that did not help."""
    messages: dict[str, str] = {}
    """What the user reads in place of a refused answer, by language; absent: built-in words, in
    English and Chinese."""


class GroundedCheck:
    """Judges the answers of turns for which something was looked up."""

    def __init__(self, settings: GroundedSettings, judge: Judge) -> None:
        self._settings = settings
        self._judge = judge

    def watch(self, turn: Turn, deltas: Deltas) -> Deltas:
        """The answer, judged at its end."""
        if self._settings.on_unsupported in ("annotate", "warn"):
            return self._flowing(turn, deltas)
        return self._held(turn, deltas)

    async def _flowing(self, turn: Turn, deltas: Deltas) -> Deltas:
        texts: dict[int, list[str]] = {}
        async with aclosing(deltas) as upstream:
            async for delta in upstream:
                text = texts.setdefault(delta.index, [])
                text.append(delta.text)
                if delta.finish_reason in _JUDGED_ENDS and turn.passages is not None:
                    judged = await self._judge.judge("".join(text), _sources(turn))
                    self._conclude(turn, delta, judged, self._settings.on_unsupported)
                yield delta

    async def _held(self, turn: Turn, deltas: Deltas) -> Deltas:
        """Let nothing out before all of it is judged.

        Raises:
            AskAgain: for the pipeline.
        """
        async with aclosing(deltas) as upstream:
            held = [delta async for delta in upstream]
        if turn.passages is None:  # The model did without a search.
            for delta in held:
                yield delta
            return
        texts: dict[int, str] = {}
        ends: dict[int, Delta] = {}
        for delta in held:
            texts[delta.index] = texts.get(delta.index, "") + delta.text
            if delta.finish_reason in _JUDGED_ENDS:
                ends[delta.index] = delta
        judged = {index: await self._judge.judge(texts[index], _sources(turn)) for index in ends}
        action = self._action(turn, texts, judged)
        refused: set[int] = set()
        for index, end in ends.items():
            if action == "refuse" and _unsupported(judged[index]):
                self._note(turn, judged[index], "block")
                refused.add(index)
                end.text, end.logprobs = refusal(turn, self._settings.messages), None
                end.finish_reason = "stop"
            else:
                self._conclude(turn, end, judged[index], action)
        for delta in held:
            is_over = delta.usage is not None or delta.finish_reason is not None
            if is_over or delta.index not in refused:
                yield delta

    def _action(
        self, turn: Turn, texts: dict[int, str], judged: dict[int, list[Judged]]
    ) -> OnUnsupported:
        """What happens to the unsupported; raises AskAgain while that is left to try."""
        settings = self._settings
        wrong = {index: found for index, each in judged.items() if (found := _unsupported(each))}
        asked = turn.state.get(_AGAIN, 0)
        if settings.on_unsupported != "ask_again" or not wrong:
            return settings.on_unsupported
        assert isinstance(asked, int)
        if asked >= settings.max_again or not turn.passages:
            return settings.then
        index = min(wrong)
        hide = turn.masks.hide
        claims = [hide(each.sentence.text) for each in wrong[index]]
        # The first answer and the request about it stand in for those of an earlier try.
        prompt = turn.messages[: len(turn.messages) - 2] if asked else turn.messages
        raise AskAgain(
            [
                *prompt,
                Message(role="assistant", content=hide(texts[index])),
                Message(role="user", content=correction(turn, claims)),
            ],
            state={_AGAIN: asked + 1},
            findings=[_finding(each, "flag") for each in wrong[index]],
        )

    def _conclude(
        self, turn: Turn, end: Delta, judged: Sequence[Judged], action: OnUnsupported
    ) -> None:
        """Put onto the last delta of a choice what there is to say about it."""
        if judged:
            end.annotations = [*(end.annotations or ()), *(each.support for each in judged)]
        if action == "warn" and _unsupported(judged):
            end.text += warning(turn)
        self._note(turn, judged, "flag")

    def _note(self, turn: Turn, judged: Sequence[Judged], action: Action) -> None:
        wrong = _unsupported(judged)
        turn.findings += [_finding(each, action) for each in wrong]
        if not judged:
            said = "not checked: the answer claims nothing"
        elif not wrong:
            said = "ok"
        else:
            said = f"{len(wrong)} of {len(judged)} claims are not supported"
            said += ", refused" if action == "block" else ""
        results = turn.state.setdefault(GROUNDED, [])
        assert isinstance(results, list)
        results.append(said)


def _sources(turn: Turn) -> Sequence[Passage]:
    """What the answer may stand on: its passages, and what is known of names in the question."""
    passages = tuple(turn.passages or ())
    facts = turn.state.get(FACTS)
    if not isinstance(facts, list) or not facts:
        return passages
    text = "\n".join(map(str, facts))
    known = Passage(
        id="entities", uri="entities", title="", headings=(), page=None, start=0, end=len(text),
        text=text, score=1.0,
    )  # fmt: skip
    return (*passages, known)


def _unsupported(judged: Sequence[Judged]) -> list[Judged]:
    return [each for each in judged if not each.support.supported]


def _finding(judged: Judged, action: Action) -> Finding:
    return Finding(
        kind="ungrounded",
        detector="groundedness",
        side="output",
        action=action,
        start=judged.support.start,
        end=judged.support.end,
        score=round(1 - judged.support.score, 3),
    )
