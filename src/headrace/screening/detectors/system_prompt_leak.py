"""The kind `system_prompt_leak`: a system prompt in an answer."""

from collections.abc import Iterable

from headrace.screening.finding import Span

__all__ = ["SystemPromptLeakDetector"]


class SystemPromptLeakDetector:
    """Stands for `screening/injection/leak.py` in the list of detectors: what it looks for is another in
    each turn, so the step `screen` asks that filter, and this one finds nothing in a text alone.
    """

    name = "system_prompt_leak"
    kinds = ("system_prompt_leak",)
    window = 1
    languages = ("any",)
    cost_us = 1
    wakes: tuple[tuple[str, str], ...] = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterable[Span]:
        del text, start
        return ()

    def pending(self, text: str, start: int) -> int:
        del start
        return len(text)
