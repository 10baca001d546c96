"""The routes in `headrace models list`: which model each asks first, and why."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headrace.cli.models.figure import as_usd_per_million
from headrace.cli.models.known import Known
from headrace.cli.place import Place
from headrace.config.load import load_service
from headrace.config.model import RouteConfig
from headrace.console.figure import as_seconds
from headrace.models.facts import Facts
from headrace.models.route import Judged, judge_models, ranked

__all__ = ["Routed", "routed"]


@dataclass(frozen=True, slots=True)
class Routed:
    """One model of a route."""

    route: str
    prefer: str
    position: int | None
    """From 1, as the route asks them; None: it asks this one never."""
    model: str
    why: Sequence[str]


def routed(place: Place, known: Known) -> list[Routed]:
    """Every model of every declared route: those that are asked, in order, then the others.

    What changes from turn to turn is told as far as the traces know it: `prefer: latency` goes
    by the last days' times to the first token, where the service goes by those of the moment.

    Raises:
        ConfigError: headrace.yaml or catalogue.yaml cannot be used.
    """
    service = load_service(place.root, os.environ)
    facts = Facts(service, os.environ)
    return [
        each
        for name, route in service.routes.items()
        for each in _of(name, route, judge_models(route, service, facts, known.today), known)
    ]


def _of(name: str, route: RouteConfig, judged: Sequence[Judged], known: Known) -> Iterator[Routed]:
    asked = ranked(route.prefer, [each for each in judged if not each.missed])
    if route.prefer == "latency":
        asked.sort(key=lambda each: _ttft_s(each.name, known) or 0.0)  # one not known is tried
    if route.prefer == "weights":
        asked.sort(key=lambda each: -route.weights.get(each.name, 1.0))
    all_weights = sum(route.weights.get(each.name, 1.0) for each in asked)
    for at, each in enumerate(asked, 1):
        if route.prefer == "weights":
            why = f"first in {route.weights.get(each.name, 1.0) / all_weights:.0%} of the turns"
        else:
            why = _why(route, each, at, known)
        yield Routed(name, route.prefer, at, each.name, [why])
    for each in judged:
        if each.missed:
            yield Routed(name, route.prefer, None, each.name, each.missed)


def _why(route: RouteConfig, judged: Judged, at: int, known: Known) -> str:
    match route.prefer:
        case "cost":
            if judged.usd is None:
                return "price not known, so last"
            return f"{as_usd_per_million(round(judged.usd, 3))} a million tokens"
        case "latency":
            ttft_s = _ttft_s(judged.name, known)
            return (
                "TTFT not known yet, so tried" if ttft_s is None else f"TTFT {as_seconds(ttft_s)}"
            )
        case "quality":
            return f"standing {judged.standing:g}" if judged.standing >= 0 else "standing not known"
        case _:
            return "the first that will do" if at == 1 else "when those before cannot answer"


def _ttft_s(model: str, known: Known) -> float | None:
    """Median time to the first token at the model's quickest deployment."""
    found = [
        figures.ttft_p50_s
        for (name, _), figures in known.measured.items()
        if name == model and figures.ttft_p50_s is not None
    ]
    return min(found, default=None)
