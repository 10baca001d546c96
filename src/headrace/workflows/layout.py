"""Where the steps of a graph stand in a drawing: in layers, each below all that it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.workflows.plan import ordered

__all__ = ["Bend", "Layout", "Place", "make_layout"]

SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Bend:
    """Where an edge crosses a layer on its way to a later one."""

    source: str
    target: str
    layer: int


Place = str | Bend


@dataclass(frozen=True, slots=True)
class Layout:
    """The layers from top to bottom, each from left to right, and what is joined between them."""

    layers: Sequence[Sequence[Place]]
    edges: Sequence[tuple[Place, Place]]
    """From each place to one of the next layer."""


def make_layout(needs: Mapping[str, Sequence[str]]) -> Layout:
    """A layout of steps and those they need, without cycles. An edge that others imply is left out."""
    order = ordered(needs)
    lean = _reduced(order, needs)
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[need] for need in lean[name]), default=-1)
    layers: list[list[Place]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in order:
        layers[depth[name]].append(name)
    edges: list[tuple[Place, Place]] = []
    for name in order:
        for need in lean[name]:
            above: Place = need
            for layer in range(depth[need] + 1, depth[name]):
                bend = Bend(need, name, layer)
                layers[layer].append(bend)
                edges.append((above, bend))
                above = bend
            edges.append((above, name))
    return Layout(_untangled(layers, edges), edges)


def _reduced(order: Sequence[str], needs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The needs without those that another need has already."""
    before: dict[str, set[str]] = {}
    lean: dict[str, list[str]] = {}
    for name in order:
        direct = list(dict.fromkeys(needs[name]))
        implied = {each for need in direct for each in before[need]}
        lean[name] = [need for need in direct if need not in implied]
        before[name] = implied | set(direct)
    return lean


def _untangled(
    layers: list[list[Place]], edges: Sequence[tuple[Place, Place]]
) -> list[list[Place]]:
    """The layers with each place near those that it is joined to.

    Source: Sugiyama, Tagawa, Toda 1981 (barycentres, swept down and up).
    """
    joined: dict[tuple[Place, int], list[Place]] = {}
    for depth, layer in enumerate(layers[1:], 1):
        here, above = set(layer), set(layers[depth - 1])
        for source, target in edges:
            if source in above and target in here:
                joined.setdefault((target, -1), []).append(source)
                joined.setdefault((source, 1), []).append(target)
    found = [list(layer) for layer in layers]
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        depths = range(1, len(found)) if down else range(len(found) - 2, -1, -1)
        for depth in depths:
            other = found[depth - 1 if down else depth + 1]
            width = max(len(other), 1)
            places = {place: (i + 0.5) / width for i, place in enumerate(other)}
            current = {place: (i + 0.5) / len(found[depth]) for i, place in enumerate(found[depth])}

            def key(
                place: Place,
                places: Mapping[Place, float] = places,
                current: Mapping[Place, float] = current,
                way: int = -1 if down else 1,
            ) -> float:
                near = [places[e] for e in joined.get((place, way), ()) if e in places]
                return sum(near) / len(near) if near else current[place]

            found[depth].sort(key=key)
    return found
