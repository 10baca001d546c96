"""Scorers of what an answer took and of what a policy finds in it."""

from collections.abc import Callable

from headrace.errors import HeadraceError
from headrace.evaluation.ask import Answer
from headrace.evaluation.scorer import Maker, Score, Scored, Scorer, Settings, Tools, only
from headrace.screening.match import find_matches
from headrace.screening.policy import Policy, PolicyLibrary

__all__ = ["at_most", "screening"]


def at_most(setting: str, measure: Callable[[Answer], float]) -> Maker:
    """A maker: 1 when the answer took no more than the setting says."""

    def make(settings: Settings, tools: Tools) -> Scorer:
        del tools
        only(settings, setting)
        most = settings.get(setting)
        if not isinstance(most, int | float) or isinstance(most, bool) or most <= 0:
            raise ValueError(f"`{setting}` is a number over 0")

        async def score(scored: Scored) -> Score:
            took = measure(scored.answer)
            return Score(value=float(took <= most), note=f"{took:.4g}")

        return Scorer(score)

    return make


def screening(settings: Settings, tools: Tools) -> Scorer:
    """1 when `policy` would neither mask nor block any of the answer; flags do not count."""
    only(settings, "policy")
    name = settings.get("policy")
    if not isinstance(name, str):
        raise ValueError("`policy` names a policy")  # noqa: TRY004  # the suite is wrong
    policy = _policy(name, tools)

    async def score(scored: Scored) -> Score:
        rules = policy.output
        found = find_matches(scored.answer.text, 0, rules.acting, rules)
        kinds = sorted({each.kind for each in found if each.action in ("mask", "block")})
        return Score(value=float(not kinds), note=", ".join(kinds))

    return Scorer(score)


def _policy(name: str, tools: Tools) -> Policy:
    try:
        return PolicyLibrary.load(tools.root, tools.environ).get(name)
    except HeadraceError as error:
        raise ValueError(f"{error.message}; {error.hint}".strip("; ")) from None
