"""`headrace models compare`: models side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.models.figure import (
    as_last_day,
    as_price,
    as_rate,
    as_tokens,
    as_usd_per_million,
    entry_fields,
    measured_fields,
)
from headrace.cli.models.known import Known
from headrace.cli.models.machine import OwnMachine, machine_options, mix_option
from headrace.cli.models.suggest import complete_catalogue
from headrace.cli.place import Place
from headrace.cli.terminal import console, print_json, print_table, printable
from headrace.console.figure import as_seconds
from headrace.models.catalogue.catalogue import Entry
from headrace.models.catalogue.choose import Verdict, Wanted, judge
from headrace.models.catalogue.cost import Mix, OwnCost

if TYPE_CHECKING:
    from headrace.telemetry.measured import Measured

__all__ = ["compare"]


@dataclass(frozen=True, slots=True)
class _Compared:
    """One model of the comparison."""

    entry: Entry
    verdict: Verdict
    measured: "Measured | None"
    own: OwnCost | None
    declared: list[str]


def _limit(each: _Compared) -> int | None:
    limits = each.entry.facts.limits
    return None if limits is None else limits.output_tokens


def _cached(each: _Compared) -> float | None:
    price = each.entry.facts.price
    return None if price is None else price.cached_input


def _licence(each: _Compared) -> str:
    name = each.entry.facts.licence or ""
    licence = each.entry.licence
    if licence is None:
        return name
    return name if licence.is_commercial else f"{name} (not commercial)"


def _pair(figures: "Measured | None", what: str) -> str:
    if figures is None:
        return ""
    half, most = getattr(figures, f"{what}_p50_s"), getattr(figures, f"{what}_p95_s")
    return "" if half is None or most is None else f"{as_seconds(half)}/{as_seconds(most)}"


_LINES: dict[str, Callable[[_Compared], str]] = {
    "declared as": lambda each: ", ".join(each.declared),
    "kind": lambda each: each.entry.kind.replace("_", " "),
    "tasks": lambda each: ", ".join(each.entry.facts.tasks or ()),
    "reads": lambda each: ", ".join(each.entry.facts.input or ()),
    "context": lambda each: as_tokens(each.entry.context_tokens),
    "longest answer": lambda each: as_tokens(_limit(each)),
    "USD/M in/out": lambda each: as_price(each.entry.facts.price),
    "USD/M cached": lambda each: as_usd_per_million(_cached(each)),
    "licence": _licence,
    "knows until": lambda each: (
        each.entry.facts.knowledge.date if each.entry.facts.knowledge else ""
    ),
    "retires": lambda each: as_last_day(each.entry.facts.retirement),
    "regions": lambda each: (
        ", ".join(each.entry.facts.regions.names) if each.entry.facts.regions else ""
    ),
    "class": lambda each: (
        (each.entry.facts.position.name or "") if each.entry.facts.position else ""
    ),
    "TTFT p50/p95": lambda each: _pair(each.measured, "ttft"),
    "TPOT p50/p95": lambda each: _pair(each.measured, "tpot"),
    "tokens, all": lambda each: (
        "" if each.measured is None else as_rate(each.measured.tokens_per_s)
    ),
    "errors": lambda each: "" if each.measured is None else f"{each.measured.error_rate:.1%}",
    "prices as of": lambda each: (
        (each.entry.facts.price.as_of or "") if each.entry.facts.price else ""
    ),
}


@click.command(cls=Command)
@click.argument(
    "names", metavar="MODEL...", nargs=-1, required=True, shell_complete=complete_catalogue
)
@mix_option
@machine_options
@json_option
def compare(
    names: tuple[str, ...],
    mix: Mix | None,
    usd_per_hour: float | None,
    machine: str | None,
    tokens_per_s: float | None,
    utilisation: float,
    as_json: bool,
) -> None:
    """Show models side by side: limits, licence, price, last day, and what was measured here.

    MODEL is a declared model or an id of the catalogue (`headrace models list --all`). With the
    price of a machine, models that you run yourself get a price per million tokens too, and the
    volume from which the machine is cheaper than each of the others.
    """
    known = Known.here(Place.here())
    measured = known.measured_by_id()
    own = OwnMachine.of(known.catalogue, machine, usd_per_hour, tokens_per_s, utilisation)
    wanted = Wanted(mix=mix)
    counted = wanted.counted_mix()
    declared_usd = known.declared_usd(counted)
    compared = [
        _Compared(
            entry,
            judge(entry, wanted, known.today, own_usd=declared_usd.get(entry.id)),
            measured.get(entry.id),
            None if own is None else own.cost(entry, counted, measured),
            known.declared_as(entry),
        )
        for entry in map(known.entry_named, names)
    ]
    evens = _break_evens(compared, own, counted, measured)
    if as_json:
        print_json([_described(each, evens) for each in compared])
        return
    _print(compared, counted)
    for line in _told(evens, compared):
        console().print(printable(line), soft_wrap=True, highlight=False)


def _print(compared: Sequence[_Compared], mix: Mix) -> None:
    rows = [[name, *(of(each) for each in compared)] for name, of in _LINES.items()]
    usd = [as_usd_per_million(_usd(each)) for each in compared]
    rows.insert(8, [f"USD/M at {mix}", *usd])
    print_table(
        ["", *(f"~{each.entry.id}" for each in compared)], [row for row in rows if any(row[1:])]
    )


def _usd(each: _Compared) -> float | None:
    return each.verdict.usd if each.own is None else each.own.usd_per_million


@dataclass(frozen=True, slots=True)
class _BreakEven:
    own: str
    against: str
    cost: OwnCost


def _break_evens(
    compared: Sequence[_Compared],
    own: OwnMachine | None,
    mix: Mix,
    measured: "dict[str, Measured]",
) -> list[_BreakEven]:
    """Each model of one's own against each that is bought."""
    found: list[_BreakEven] = []
    for mine in compared if own is not None else ():
        for other in compared:
            if mine.own is None or other.verdict.usd is None or own is None:
                continue
            cost = own.cost(mine.entry, mix, measured, against_usd=other.verdict.usd)
            if cost is not None:
                found.append(_BreakEven(mine.entry.id, other.entry.id, cost))
    return found


def _told(evens: Sequence[_BreakEven], compared: Sequence[_Compared]) -> list[str]:
    told = [
        f"{each.entry.id}: ${each.own.usd_per_month:,.0f} a month for the machine, "
        f"{each.own.tokens_per_s:.3g} tokens/s, written {each.own.utilisation:.0%} of the time"
        for each in compared
        if each.own is not None
    ]
    for even in evens:
        volume = even.cost.break_even_tokens_per_month
        if volume is None:
            told.append(f"{even.own} never gets cheaper than {even.against} on this machine")
        else:
            told.append(
                f"{even.own} is cheaper than {even.against} from {volume / 1e6:,.0f} million "
                "tokens a month on"
            )
    return told


def _described(each: _Compared, evens: Sequence[_BreakEven]) -> dict[str, object]:
    return {
        **entry_fields(each.entry),
        "declared_as": each.declared,
        "measured": measured_fields(each.measured),
        "usd_per_million": _usd(each),
        "own_machine": None if each.own is None else msgspec.to_builtins(each.own),
        "break_even_tokens_per_month": {
            even.against: even.cost.break_even_tokens_per_month
            for even in evens
            if even.own == each.entry.id
        },
    }
