"""Models that are about to be shut down: when, who says so, and what to move to.

A provider's own list (`shutdown_date` of `/v1/models`) goes before the catalogue. The replacement is
chosen as `headrace models choose` does: it must do the same tasks with as much context under as
free a licence; the provider's own advice wins if it does.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from headrace.errors import HeadraceError
from headrace.models.backend import Backend, ListedModel
from headrace.models.catalogue.catalogue import Catalogue, Entry
from headrace.models.catalogue.choose import Verdict, Wanted, choose, judge
from headrace.models.catalogue.served import Served

__all__ = ["RetirementWatch", "Retiring", "replacement_for", "retiring"]

ALERT_DAYS: Final = 90
"""From so many days before the end on, a model in use is worth an alert."""
LIST_WITHIN_S: Final = 15.0
"""A provider that lists its models more slowly is asked again the next time."""
AGAIN_DAYS: Final = (90, 60, 30, 14, 7, 3, 1, 0)
"""An alert is logged again when so many days are left."""
MUCH_DEARER: Final = 1.25
"""A replacement may cost so many times what the model does; above that the cheapest is named."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiring:
    """A deployment whose model has a last day."""

    model: str
    deployment: str
    served: str
    """`provider/name` of what retires."""
    date: str
    days: int
    """Days left; 0 or less: it is gone."""
    told_by: str
    """`provider` or `catalogue`."""
    is_earliest: bool = False
    """Not before this day; the day itself is not set."""
    replacement: str | None = None
    """The best other model, by its catalogue id."""
    reason: str = ""
    """Why that one."""

    @property
    def is_near(self) -> bool:
        return self.days <= ALERT_DAYS

    def message(self) -> str:
        """What is happening, and what to do, in one line."""
        if self.days <= 0 and not self.is_earliest:
            when = f"was shut down on {self.date}"
        else:
            word = "may shut down from" if self.is_earliest else "shuts down on"
            when = f"{word} {self.date}, in {self.days} days"
        told = f"model {self.model!r}: {self.served} {when} ({self.told_by})"
        if self.replacement is None:
            return f"{told}; no other model in the catalogue does the same"
        return f"{told}; move to {self.replacement}: {self.reason}"


def retiring(
    served: Served, catalogue: Catalogue, today: date, shutdown_date: str | None = None
) -> Retiring | None:
    """What is known of a deployment's end; None where nothing is.

    Args:
        shutdown_date: what the provider's list says, where it was asked.
    """
    known = None if served.entry is None else served.entry.facts.retirement
    last = shutdown_date or (None if known is None else known.date)
    if last is None:
        return None
    try:
        days = (date.fromisoformat(last[:10]) - today).days
    except ValueError:
        # Somebody else's server wrote it; a day that nobody can read is no day.
        return None
    replaced = None
    if served.entry is not None:
        replaced = replacement_for(served.entry, catalogue, today)
    return Retiring(
        model=served.model,
        deployment=served.deployment,
        served=f"{served.provider}/{served.name}",
        date=last[:10],
        days=days,
        told_by="provider" if shutdown_date else "catalogue",
        is_earliest=not shutdown_date and known is not None and known.is_earliest,
        replacement=None if replaced is None else replaced[0].id,
        reason="" if replaced is None else replaced[1],
    )


def replacement_for(entry: Entry, catalogue: Catalogue, today: date) -> tuple[Entry, str] | None:
    """The best model to move to, with the reason; None where none does the same.

    The provider's advice if it meets the needs; else the best of the same provider that is not
    much dearer, else the cheapest of the same provider, else the cheapest of the same kind.
    """
    needs = Wanted(
        tasks=entry.facts.tasks or (),
        context_tokens=entry.context_tokens,
        licence="commercial" if entry.licence is not None and entry.licence.is_commercial else None,
        kinds=(entry.kind,),
        prefer="cost",
    )
    now = judge(entry, needs, today)
    named = None if entry.facts.retirement is None else entry.facts.retirement.replacement
    if named is not None and named in catalogue.ids():
        verdict = judge(catalogue.get(named), needs, today)
        if verdict.is_in:
            return verdict.entry, f"{entry.provider} names it{_compared(now, verdict)}"
    others = [each for each in catalogue if each.id != entry.id]
    found = _best(others, needs, now, today)
    return None if found is None else (found.entry, found.reasons[0] + _compared(now, found))


def _best(others: Sequence[Entry], needs: Wanted, now: Verdict, today: date) -> Verdict | None:
    """The first of the attempts, from the closest to the widest, that finds one."""
    of_provider = Wanted(
        tasks=needs.tasks,
        context_tokens=needs.context_tokens,
        licence=needs.licence,
        kinds=needs.kinds,
        providers=(now.entry.provider,),
        max_usd=None if now.usd is None else now.usd * MUCH_DEARER,
        prefer="quality",
    )
    dearer = Wanted(
        tasks=needs.tasks,
        context_tokens=needs.context_tokens,
        licence=needs.licence,
        kinds=needs.kinds,
        providers=(now.entry.provider,),
    )
    for wanted in (of_provider, dearer, needs):
        found = choose(others, wanted, today)
        if found and found[0].is_in:
            return found[0]
    return None


def _compared(now: Verdict, then: Verdict) -> str:
    """How the replacement differs, in figures."""
    told = ""
    if now.usd is not None and then.usd is not None:
        told += f"; ${then.usd:.2f} instead of ${now.usd:.2f} a million tokens"
    before, after = now.entry.context_tokens, then.entry.context_tokens
    if before is not None and after is not None and before != after:
        told += f"; {after:,} instead of {before:,} tokens of context"
    return told


class RetirementWatch:
    """Looks after the ends of the models in use; asked now and then, say once a day."""

    def __init__(self, catalogue: Catalogue, today: Callable[[], date]) -> None:
        self._catalogue = catalogue
        self._today = today
        self._found: dict[tuple[str, str], Retiring] = {}
        self._logged: dict[tuple[str, str], tuple[str, int]] = {}

    def days(self) -> Mapping[tuple[str, str], int]:
        """Days left by (model, deployment): the metric `headrace_model_retires_in_days`."""
        today = self._today()
        return {
            key: (date.fromisoformat(each.date) - today).days for key, each in self._found.items()
        }

    async def look(
        self, served: Iterable[Served], backends: Mapping[str, Backend]
    ) -> list[Retiring]:
        """Every deployment in use that has a last day, the nearest first; near ones are logged.

        Args:
            backends: by deployment. One that cannot be asked is judged by the catalogue alone.
        """
        found: list[Retiring] = []
        lists: dict[int, Sequence[ListedModel]] = {}
        for each in served:
            backend = backends.get(each.deployment)
            if backend is not None and id(backend) not in lists:
                lists[id(backend)] = await _listed(backend)
            listed = () if backend is None else lists[id(backend)]
            told = next((model.shutdown_date for model in listed if model.id == each.name), None)
            told_end = retiring(each, self._catalogue, self._today(), told)
            if told_end is not None:
                found.append(told_end)
        self._found = {(end.model, end.deployment): end for end in found}
        for ending in found:
            self._log(ending)
        return sorted(found, key=lambda end: end.days)

    def _log(self, ending: Retiring) -> None:
        """Log a near end once for each of `AGAIN_DAYS` that has come."""
        if not ending.is_near:
            return
        key = (ending.model, ending.deployment)
        stage = (ending.date, min((d for d in AGAIN_DAYS if ending.days <= d), default=0))
        if self._logged.get(key) != stage:
            self._logged[key] = stage
            _log.warning("%s", ending.message())


async def _listed(backend: Backend) -> Sequence[ListedModel]:
    try:
        async with asyncio.timeout(LIST_WITHIN_S):
            return await backend.listed()
    except (HeadraceError, TimeoutError) as error:
        # The catalogue still speaks; what is wrong with the provider shows where it is used.
        _log.info("the models of %s cannot be listed: %s", backend.provider, error)
        return ()
