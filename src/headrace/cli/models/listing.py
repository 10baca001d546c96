"""`headrace models list`: the declared models and routes, or all that the catalogue knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from headrace.cli.command import Command, json_option
from headrace.cli.models.figure import (
    as_last_day,
    as_price,
    as_rate,
    as_tokens,
    as_ttft,
    as_usd_per_million,
    entry_fields,
    measured_fields,
)
from headrace.cli.models.known import Known, built_in, declared, store_of
from headrace.cli.models.pull import as_size, kept_fields
from headrace.cli.models.routed import Routed, routed
from headrace.cli.place import Place
from headrace.cli.terminal import print_json, print_table
from headrace.models.catalogue.catalogue import Entry
from headrace.models.catalogue.retirement import Retiring, retiring
from headrace.models.catalogue.served import Served
from headrace.models.weights import DeclaredWeights

if TYPE_CHECKING:
    from headrace.telemetry.measured import Measured

__all__ = ["list_models"]


@dataclass(frozen=True, slots=True)
class _Row:
    """One deployment with all that is known of it."""

    weights: DeclaredWeights
    served: Served
    measured: "Measured | None"
    ending: Retiring | None
    declared_usd: str

    def price(self) -> str:
        if self.declared_usd:
            return self.declared_usd
        entry = self.served.entry
        return "" if entry is None else as_price(entry.facts.price)


# Columns that say nothing in any row are left out: a local model has no price and no last day.
_COLUMNS: dict[str, Callable[[_Row], str]] = {
    "MODEL": lambda row: row.served.model,
    "BACKEND": lambda row: row.served.backend,
    "~SERVES": lambda row: "" if row.weights.reference else row.served.name,
    "~WEIGHTS": lambda row: row.weights.reference or "",
    "HERE": lambda row: (
        "" if row.weights.reference is None else "yes" if row.weights.is_here else "no"
    ),
    ">SIZE": lambda row: "" if row.weights.kept is None else as_size(row.weights.kept.size),
    ">USD/M": lambda row: row.price(),
    "RETIRES": lambda row: "" if row.ending is None else row.ending.date,
    ">TTFT": lambda row: as_ttft(row.measured),
    ">TOKENS": lambda row: "" if row.measured is None else as_rate(row.measured.tokens_per_s),
    ">ERRORS": lambda row: "" if row.measured is None else f"{row.measured.error_rate:.1%}",
}
_ALWAYS = ("MODEL", "BACKEND")


@click.command("list", cls=Command)
@click.option("--all", "whole", is_flag=True, help="Show the whole catalogue instead.")
@click.option("--provider", metavar="ID", help="With --all: only this provider's models.")
@json_option
def list_models(whole: bool, provider: str | None, as_json: bool) -> None:
    """List the declared models and routes; the first model answers where a request names none.

    The built-in embedding models come last; they are fetched when they are first used.

    With their price per million tokens (in/out), last day, and what the traces of the last
    seven days say: median time to the first token, tokens a second, share of failures.

    Below them the routes: whom each asks first, who is left out, and why.
    """
    place = Place.here()
    known = Known.here(place)
    if whole or provider is not None:
        _print_catalogue(known, provider, as_json=as_json)
        return
    store = store_of(place)
    found = [*declared(place, store), *built_in(place, store)]
    weights = {each.model: each for each in found}
    rows = [_row(known, each, weights[each.model]) for each in (*known.served, *known.builtin)]
    routes = routed(place, known)
    if as_json:
        builtin = {each.model for each in known.builtin}
        models = [
            {**_described(rows, name, default=i == 0), "built_in": name in builtin}
            for i, name in enumerate(weights)
        ]
        print_json([*models, *_described_routes(routes)])
        return
    _print_columns(rows)
    if routes:
        click.echo()
        print_table(["ROUTE", "PREFERS", ">ASKS", "MODEL", "WHY"], _route_rows(routes))
    for row in rows:
        if row.ending is not None and row.ending.is_near:
            click.echo(row.ending.message(), err=True)


def _row(known: Known, served: Served, weights: DeclaredWeights) -> _Row:
    price = known.price_of(served)
    usd = ""
    if price is not None:
        usd = f"{as_usd_per_million(price.input)}/{as_usd_per_million(price.output)}"
    return _Row(
        weights,
        served,
        known.measured.get((served.model, served.deployment)),
        retiring(served, known.catalogue, known.today),
        usd,
    )


def _print_columns(rows: Sequence[_Row]) -> None:
    cells = {name: [of(row) for row in rows] for name, of in _COLUMNS.items()}
    shown = [name for name in _COLUMNS if name in _ALWAYS or any(cells[name])]
    print_table(shown, [[cells[name][i] for name in shown] for i in range(len(rows))])


def _described(rows: Sequence[_Row], name: str, *, default: bool) -> dict[str, object]:
    mine = [row for row in rows if row.served.model == name]
    weights = mine[0].weights
    return {
        "model": name,
        "default": default,
        "backend": weights.backend,
        "weights": weights.reference,
        "sha256": weights.sha256,
        "kept": None if weights.kept is None else kept_fields(weights.kept),
        "deployments": [
            {
                "deployment": row.served.deployment,
                "backend": row.served.backend,
                "provider": row.served.provider,
                "serves": row.served.name,
                "catalogue": None if row.served.entry is None else entry_fields(row.served.entry),
                "measured": measured_fields(row.measured),
                "retires": None if row.ending is None else _ending_fields(row.ending),
            }
            for row in mine
        ],
    }


def _route_rows(routes: Sequence[Routed]) -> list[list[str]]:
    rows: list[list[str]] = []
    for i, each in enumerate(routes):
        is_new = i == 0 or routes[i - 1].route != each.route
        asks = "never" if each.position is None else str(each.position)
        named = [each.route, each.prefer] if is_new else ["", ""]
        rows.append([*named, asks, each.model, "; ".join(each.why)])
    return rows


def _described_routes(routes: Sequence[Routed]) -> list[dict[str, object]]:
    return [
        {
            "route": name,
            "prefer": next(each.prefer for each in routes if each.route == name),
            "models": [
                {"model": each.model, "position": each.position, "why": each.why}
                for each in routes
                if each.route == name
            ],
        }
        for name in dict.fromkeys(each.route for each in routes)
    ]


def _ending_fields(ending: Retiring) -> dict[str, object]:
    return {
        "date": ending.date,
        "days": ending.days,
        "is_earliest": ending.is_earliest,
        "told_by": ending.told_by,
        "replacement": ending.replacement,
        "reason": ending.reason,
    }


def _print_catalogue(known: Known, provider: str | None, *, as_json: bool) -> None:
    entries = [each for each in known.catalogue if provider in (None, each.provider)]
    if as_json:
        print_json([entry_fields(each) for each in entries])
        return
    if not entries:
        providers = sorted({each.provider for each in known.catalogue})
        raise click.UsageError(f"no provider {provider!r}; there are {', '.join(providers)}")
    columns = ["~MODEL", "KIND", ">CONTEXT", ">USD/M", "~LICENCE", "RETIRES", "AS OF"]
    print_table(columns, [_catalogue_row(each) for each in entries])


def _catalogue_row(entry: Entry) -> list[str]:
    facts = entry.facts
    price = facts.price
    return [
        entry.id,
        entry.kind.replace("_", " "),
        as_tokens(entry.context_tokens),
        as_price(price),
        facts.licence or "",
        as_last_day(facts.retirement),
        (price.as_of if price is not None else facts.limits.as_of if facts.limits else None) or "",
    ]
