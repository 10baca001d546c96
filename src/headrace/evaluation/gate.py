"""Whether a run may pass: thresholds, floors, ceilings, and no significant regression."""

from collections.abc import Iterator

from headrace.evaluation.run import Run
from headrace.evaluation.statistic import Difference, paired
from headrace.evaluation.suite import Gate

__all__ = ["breaches", "compared", "percentile"]

LEVEL = 0.05


def breaches(run: Run, gate: Gate, baseline: Run | None = None) -> list[str]:
    """What does not hold, each in a sentence that says by how much; empty when the run passes."""
    return [*_scores(run, gate), *_ceilings(run, gate), *_regressions(run, gate, baseline)]


def compared(baseline: Run, candidate: Run, scorer: str) -> Difference | None:
    """The difference over the cases that both answered; None when there are none."""
    before, after = baseline.by_case(scorer), candidate.by_case(scorer)
    both = [case for case in after if case in before]
    if not both:
        return None
    return paired([before[case] for case in both], [after[case] for case in both])


def percentile(values: list[float], share: float) -> float:
    """The least value that `share` of them do not exceed; there must be one."""
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]


def _scores(run: Run, gate: Gate) -> Iterator[str]:
    for name, least in gate.scores.items():
        found = list(run.by_case(name).values())
        if not found:
            yield f"{name}: nothing was scored, at least {least:g} is asked"
        elif (mean := sum(found) / len(found)) < least:
            yield f"{name}: {mean:.3f} is {least - mean:.3f} below {least:g}"
    for name, least in gate.floors.items():
        for each in run.results:
            score = each.scores.get(name)
            if score is not None and score < least:
                yield f"{name}: case {each.case!r} has {score:.3f}, the floor is {least:g}"


def _ceilings(run: Run, gate: Gate) -> Iterator[str]:
    answers = [each.answer for each in run.results if each.answer is not None]
    errors = len(run.results) - len(answers)
    if errors > gate.max_errors:
        yield f"errors: {errors}, at most {gate.max_errors} are allowed"
    missing = [why for each in run.results for why in each.unscored.values()]
    if len(missing) > gate.max_errors:
        yield f"unscored: {len(missing)}, at most {gate.max_errors} are allowed ({missing[0]})"
    for name, most, values in (
        ("ttft_p95", gate.max_ttft_p95_s, [a.ttft_s for a in answers if a.ttft_s is not None]),
        ("total_p95", gate.max_total_p95_s, [a.total_s for a in answers]),
    ):
        if most is None:
            continue
        if not values:
            yield f"{name}: nothing was measured, at most {most:g} s is asked"
        elif (found := percentile(values, 0.95)) > most:
            yield f"{name}: {found:.3f} s is {found - most:.3f} s over {most:g} s"
    cost = sum(each.cost_usd for each in answers)
    if gate.max_cost_usd is not None and cost > gate.max_cost_usd:
        yield f"cost: {cost:.4f} USD is {cost - gate.max_cost_usd:.4f} over {gate.max_cost_usd:g}"


def _regressions(run: Run, gate: Gate, baseline: Run | None) -> Iterator[str]:
    if baseline is None:
        return
    differences = {name: compared(baseline, run, name) for name in run.scorers}
    if not any(differences.values()):
        yield "baseline: it shares no scored case with this run, so nothing was compared"
    if not gate.no_regression:
        return
    for name, found in differences.items():
        if found is None and any(differences.values()):
            yield f"{name}: no case was scored in the baseline too, so it was not compared"
        if found is not None and found.estimate.mean < 0 and found.p_value < LEVEL:
            yield (
                f"{name}: {-found.estimate.mean:.3f} worse than the baseline "
                f"(p = {found.p_value:.4f}, {found.estimate.count} cases)"
            )
