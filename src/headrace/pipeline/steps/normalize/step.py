"""The step `normalize`: user messages repaired before anything reads them, language identified."""

from importlib.metadata import version
from typing import Literal, Self

from headrace.pipeline.pace import Pace
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.steps.normalize.language import identify, load_profiles
from headrace.pipeline.steps.normalize.passage import prose
from headrace.pipeline.steps.normalize.text import Repair, normalize_text
from headrace.pipeline.turn import Turn
from headrace.types import Message

__all__ = ["NormalizeSettings", "NormalizeStep"]


class NormalizeSettings(Settings, frozen=True, kw_only=True):
    """Settings of `normalize`."""

    language: bool = True
    """Identify the language of the last user message, for the steps after this one."""
    spelling: Literal["off", "en"] = "off"
    """Correct spelling in messages of this language; names, code and numbers are left alone."""


class NormalizeStep(Step[NormalizeSettings]):
    """Repairs the text of user messages; other roles and code stay as they are."""

    name = "normalize"
    Settings = NormalizeSettings

    def __init__(self, settings: NormalizeSettings, speller: Repair | None = None) -> None:
        super().__init__(settings)
        self._speller = speller

    @classmethod
    def build(cls, settings: NormalizeSettings, context: BuildContext) -> Self:
        del context
        load_profiles()
        if settings.spelling == "off":
            return cls(settings)
        # Loads a dictionary of 80,000 words, so only where it is asked for.
        from headrace.pipeline.steps.normalize.spelling import Speller

        return cls(settings, Speller.load().correct)

    def digest_inputs(self) -> object:
        return {"symspellpy": version("symspellpy")} if self._speller is not None else None

    async def prepare(self, turn: Turn) -> None:
        changes: dict[str, int] = {}
        pace = Pace()
        messages = list(turn.messages)
        for index, message in enumerate(messages):
            if message.role == "user":
                await pace.rest()
                messages[index] = self._normalize(message, changes, trim=turn.kind == "chat")
        turn.messages = messages
        last = turn.last_user_message
        if self.settings.language and last is not None:
            turn.language = identify(prose(last.text()))
        turn.state[self.name] = changes

    def _normalize(self, message: Message, changes: dict[str, int], *, trim: bool) -> Message:
        def repaired(text: str) -> str:
            done = normalize_text(text, trim=trim)
            if self._speller is not None and identify(prose(done.text)) == self.settings.spelling:
                done = normalize_text(text, trim=trim, spelling=self._speller)
            for kind, places in done.changes.items():
                changes[kind] = changes.get(kind, 0) + places
            return done.text

        return message.map_text(repaired)
