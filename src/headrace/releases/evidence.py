"""How a release fares: its turns, counted against the rules of a rollout."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from headrace.releases.sequential import evidence
from headrace.releases.watch import Rule
from headrace.storage.database import Database
from headrace.storage.tables import feedback, traces
from headrace.telemetry.feedback import last_ratings

__all__ = ["ALPHA", "Finding", "look"]

ALPHA = 0.05
"""The chance that a release which keeps every rule is rolled back all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule, and what the turns so far say of it."""

    rule: Rule
    bad: int
    total: int
    is_broken: bool

    def __str__(self) -> str:
        share = self.bad / self.total if self.total else 0.0
        return f"{self.rule.text}: {self.bad:,} of {self.total:,} ({share:.1%})"


def look(
    database: Database, behaviour: str, since: float, rules: Sequence[Rule]
) -> tuple[int, list[Finding]]:
    """How many turns the release has answered since then, and each rule with its finding.

    Args:
        behaviour: what its answers carry.
    """
    bar = math.log(len(rules) / ALPHA) if rules else math.inf
    found: list[Finding] = []
    turns = (traces.c.release == behaviour) & (traces.c.started_at >= since)
    ended = turns & (traces.c.status != "cancelled")
    with database.read() as connection:
        total = connection.execute(select(func.count()).where(ended)).scalar_one()
        for rule in rules:
            if rule.what == "good_feedback":
                rated = (
                    select(
                        func.count(),
                        func.coalesce(func.sum(case((feedback.c.score < 0, 1), else_=0)), 0),
                    )
                    .select_from(feedback.join(traces, feedback.c.trace_id == traces.c.id))
                    .where(turns, feedback.c.id.in_(last_ratings()))
                )
                count, bad = connection.execute(rated).one()
            else:
                is_bad = {
                    "error_rate": traces.c.status == "error",
                    "blocked_rate": traces.c.status == "blocked",
                    "ttft": traces.c.ttft_s > rule.limit_s,
                    "duration": traces.c.duration_s > rule.limit_s,
                }[rule.what]
                query = select(func.coalesce(func.sum(case((is_bad, 1), else_=0)), 0)).where(ended)
                count, bad = total, connection.execute(query).scalar_one()
            broken = evidence(bad, count, rule.most) >= bar
            found.append(Finding(rule=rule, bad=bad, total=count, is_broken=broken))
    return total, found
