"""Routes from their configuration: which models meet the requirements, and in what order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec

from headrace.config.model import ModelConfig, RequireConfig, RouteConfig, ServiceConfig
from headrace.config.node import Node
from headrace.models.facts import Facts
from headrace.models.model import Model, Route
from headrace.models.residency import lies_in

__all__ = ["Judged", "judge_models", "ranked", "route_of"]

_STANDINGS = ("small", "light", "balanced", "flagship")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One model of a route, and why it is out, if it is."""

    name: str
    missed: Sequence[str]
    """Each requirement that it does not meet; empty: it is in."""
    usd: float | None
    """USD per million tokens in the mix of the route's first task; None: not known."""
    standing: float
    """For `prefer: quality`: more is better."""


def route_of(
    name: str,
    route: RouteConfig,
    config: ServiceConfig,
    models: Mapping[str, Model],
    facts: Facts,
) -> Route:
    """The route that a configuration declares.

    Raises:
        ConfigError: no model meets what is required; with the reasons.
    """
    regions = _regions(name, route, config)
    judged = judge_models(route, config, facts, datetime.now(UTC).date())
    chosen = [each for each in judged if not each.missed]
    if not chosen:
        why = "; ".join(f"{each.name}: {', '.join(each.missed)}" for each in judged)
        raise config.node.error(
            f"no model meets what the route requires ({why})",
            "routes",
            name,
            hint="require less, or declare a model that does; `headrace models choose` helps",
        )
    return Route(
        name,
        [models[each.name] for each in ranked(route.prefer, chosen)],
        regions=regions,
        weights=route.weights if route.prefer == "weights" else None,
        by_latency=route.prefer == "latency",
    )


def ranked(prefer: str, judged: Sequence[Judged]) -> list[Judged]:
    """In the order that a preference asks them, as far as it is fixed when the files are loaded."""
    orders: dict[str, Callable[[Judged], float]] = {
        "cost": lambda each: float("inf") if each.usd is None else each.usd,
        "quality": lambda each: -each.standing,
    }
    order = orders.get(prefer)
    return list(judged) if order is None else sorted(judged, key=order)


def judge_models(
    route: RouteConfig, config: ServiceConfig, facts: Facts, today: date
) -> list[Judged]:
    """Every model that the route names, in its order, judged by all its deployments."""
    names = route.models or list(config.models)
    rules = [each for each in (route.require.regions, config.residency) if each]
    return [_judged(config.models[name], route.require, rules, facts, today) for name in names]


def _judged(
    model: ModelConfig,
    require: RequireConfig,
    rules: Sequence[Sequence[str]],
    facts: Facts,
    today: date,
) -> Judged:
    missed: list[str] = []
    prices: list[float | None] = []
    standings: list[float] = []
    places = [
        position
        for position in range(len(model.deployments))
        if all(_lies_in(model, position, rule) for rule in rules)
    ]
    if not places:
        missed.append(f"no deployment in {' and '.join(' or '.join(rule) for rule in rules)}")
    for position in places:
        one = _judged_deployment(model, position, require, facts, today)
        missed += [reason for reason in one.missed if reason not in missed]
        prices.append(one.usd)
        standings.append(one.standing)
    known = [price for price in prices if price is not None]
    return Judged(
        name=model.name,
        missed=missed,
        usd=max(known) if known and len(known) == len(prices) else None,
        standing=min(standings, default=0.0),
    )


def _lies_in(model: ModelConfig, position: int, rules: Sequence[str]) -> bool:
    region = model.deployments[position].place.region
    return any(lies_in(region, rule) for rule in rules)


def _judged_deployment(
    model: ModelConfig, position: int, require: RequireConfig, facts: Facts, today: date
) -> Judged:
    from headrace.models.catalogue.catalogue import Entry
    from headrace.models.catalogue.choose import Wanted, judge
    from headrace.models.catalogue.entry import Limits, ModelFacts, Task

    declared = model.deployments[position]
    entry = facts.entry(model, position) or Entry(f"own/{model.name}", ModelFacts(), None)
    told = entry.facts
    if (context := _declared_context(declared.settings)) is not None:
        told = msgspec.structs.replace(told, limits=Limits(context_tokens=context))
    if (price := facts.price(model, position)) is not None:
        told = msgspec.structs.replace(told, price=price)
    wanted = Wanted(
        tasks=msgspec.convert(require.tasks, list[Task]),
        licence=require.license,
        context_tokens=require.context_tokens,
        max_usd=require.usd_per_million,
    )
    verdict = judge(Entry(entry.id, told, entry.licence), wanted, today, heeds_retirement=False)
    missed = [] if verdict.is_in else list(verdict.reasons)
    position_name = None if told.position is None else told.position.name
    score = None if told.position is None else told.position.score
    standing = -1 if position_name is None else _STANDINGS.index(position_name)
    if require.position is not None and standing < _STANDINGS.index(require.position):
        missed.append(f"standing {position_name or 'not known'}, not {require.position}")
    return Judged(
        name=model.name,
        missed=missed,
        usd=verdict.usd,
        standing=standing if score is None else score * len(_STANDINGS),
    )


def _declared_context(settings: Node) -> int | None:
    value = settings.value.get("context_tokens") if isinstance(settings.value, dict) else None
    return value if isinstance(value, int) else None


def _regions(name: str, route: RouteConfig, config: ServiceConfig) -> frozenset[str] | None:
    """Every declared region that the route's rules allow; None: it has no rules.

    Raises:
        ConfigError: `residency` forbids all of them.
    """
    rules = [each for each in (route.require.regions, config.residency) if each]
    if not route.require.regions:
        return None
    declared = [each.place.region for model in config.models.values() for each in model.deployments]
    allowed = frozenset(
        region
        for region in declared
        if region is not None and all(any(lies_in(region, each) for each in one) for one in rules)
    )
    if not allowed and len(rules) > 1:
        raise config.node.error(
            f"no deployment lies in {' or '.join(route.require.regions)} and where residency "
            f"lets data go ({' or '.join(config.residency)})",
            "routes",
            name,
            "require",
            "regions",
            hint="a route may narrow `residency`, never leave it",
        )
    return allowed
