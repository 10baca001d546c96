"""`headrace models choose`: which models meet what is wanted, and why the others do not."""

import re
from collections.abc import Sequence
from typing import get_args

import click

from headrace.cli.command import Command, json_option
from headrace.cli.models.figure import as_tokens, as_usd_per_million
from headrace.cli.models.known import Known
from headrace.cli.models.machine import OwnMachine, machine_options, mix_option
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table
from headrace.console.figure import as_seconds
from headrace.models.catalogue.catalogue import Entry
from headrace.models.catalogue.choose import Preference, Verdict, Wanted
from headrace.models.catalogue.choose import choose as chosen_from
from headrace.models.catalogue.cost import Mix
from headrace.models.catalogue.entry import ProviderKind, Task
from headrace.models.catalogue.name import provider_named

__all__ = ["choose", "read_tokens"]

_TOKENS = re.compile(r"(\d+(?:\.\d+)?)([kM]?)$")
_FACTORS = {"": 1, "k": 1_000, "M": 1_000_000}


def read_tokens(text: str | None) -> int | None:
    """`16k`, `1M` or `8192` as a number."""
    if text is None:
        return None
    match = _TOKENS.match(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no number of tokens; write 8192, 16k or 1M")
    return int(float(match[1]) * _FACTORS[match[2]])


@click.command(cls=Command)
@click.option(
    "--task",
    "tasks",
    type=click.Choice(get_args(Task)),
    multiple=True,
    help="What it must be made for; several may be given.",
)
@click.option("--license", "licence", metavar="ID", help="`commercial`, or the id of a licence.")
@click.option(
    "--context",
    metavar="TOKENS",
    callback=lambda _context, _param, value: read_tokens(value),
    help="Longest prompt plus answer: 8192, 16k, 1M.",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(0),
    help="USD per million tokens, prompt and answer mixed as the task has them.",
)
@click.option("--region", metavar="ID", help="Where prompts must stay, such as eu.")
@click.option("--users", type=click.IntRange(1), help="How many people a month use the service.")
@click.option(
    "--provider-kind",
    "kinds",
    type=click.Choice(get_args(ProviderKind)),
    multiple=True,
    help="Whose models: closed ones, open weights, or on somebody's machines.",
)
@click.option("--provider", "providers", metavar="ID", multiple=True, help="Only of this provider.")
@click.option(
    "--prefer",
    type=click.Choice(get_args(Preference)),
    default="cost",
    show_default=True,
    help="What counts among those that will do.",
)
@click.option("--declared", "only_declared", is_flag=True, help="Only models of headrace.yaml.")
@click.option("--in", "only_in", is_flag=True, help="Leave out the models that will not do.")
@mix_option
@machine_options
@json_option
@click.pass_context
def choose(
    context: click.Context,
    /,
    *,
    only_declared: bool,
    only_in: bool,
    as_json: bool,
    usd_per_hour: float | None,
    machine: str | None,
    tokens_per_s: float | None,
    utilisation: float,
    **options: object,
) -> None:
    """Choose a model: which meet what is wanted, the best first, and why the others do not.

    What the catalogue does not know counts as not met. Latency goes by what was measured here
    in the last seven days before what providers publish. Exits with 1 if no model will do.
    """
    known = Known.here(Place.here())
    measured = known.measured_by_id()
    wanted = _wanted(options)
    own = OwnMachine.of(known.catalogue, machine, usd_per_hour, tokens_per_s, utilisation)
    entries = _entries(known, only_declared=only_declared)
    own_usd = _own_usd(own, entries, wanted.counted_mix(), known)
    verdicts = chosen_from(entries, wanted, known.today, measured, own_usd)
    shown = [each for each in verdicts if each.is_in or not only_in]
    if as_json:
        print_json([_described(known, each) for each in shown])
    else:
        columns = ["", "MODEL", ">USD/M", ">CONTEXT", ">LATENCY", "LICENCE", "WHY"]
        print_table(columns, [_row(known, each) for each in shown])
    count = sum(each.is_in for each in verdicts)
    if not as_json:
        mix = wanted.counted_mix()
        told = f"{count} of {len(verdicts)} will do; USD/M at {mix} tokens in:out"
        published = any(each.latency_s is not None and not each.is_measured for each in shown)
        click.echo(told + ("; * as its provider says" if published else ""), err=True)
    context.exit(0 if count else 1)


def _wanted(options: dict[str, object]) -> Wanted:
    """The options as requirements; click has checked each of them."""
    given = {
        "tasks": options["tasks"],
        "licence": options["licence"],
        "context_tokens": options["context"],
        "max_usd": options["max_cost"],
        "region": options["region"],
        "monthly_users": options["users"],
        "kinds": options["kinds"],
        "providers": [provider_named(str(each)) for each in _listed(options["providers"])],
        "prefer": options["prefer"],
        "mix": options["mix"],
    }
    return Wanted(**given)  # type: ignore[arg-type]  # click has made each the type it is


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else ()


def _entries(known: Known, *, only_declared: bool) -> list[Entry]:
    if not only_declared:
        return list(known.catalogue)
    found = {each.entry.id: each.entry for each in known.served if each.entry is not None}
    return list(found.values())


def _own_usd(
    own: OwnMachine | None, entries: Sequence[Entry], mix: Mix, known: Known
) -> dict[str, float]:
    """What goes before list prices: those of headrace.yaml, and of a machine of one's own."""
    usd = known.declared_usd(mix)
    if own is None:
        return usd
    measured = known.measured_by_id()
    costs = {entry.id: own.cost(entry, mix, measured) for entry in entries}
    return usd | {name: cost.usd_per_million for name, cost in costs.items() if cost is not None}


def _row(known: Known, verdict: Verdict) -> list[str]:
    entry = verdict.entry
    declared = known.declared_as(entry)
    why = [*verdict.reasons, *(verdict.notes if verdict.is_in else ())]
    latency = verdict.latency_s
    return [
        "in" if verdict.is_in else "out",
        entry.id + (f" ({', '.join(declared)})" if declared else ""),
        as_usd_per_million(None if verdict.usd is None else round(verdict.usd, 3)),
        as_tokens(entry.context_tokens),
        "" if latency is None else as_seconds(latency) + ("" if verdict.is_measured else " *"),
        entry.facts.licence or "",
        "; ".join(why),
    ]


def _described(known: Known, verdict: Verdict) -> dict[str, object]:
    return {
        "id": verdict.entry.id,
        "in": verdict.is_in,
        "reasons": verdict.reasons,
        "notes": verdict.notes,
        "declared_as": known.declared_as(verdict.entry),
        "usd_per_million": verdict.usd,
        "context_tokens": verdict.entry.context_tokens,
        "latency_s": verdict.latency_s,
        "latency_is_measured": verdict.is_measured,
        "licence": verdict.entry.facts.licence,
        "retires_in_days": verdict.retires_in_days,
    }
