"""Scorers of this folder's own: a case, the answer's text, and a number for it."""


def brief(case: object, answer: str) -> float:
    """1 up to 200 characters, then less."""
    return min(1.0, 200 / max(1, len(answer)))
