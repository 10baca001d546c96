"""The step `footer`: a line below every answer."""

from headrace.pipeline.step import Channel, Settings, Step, TextFilter
from headrace.pipeline.turn import Turn
from headrace.types import FinishReason


class FooterSettings(Settings, frozen=True, kw_only=True):
    """Settings of `footer`."""

    text: str
    """The line."""


class FooterStep(Step[FooterSettings]):
    """Adds the line once the answer has ended by itself, whatever it was."""

    name = "footer"
    Settings = FooterSettings

    def filter(self, turn: Turn, channel: Channel, index: int) -> TextFilter | None:
        return Footer(self.settings.text) if channel == "text" else None


class Footer:
    """Passes the answer on as it streams, then adds the line."""

    def __init__(self, text: str) -> None:
        self.text = text

    def push(self, text: str) -> str:
        return text

    def finish(self, reason: FinishReason | None) -> str:
        return f"\n\n{self.text}" if reason == "stop" else ""
