"""A run in figures: what terminal, JSON, JUnit XML and HTML say alike."""

from collections.abc import Sequence

import msgspec

from headrace.evaluation.gate import compared, percentile
from headrace.evaluation.run import Run
from headrace.evaluation.statistic import Estimate, cohen_kappa, estimate

__all__ = ["Agreement", "Line", "Regression", "Report", "make_report", "regressions"]

PASSES = 0.5
"""Above it a score counts as a yes when judge and person are compared; a judge in two minds, no."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far a scorer says what people said of the same cases."""

    cases: int
    same: float
    """Share of them on which both agree."""
    kappa: float | None
    """Cohen's: agreement beyond chance. None: both said the same of everything, or there are none."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer's mean, over all cases or those with a tag."""

    scorer: str
    tag: str | None
    estimate: Estimate
    agreement: Agreement | None = None


class Regression(msgspec.Struct, frozen=True, kw_only=True):
    """A case that scored worse than in the baseline."""

    scorer: str
    case: str
    before: float
    after: float
    old: str
    """The baseline's answer, first repeat."""
    new: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of a run."""

    suite: str
    release: str
    answers: int
    errors: int
    lines: list[Line]
    ttft_p95_s: float | None
    total_p95_s: float | None
    cost_usd: float
    breaches: list[str]
    regressions: list[Regression]


def make_report(run: Run, breaches: Sequence[str], baseline: Run | None = None) -> Report:
    """All figures of a run."""
    answers = [each.answer for each in run.results if each.answer is not None]
    ttft = [each.ttft_s for each in answers if each.ttft_s is not None]
    lines = []
    for name in run.scorers:
        for tag in (None, *run.tags):
            if scores := list(run.by_case(name, tag).values()):
                agreement = _agreement(run, name) if tag is None else None
                lines.append(
                    Line(scorer=name, tag=tag, estimate=estimate(scores), agreement=agreement)
                )
    return Report(
        suite=run.suite,
        release=run.release,
        answers=len(answers),
        errors=len(run.results) - len(answers),
        lines=lines,
        ttft_p95_s=percentile(ttft, 0.95) if ttft else None,
        total_p95_s=percentile([e.total_s for e in answers], 0.95) if answers else None,
        cost_usd=sum(each.cost_usd for each in answers),
        breaches=list(breaches),
        regressions=[] if baseline is None else regressions(baseline, run),
    )


def regressions(baseline: Run, candidate: Run) -> list[Regression]:
    """Every case that scored worse, the worst first; one case alone proves nothing."""
    old, new = baseline.answers(), candidate.answers()
    found = []
    for name in candidate.scorers:
        if compared(baseline, candidate, name) is None:
            continue
        before, after = baseline.by_case(name), candidate.by_case(name)
        found += [
            Regression(
                scorer=name,
                case=case,
                before=before[case],
                after=after[case],
                old=old.get((case, 0), ""),
                new=new.get((case, 0), ""),
            )
            for case in after
            if case in before and after[case] < before[case]
        ]
    return sorted(found, key=lambda each: each.after - each.before)


def _agreement(run: Run, name: str) -> Agreement | None:
    labels = {e.case: e.labels[name] for e in run.results if name in e.labels}
    scores = run.by_case(name)
    both = [case for case in labels if case in scores]
    if not both:
        return None
    people = [labels[case] > PASSES for case in both]
    scorer = [scores[case] > PASSES for case in both]
    same = sum(one == two for one, two in zip(people, scorer, strict=True)) / len(both)
    return Agreement(cases=len(both), same=same, kappa=cohen_kappa(people, scorer))
