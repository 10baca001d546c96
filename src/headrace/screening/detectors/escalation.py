"""The kind `escalation`: an attack that is spread over the turns of a conversation."""

from collections.abc import Iterable

from headrace.screening.finding import Span

__all__ = ["EscalationDetector"]


class EscalationDetector:
    """Stands for `screening/injection/conversation.py` in the list of detectors: one text alone cannot
    tell, so the step `screen` asks that with all messages, and this one finds nothing.
    """

    name = "escalation"
    kinds = ("escalation",)
    window = 1
    languages = ("en", "zh")
    cost_us = 1
    wakes: tuple[tuple[str, str], ...] = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterable[Span]:
        del text, start
        return ()

    def pending(self, text: str, start: int) -> int:
        del start
        return len(text)
