"""The step `refine`: which repairs an answer gets."""

import re
from typing import Annotated, Literal

from msgspec import Meta

from headrace.pipeline.step import Channel, Settings, Step, TextFilter
from headrace.pipeline.steps.refine.doubled_word import DOUBLED, UndoubleWords
from headrace.pipeline.steps.refine.filter import RefineFilter
from headrace.pipeline.steps.refine.loop import LoopStop
from headrace.pipeline.steps.refine.span import SpanFilter
from headrace.pipeline.steps.refine.tally import Tally
from headrace.pipeline.steps.refine.template_token import TemplateTokens
from headrace.pipeline.steps.refine.typography import Typography
from headrace.pipeline.steps.refine.unfinished import DropUnfinished
from headrace.pipeline.steps.refine.whitespace import TidyWhitespace
from headrace.pipeline.turn import Turn

__all__ = ["RefineSettings", "RefineStep"]

_ASKS_TO_REPEAT = re.compile(
    r"\brepeat|\btimes\b|\bagain and again\b|wiederhol|\bmal\b|répèt|\bfois\b|repit|\bveces\b"
    r"|重复|重複|遍|次|繰り返|回|반복|번|повтор|\bраз\b",
    re.IGNORECASE,
)
_PATIENCE = 25
"""How many times more repeats are let through when the user asked for repetition."""


class RefineSettings(Settings, frozen=True, kw_only=True):
    """Settings of `refine`."""

    max_repeats: Annotated[int, Meta(ge=0)] = 4
    """How often the same words may come in a row before the answer ends there; 0: any number."""
    doubled_words: bool = True
    """Make "the the" one "the" in English answers."""
    drop_unfinished: bool = False
    """Drop the last sentence of an answer cut by length; the text then comes in sentences."""
    typography: Literal["off", "auto"] = "off"
    """Quotes and spacing as the user's language has them (`auto`), or as the model wrote them."""


class RefineStep(Step[RefineSettings]):
    """Repairs the shown answer as it streams; reasoning, JSON and tool calls pass untouched."""

    name = "refine"
    Settings = RefineSettings

    def filter(self, turn: Turn, channel: Channel, index: int) -> TextFilter | None:
        del index
        if channel != "text" or _is_structured(turn):
            return None
        counts = turn.state.setdefault(self.name, {})
        assert isinstance(counts, dict)
        tally = Tally(turn, counts)
        return RefineFilter(tally, self._filters(turn, tally))

    def _filters(self, turn: Turn, tally: Tally) -> list[SpanFilter]:
        question = turn.question
        filters: list[SpanFilter] = [TemplateTokens(tally)]
        if self.settings.max_repeats:
            patience = _PATIENCE if _ASKS_TO_REPEAT.search(question) else 1
            filters.append(LoopStop(tally, self.settings.max_repeats * patience))
        english = turn.language in (None, "en")
        # Who asks about doubled words must get them quoted.
        if self.settings.doubled_words and english and DOUBLED.search(question) is None:
            filters.append(UndoubleWords(tally))
        if self.settings.drop_unfinished:
            filters.append(DropUnfinished(tally))
        if self.settings.typography == "auto" and turn.language is not None:
            filters.append(Typography(tally, turn.language))
        filters.append(TidyWhitespace(tally, edges=turn.kind == "chat"))
        return filters


def _is_structured(turn: Turn) -> bool:
    """Whether the answer must be JSON, in which every character counts."""
    wanted = turn.params.response_format or turn.template_params.response_format
    return wanted is not None and wanted.get("type") != "text"
