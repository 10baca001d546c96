"""The guarantee that a version of a dataset gives to the people in it, as a report.

What is promised is only what was measured: k and l by pyCANON over the rows as they were written,
ε and δ by OpenDP's own accounting of what was published, and Opacus' of what was trained.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import msgspec

from headrace.datasets.ladder import Value
from headrace.privacy.budget import Ledger, Spent
from headrace.privacy.errors import PrivacyUnavailable

if TYPE_CHECKING:
    from headrace.datasets.version import Version

__all__ = [
    "Anonymity",
    "Guarantee",
    "Told",
    "guarantee_of",
    "measured",
    "of_anonymity",
    "sentences",
]


class Anonymity(msgspec.Struct, frozen=True, kw_only=True):
    """k-anonymity (and l-diversity) of a version when it was made.

    It is about the attributes beside the texts; what the texts say is masked by rules, and no k
    holds of that. Whoever is erased later leaves a class that is one smaller.
    """

    k_wanted: int
    k_reached: int
    """The people in the smallest class of rows whose quasi-identifiers are the same."""
    l_wanted: int | None = None
    l_reached: int | None = None
    """The fewest different values of a sensitive attribute in one class (distinct l-diversity)."""
    quasi_identifiers: dict[str, str]
    """How each is told: `in steps of 10`."""
    sensitive: list[str] = []
    people: int
    people_by: str
    """What tells people apart: `subject`, a field of the metadata, or `row`: each row is counted as
    a person of its own."""
    classes: int
    rows: int
    suppressed: int
    """Rows that were left out to reach it."""
    source: str = ""
    """What it was made of."""
    ledger: str = ""
    """The dataset whose privacy budget is spent by publishing of it; empty: its own."""
    measured_by: str
    """Library and version."""


class Guarantee(msgspec.Struct, frozen=True, kw_only=True):
    """All that is promised of a version; the report, for programs."""

    dataset: str
    digest: str
    anonymity: Anonymity | None = None
    spent: Spent | None = None
    """By differentially private figures and trainings; None: there were none."""


def guarantee_of(version: "Version", ledger: Ledger) -> Guarantee:
    """What is promised of the people in a version, as far as it was measured.

    Args:
        ledger: the version's (`DatasetStore.ledger`).
    """
    return Guarantee(
        dataset=version.reference,
        digest=version.digest,
        anonymity=version.manifest.anonymity,
        spent=ledger.spent(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a row tells of its person, beside its texts."""

    person: str
    quasi: tuple[Value, ...]
    sensitive: tuple[Value, ...] = ()


def measured(rows: Sequence[Told]) -> tuple[int, int | None, str]:
    """k, l (None without sensitive attributes), and by what they were measured.

    Raises:
        PrivacyUnavailable: the extra `privacy` is not installed.
    """
    try:
        import pandas as pd
        from pycanon import anonymity
    except ModuleNotFoundError as error:
        raise PrivacyUnavailable.lacking(error.name or "pycanon") from error
    # The last column is the same in all rows, so it parts none: pandas groups by one column in
    # another way than by several, and warns that it will change.
    names = [*(f"q{at}" for at in range(len(rows[0].quasi))), "all"]
    # As texts, absent values too: grouping passes over absent ones in silence, and with them over
    # the smallest classes. Each person counts once a class, however many rows are theirs.
    people = {(each.person, *_texts(each.quasi)) for each in rows}
    frame = pd.DataFrame(sorted(people), columns=["person", *names])
    k = int(anonymity.k_anonymity(frame, names))
    diversities = []
    for at in range(len(rows[0].sensitive)):
        pairs = {
            (*_texts(each.quasi), _text(each.sensitive[at]))
            for each in rows
            if each.sensitive[at] is not None
        }
        frame = pd.DataFrame(sorted(pairs), columns=[*names, "said"])
        diversities.append(int(anonymity.l_diversity(frame, names, ["said"])))
    by = f"pycanon {metadata.version('pycanon')}"
    return k, min(diversities, default=None), by


def _texts(quasi: tuple[Value, ...]) -> tuple[str, ...]:
    return (*map(_text, quasi), "")


def _text(value: Value) -> str:
    return "absent" if value is None else f"{type(value).__name__} {value}"


def sentences(found: Guarantee) -> Iterable[str]:
    """The report, for people: one sentence a line."""
    anonymity, spent = found.anonymity, found.spent
    if anonymity is None:
        yield "No k-anonymity was asked for."
    else:
        yield from of_anonymity(anonymity)
    if spent is None or not spent.publications:
        yield "Nothing of it was published, or trained on, with differential privacy."
        return
    times = "once" if spent.publications == 1 else f"{spent.publications:,} times"
    yield (
        f"Its people were told of with differential privacy {times}, in figures or adapters: "
        f"ε = {spent.epsilon:.6g} of {spent.budget.epsilon:g} and δ = {spent.delta:.3g} of "
        f"{spent.budget.delta:g} are spent, over all versions."
    )


def of_anonymity(found: Anonymity) -> Iterable[str]:
    """The part of the report that is about k and l."""
    people = "rows, each counted as a person" if found.people_by == "row" else "people"
    yield (
        f"k = {found.k_reached}: whatever is known of somebody's "
        f"{', '.join(found.quasi_identifiers)}, at least {found.k_reached} {people} fit "
        f"({found.k_wanted} were asked for)."
    )
    if found.l_reached is not None:
        yield (
            f"l = {found.l_reached}: among those, {', '.join(found.sensitive)} has at least "
            f"{found.l_reached} different values ({found.l_wanted} were asked for)."
        )
    told = "; ".join(f"{name} {how}" for name, how in found.quasi_identifiers.items())
    yield f"Told: {told}. Other attributes were taken out."
    yield (
        f"{found.rows:,} rows in {found.classes:,} classes; {found.suppressed:,} were left out to "
        f"reach it. Made of {found.source}; measured by {found.measured_by}."
    )
