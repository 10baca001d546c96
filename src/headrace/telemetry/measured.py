"""What deployments have really done: latency, errors and throughput, from the traces.

TTFT is the service's own (`traces.ttft_s`: from the request to the first piece of answer leaving
the pipeline), so it holds what the steps cost. Errors count where the deployment is to blame: down,
throttled, misconfigured, silent; a request that was wrong says nothing of the deployment. Turns
that were cancelled or blocked count for nothing.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import RowMapping, select

from headrace.storage.database import Database
from headrace.storage.tables import traces

__all__ = ["Measured", "measured"]

DAY_S: Final = 86_400
MOST_TURNS: Final = 50_000
"""The newest turns that are looked at: some 0.3 s of reading."""
DEPLOYMENT_ERRORS: Final = frozenset(
    {"model_unavailable", "rate_limit_exceeded", "deployment_misconfigured", "model_timeout"}
)
OPERATIONS: Final = ("chat", "text_completion")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """How one deployment has fared. None: nothing to say it by."""

    model: str
    deployment: str
    provider: str
    turns: int
    """Answered, or failed by the deployment's fault."""
    error_rate: float
    """The share that failed by its fault, from 0 to 1."""
    ttft_p50_s: float | None = None
    ttft_p95_s: float | None = None
    tpot_p50_s: float | None = None
    tpot_p95_s: float | None = None
    tokens_per_s: float | None = None
    """Completion tokens a second of all answers together, over the time in which it answered any:
    what it did write, which is less than what it could where it was not full."""


def measured(
    database: Database, *, days: float, now: float, most: int = MOST_TURNS
) -> list[Measured]:
    """Each (model, deployment) of the last days, the busiest first.

    Args:
        now: seconds since the epoch.
        most: the newest turns that are looked at.
    """
    columns = (
        traces.c.model,
        traces.c.deployment,
        traces.c.provider,
        traces.c.status,
        traces.c.error,
        traces.c.started_at,
        traces.c.duration_s,
        traces.c.ttft_s,
        traces.c.tpot_s,
        traces.c.completion_tokens,
    )
    query = (
        select(*columns)
        .where(
            traces.c.started_at >= now - days * DAY_S,
            traces.c.operation.in_(OPERATIONS),
            traces.c.deployment != "",
        )
        .order_by(traces.c.started_at.desc())
        .limit(most)
    )
    found: dict[tuple[str, str], list[RowMapping]] = {}
    with database.read() as connection:
        for row in connection.execute(query).mappings():
            found.setdefault((row["model"], row["deployment"]), []).append(row)
    figures = [_figures(key, rows) for key, rows in found.items()]
    kept = [each for each in figures if each.turns]
    return sorted(kept, key=lambda each: (-each.turns, each.model, each.deployment))


def _figures(key: tuple[str, str], rows: Sequence[RowMapping]) -> Measured:
    answered = [row for row in rows if row["status"] == "ok"]
    failed = sum(row["status"] == "error" and row["error"] in DEPLOYMENT_ERRORS for row in rows)
    turns = len(answered) + failed
    ttft = sorted(row["ttft_s"] for row in answered if row["ttft_s"] is not None)
    tpot = sorted(row["tpot_s"] for row in answered if row["tpot_s"] is not None)
    written = sum(row["completion_tokens"] for row in answered)
    busy_s = _covered_s(
        (row["started_at"], row["started_at"] + row["duration_s"]) for row in answered
    )
    return Measured(
        model=key[0],
        deployment=key[1],
        provider=next((row["provider"] for row in rows if row["provider"]), ""),
        turns=turns,
        error_rate=failed / turns if turns else 0.0,
        ttft_p50_s=_percentile(ttft, 0.5),
        ttft_p95_s=_percentile(ttft, 0.95),
        tpot_p50_s=_percentile(tpot, 0.5),
        tpot_p95_s=_percentile(tpot, 0.95),
        tokens_per_s=written / busy_s if written and busy_s > 0 else None,
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest rank: a value that really occurred."""
    if not ordered:
        return None
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _covered_s(intervals: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one of the intervals ran."""
    total = 0.0
    end = -math.inf
    for start, stop in sorted(intervals):
        total += max(stop - max(start, end), 0.0)
        end = max(end, stop)
    return total
