"""Choosing a model: which meet what is wanted, in what order, and why the others do not.

A requirement that the catalogue cannot answer (no price, no licence, no region known) counts as not
met, and is said to be unknown: choosing blindly is what this file is there to prevent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal, TypeAlias

from headrace.models.catalogue.catalogue import Entry
from headrace.models.catalogue.cost import MIXES, Mix, blended_usd
from headrace.models.catalogue.entry import PositionName, ProviderKind, Task

if TYPE_CHECKING:
    from headrace.telemetry.measured import Measured

__all__ = ["Preference", "Verdict", "Wanted", "choose", "judge", "retires_in_days"]

Preference: TypeAlias = Literal["cost", "latency", "quality", "context"]

RETIRES_SOON_DAYS = 90
"""A model with fewer days left is not worth moving to."""
ANSWER_TOKENS = 300
"""Length of the answer by which latencies are compared: TTFT plus so many tokens."""
COMMERCIAL = "commercial"
_STANDING: dict[PositionName | None, int] = {
    "flagship": 4,
    "balanced": 3,
    "light": 2,
    "small": 1,
    None: 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a model must be able to do, and what counts among those that can."""

    tasks: Sequence[Task] = ()
    licence: str | None = None
    """`commercial`, or the id of a licence."""
    context_tokens: int | None = None
    max_usd: float | None = None
    """USD per million tokens at `mix`."""
    region: str | None = None
    kinds: Sequence[ProviderKind] = ()
    providers: Sequence[str] = ()
    monthly_users: int | None = None
    """How many people use the service: some licences have a limit."""
    prefer: Preference = "cost"
    mix: Mix | None = None
    """Absent: what the first task is like."""

    def counted_mix(self) -> Mix:
        return self.mix or MIXES[self.tasks[0] if self.tasks else None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One model, with the reasons why it is in or out."""

    entry: Entry
    is_in: bool
    reasons: list[str]
    """Of one that is in: what speaks for it; of one that is out: each requirement it misses."""
    notes: list[str] = field(default_factory=list)
    """What to know before using it: what its licence forbids, that it retires."""
    usd: float | None = None
    """USD per million tokens at the mix, the region's surcharge included."""
    latency_s: float | None = None
    """Time to a short answer, as measured here, else as published."""
    is_measured: bool = False
    retires_in_days: int | None = None


def choose(
    entries: Iterable[Entry],
    wanted: Wanted,
    today: date,
    measured: "Mapping[str, Measured] | None" = None,
    own_usd: Mapping[str, float] | None = None,
) -> list[Verdict]:
    """Every model judged: those that are in, the best first; then those that are out.

    Args:
        measured: this service's own figures by catalogue id, where it has used a model.
        own_usd: USD per million tokens by catalogue id, where they are not the list price's: on a
            machine of one's own (cost.py), or by contract.
    """
    verdicts = [
        judge(
            entry,
            wanted,
            today,
            measured=None if measured is None else measured.get(entry.id),
            own_usd=None if own_usd is None else own_usd.get(entry.id),
        )
        for entry in entries
    ]
    chosen = sorted((each for each in verdicts if each.is_in), key=lambda v: _rank(v, wanted))
    left = sorted(
        (each for each in verdicts if not each.is_in),
        key=lambda v: (len(v.reasons), v.entry.id),
    )
    return chosen + left


def judge(
    entry: Entry,
    wanted: Wanted,
    today: date,
    *,
    measured: "Measured | None" = None,
    own_usd: float | None = None,
    heeds_retirement: bool = True,
) -> Verdict:
    """Whether one model meets what is wanted.

    Args:
        heeds_retirement: False for one that is in use already: it goes on until it is shut down.
    """
    usd = _usd(entry, wanted, today) if own_usd is None else own_usd
    latency_s, is_measured = _latency(entry, measured)
    days = retires_in_days(entry, today)
    missed = [
        *_missed_tasks(entry, wanted),
        *_missed_provider(entry, wanted),
        *_missed_context(entry, wanted),
        *_missed_licence(entry, wanted),
        *_missed_region(entry, wanted),
        *_missed_cost(entry, wanted, usd),
        *(_missed_life(entry, days) if heeds_retirement else ()),
    ]
    return Verdict(
        entry=entry,
        is_in=not missed,
        reasons=missed or _merits(entry, wanted, usd, latency_s, is_measured=is_measured),
        notes=_notes(entry, days),
        usd=usd,
        latency_s=latency_s,
        is_measured=is_measured,
        retires_in_days=days,
    )


def retires_in_days(entry: Entry, today: date) -> int | None:
    """Days until the model answers no more; below 0 when it does not any more; None: not known."""
    retirement = entry.facts.retirement
    if retirement is None:
        return None
    return (date.fromisoformat(retirement.date) - today).days


def _usd(entry: Entry, wanted: Wanted, today: date) -> float | None:
    if entry.facts.price is None:
        return None
    usd = blended_usd(entry.facts.price, wanted.counted_mix(), today)
    regions = entry.facts.regions
    if wanted.region is not None and regions is not None:
        usd *= 1 + regions.surcharge
    return usd


def _latency(entry: Entry, measured: "Measured | None") -> tuple[float | None, bool]:
    """Seconds to a short answer, and whether they were measured here."""
    if measured is not None and measured.ttft_p50_s is not None:
        tpot = measured.tpot_p50_s or 0.0
        return measured.ttft_p50_s + ANSWER_TOKENS * tpot, True
    speed = entry.facts.speed
    if speed is None or speed.tokens_per_s is None:
        return None, False
    return (speed.ttft_s or 0.0) + ANSWER_TOKENS / speed.tokens_per_s, False


def _missed_tasks(entry: Entry, wanted: Wanted) -> Iterable[str]:
    able = entry.facts.tasks
    for task in wanted.tasks:
        if able is None:
            yield f"{task}: not known"
        elif task not in able:
            yield f"not made for: {task}"


def _missed_provider(entry: Entry, wanted: Wanted) -> Iterable[str]:
    if wanted.kinds and entry.kind not in wanted.kinds:
        yield f"{entry.kind.replace('_', ' ')}, not {' or '.join(wanted.kinds)}"
    if wanted.providers and entry.provider not in wanted.providers:
        yield f"not from {' or '.join(wanted.providers)}"


def _missed_context(entry: Entry, wanted: Wanted) -> Iterable[str]:
    if wanted.context_tokens is None:
        return
    if entry.context_tokens is None:
        yield "context not known"
    elif entry.context_tokens < wanted.context_tokens:
        yield f"context of {entry.context_tokens:,} tokens, not {wanted.context_tokens:,}"


def _missed_licence(entry: Entry, wanted: Wanted) -> Iterable[str]:
    licence = entry.licence
    if wanted.licence is not None:
        if licence is None:
            yield "licence not known"
        elif wanted.licence == COMMERCIAL and not licence.is_commercial:
            yield f"licence {entry.facts.licence} allows no commercial use"
        elif wanted.licence not in (COMMERCIAL, entry.facts.licence):
            yield f"licence {entry.facts.licence}, not {wanted.licence}"
    most = None if licence is None else licence.max_monthly_users
    if most is not None and wanted.monthly_users is not None and wanted.monthly_users > most:
        yield f"licence {entry.facts.licence} allows {most:,} users a month"


def _missed_region(entry: Entry, wanted: Wanted) -> Iterable[str]:
    if wanted.region is None or entry.is_run_by_you:
        return
    regions = entry.facts.regions
    if regions is None:
        yield f"not known to stay in {wanted.region}"
    elif wanted.region not in regions.names:
        yield f"stays in {', '.join(regions.names)}, not {wanted.region}"


def _missed_cost(entry: Entry, wanted: Wanted, usd: float | None) -> Iterable[str]:
    if wanted.max_usd is None:
        return
    if usd is None:
        yield "costs what your machine costs" if entry.is_run_by_you else "price not known"
    elif usd > wanted.max_usd:
        yield f"${usd:.2f} a million tokens at {wanted.counted_mix()}, above ${wanted.max_usd:.2f}"


def _missed_life(entry: Entry, days: int | None) -> Iterable[str]:
    retirement = entry.facts.retirement
    if retirement is None or days is None or retirement.is_earliest:
        return
    if days <= 0:
        yield f"shut down on {retirement.date}"
    elif days < RETIRES_SOON_DAYS:
        yield f"shuts down on {retirement.date}, in {days} days"


def _merits(
    entry: Entry,
    wanted: Wanted,
    usd: float | None,
    latency_s: float | None,
    *,
    is_measured: bool,
) -> list[str]:
    """What speaks for a model that is in, what is preferred first."""
    told: dict[Preference, str] = {}
    if usd is not None:
        told["cost"] = f"${usd:.2f} a million tokens at {wanted.counted_mix()}"
    elif entry.is_run_by_you:
        told["cost"] = "costs what your machine costs"
    if latency_s is not None:
        how = "measured here" if is_measured else "as published"
        told["latency"] = f"{latency_s:.1f} s for {ANSWER_TOKENS} tokens, {how}"
    position = entry.facts.position
    if position is not None and position.score is not None:
        told["quality"] = f"quality {position.score:g} by your measure"
    elif position is not None and position.name is not None:
        told["quality"] = f"its provider's {position.name} class"
    if entry.context_tokens is not None:
        told["context"] = f"{entry.context_tokens:,} tokens of context"
    first = [told.pop(wanted.prefer)] if wanted.prefer in told else []
    if not first:
        first = [f"{wanted.prefer} not known, so behind the others"]
    return first + list(told.values())


def _notes(entry: Entry, days: int | None) -> list[str]:
    notes: list[str] = []
    if entry.licence is not None:
        notes += [f"licence: {each}" for each in entry.licence.field_of_use]
        if entry.licence.needs_attribution:
            notes.append("licence: its maker must be named")
        if entry.licence.max_monthly_users is not None:
            notes.append(f"licence: up to {entry.licence.max_monthly_users:,} users a month")
    retirement = entry.facts.retirement
    if retirement is not None and days is not None and days > 0:
        word = "not before" if retirement.is_earliest else "on"
        notes.append(f"shuts down {word} {retirement.date}")
    return notes


def _rank(verdict: Verdict, wanted: Wanted) -> tuple[object, ...]:
    """Sorts the best first; what is not known comes last, ties by cost and then by name."""
    entry = verdict.entry
    usd = verdict.usd
    by_cost = (usd is None, usd or 0.0)
    position = entry.facts.position
    standing = _STANDING[None if position is None else position.name]
    score = None if position is None else position.score
    latency = verdict.latency_s
    first: dict[Preference, tuple[object, ...]] = {
        "cost": by_cost,
        # A figure measured here goes before any that was published.
        "latency": (latency is None, not verdict.is_measured, latency or 0.0),
        "quality": (score is None, -(score or 0.0), -standing, _newest_first(entry)),
        "context": (entry.context_tokens is None, -(entry.context_tokens or 0)),
    }
    return (*first[wanted.prefer], *by_cost, entry.id)


def _newest_first(entry: Entry) -> int:
    """Sorts by what a model knows of the world: within a class, the newer is usually the better."""
    knowledge = entry.facts.knowledge
    return 0 if knowledge is None else -int(knowledge.date.replace("-", "")[:6])
