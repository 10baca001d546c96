"""From rows to rows whose people cannot be told apart by what is written beside the texts.

Of a row's metadata, the quasi-identifiers are told less exactly, sensitive fields and those to keep
stay, and everything else is taken out: what nobody has thought about does not get through. Texts
stay as they are: masking them is the harvest's and the policy's part, and no k holds of them. The
provenance stays too (erasing a person must find their rows); it never leaves with `data export`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from headrace.datasets.anonymity import Goal, Recoding, find_recoding
from headrace.datasets.errors import DatasetInvalid, GuaranteeUnreachable
from headrace.datasets.example import Example
from headrace.datasets.guarantee import Anonymity, Told, measured
from headrace.datasets.ladder import Ladder, ladder_from_file, ladder_of
from headrace.datasets.person import people_by, person_of, value_of
from headrace.datasets.store import Added, DatasetStore

__all__ = ["Fields", "anonymise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What the fields of the metadata are."""

    quasi: Sequence[str]
    """Those by which somebody who knows a little could find a person."""
    sensitive: Sequence[str] = ()
    """Those that must not be learned of a person."""
    keep: Sequence[str] = ()
    """Those that say nothing of a person."""
    person: str = ""
    """The one that tells people apart, where rows have no subject; it is taken out."""
    ladders: dict[str, Path] = field(default_factory=dict)
    """Files of ladders, by quasi-identifier; the others get what fits their values."""

    def check(self) -> None:
        """
        Raises:
            DatasetInvalid: a field is two things, or a ladder is of none.
        """
        if not self.quasi:
            raise DatasetInvalid("no quasi-identifier is named", hint="--quasi age,city")
        named = [*self.quasi, *self.sensitive, *self.keep, *([self.person] if self.person else ())]
        twice = next((each for each in named if named.count(each) > 1), None)
        if twice is not None:
            raise DatasetInvalid(f"the field {twice!r} is named as two things")
        stray = next((each for each in self.ladders if each not in self.quasi), None)
        if stray is not None:
            raise DatasetInvalid(f"there is a ladder for {stray!r}, which is no quasi-identifier")


def anonymise(
    store: DatasetStore,
    name: str,
    rows: Callable[[], Iterable[Example]],
    fields: Fields,
    goal: Goal,
    *,
    source: str,
    ledger: str = "",
) -> Added:
    """A version of the dataset `name` with the rows, anonymised, alone.

    The rows are gone through twice; held in memory are their attributes, not their texts.

    Args:
        rows: gives the same rows each time.
        source: what they are from, for the report.
        ledger: the dataset whose privacy budget these people have; empty: the new one's own.

    Raises:
        GuaranteeUnreachable: the goal cannot be reached; no version was made.
        DatasetInvalid: a field is not what it should be, or the dataset has rows of its own.
        PrivacyUnavailable: the extra `privacy` is not installed.
    """
    fields.check()
    _check_target(store, name)
    told = [_told(at, each, fields) for at, each in enumerate(rows())]
    if not told:
        raise GuaranteeUnreachable(f"{source} has no rows")
    _check_present(told, fields)
    recoding = find_recoding(told, _ladders(told, fields), goal)
    kept = [
        Told(person=each.person, quasi=quasi, sensitive=each.sensitive)
        for each in told
        if (quasi := recoding.tell(each.quasi)) is not None
    ]
    anonymity = msgspec.structs.replace(
        _report(kept, len(told), recoding, fields, goal), source=source, ledger=ledger
    )
    added = store.add(name, _rewritten(rows(), fields, recoding), what=source, anonymity=anonymity)
    assert added.version.rows == len(kept)
    return added


def _check_target(store: DatasetStore, name: str) -> None:
    """The version is to hold these rows alone, so it must not seem to replace others."""
    newest = next((each for each in store.newest() if each.name == name), None)
    if newest is not None and newest.manifest.anonymity is None:
        raise DatasetInvalid(
            f"{newest.reference} has rows that were not anonymised",
            hint="a guarantee holds of all rows of a version together: name a dataset of its own",
        )


def _told(at: int, row: Example, fields: Fields) -> Told:
    return Told(
        person=person_of(row, at, fields.person),
        quasi=tuple(value_of(row, each, at) for each in fields.quasi),
        sensitive=tuple(value_of(row, each, at) for each in fields.sensitive),
    )


def _check_present(told: Sequence[Told], fields: Fields) -> None:
    """A field that no row has is a mistake in writing, which must not pass for a guarantee."""
    for names, values in ((fields.quasi, "quasi"), (fields.sensitive, "sensitive")):
        for at, name in enumerate(names):
            if all(getattr(each, values)[at] is None for each in told):
                raise DatasetInvalid(
                    f"no row has a field {name!r} in its metadata",
                    hint="`headrace data show NAME --json` shows what rows have",
                )


def _ladders(told: Sequence[Told], fields: Fields) -> list[Ladder]:
    return [
        ladder_from_file(fields.ladders[name])
        if name in fields.ladders
        else ladder_of(each.quasi[at] for each in told)
        for at, name in enumerate(fields.quasi)
    ]


def _report(
    kept: Sequence[Told],
    total: int,
    recoding: Recoding,
    fields: Fields,
    goal: Goal,
) -> Anonymity:
    k, diversity, measured_by = measured(kept)
    if k < goal.k or (diversity is not None and diversity < goal.l):
        # The measure is another program than the search: what both do not find is not promised.
        raise GuaranteeUnreachable(
            f"{measured_by} measures k = {k} and l = {diversity}, not what was asked for",
            hint="this is a fault of Headrace: please report it",
        )
    ladders = zip(fields.quasi, recoding.ladders, recoding.rungs, strict=True)
    return Anonymity(
        k_wanted=goal.k,
        k_reached=k,
        l_wanted=goal.l if fields.sensitive else None,
        l_reached=diversity,
        quasi_identifiers={name: ladder.name(rung) for name, ladder, rung in ladders},
        sensitive=list(fields.sensitive),
        people=len({each.person for each in kept}),
        people_by=people_by((each.person for each in kept), fields.person),
        classes=recoding.classes,
        rows=len(kept),
        suppressed=total - len(kept),
        measured_by=measured_by,
    )


def _rewritten(rows: Iterable[Example], fields: Fields, recoding: Recoding) -> Iterator[Example]:
    staying = (*fields.sensitive, *fields.keep)
    for at, row in enumerate(rows):
        told = recoding.tell(tuple(value_of(row, each, at) for each in fields.quasi))
        if told is None:
            continue
        quasi = zip(fields.quasi, told, strict=True)
        metadata: dict[str, object] = {name: value for name, value in quasi if value is not None}
        metadata |= {name: row.metadata[name] for name in staying if name in row.metadata}
        yield msgspec.structs.replace(row, metadata=metadata)
