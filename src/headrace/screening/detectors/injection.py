"""Signs of prompt injection: text that tries to give the model other orders than the service did."""

from collections.abc import Iterator

from headrace.screening.finding import Span
from headrace.screening.injection.assessment import assess

__all__ = ["LEAST", "InjectionDetector"]

LEAST = 0.2
"""Scores below are nothing to speak of."""


class InjectionDetector:
    """Scores a text for attempts to override the service's orders, to get its instructions out, to
    give the model a role without rules: named signs (`screening/injection/pattern.py`), also in what
    the text hides (`view.py`), and a trained classifier. English and Chinese; a little of ten others.

    One match per text, at its strongest sign; evidence of different kinds adds up (`1 - Π(1 - s)`).
    0.5 is what one harmless text in a hundred reaches, 0.9 one in a thousand. Does not catch: ciphers
    that view.py does not read, attacks in pictures or files, harmful requests that do not touch the
    model's orders. Quoting an attack is scored like the attack.
    """

    name = "injection"
    kinds = ("injection",)
    window = None
    languages = ("en", "zh")
    cost_us = 600

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        found = assess(text[start:])
        if found is not None and found.score >= LEAST:
            yield Span(
                "injection",
                start + found.start,
                start + found.end,
                score=found.score,
                note=found.why,
            )
