"""Scorers that compare the answer's text with the target or a pattern; none judges meaning."""

import re
from collections.abc import Callable

from headrace.evaluation import text
from headrace.evaluation.scorer import Maker, Scorer, Settings, Tools, only, plain, target_of

__all__ = ["comparing", "numeric", "regex"]


def comparing(compare: Callable[[str, str], float]) -> Maker:
    """A maker for a function of answer and target."""

    def make(settings: Settings, tools: Tools) -> Scorer:
        del tools
        only(settings)
        return plain(lambda case, answer: compare(answer, target_of(case)))

    return make


def regex(settings: Settings, tools: Tools) -> Scorer:
    """`pattern`, or the case's target, is found in the answer."""
    del tools
    only(settings, "pattern")
    pattern = settings.get("pattern")
    if pattern is None:
        return plain(lambda case, answer: text.regex(answer, _compiled(target_of(case))))
    if not isinstance(pattern, str):
        raise ValueError("`pattern` is text")  # noqa: TRY004  # the suite is wrong, not the caller
    _compiled(pattern)
    return plain(lambda case, answer: text.regex(answer, pattern))


def numeric(settings: Settings, tools: Tools) -> Scorer:
    """The answer's last number is the target, give or take `tolerance`."""
    del tools
    only(settings, "tolerance")
    tolerance = settings.get("tolerance", 0.0)
    if not isinstance(tolerance, int | float) or isinstance(tolerance, bool) or tolerance < 0:
        raise ValueError("`tolerance` is a number from 0")
    return plain(
        lambda case, answer: text.numeric(answer, float(target_of(case)), tolerance=tolerance)
    )


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern
