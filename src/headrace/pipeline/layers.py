"""The steps that act on an answer, laid so that its deltas pass through as few hands as can be."""

from collections.abc import Sequence
from typing import TypeAlias

from headrace.pipeline.step import Settings, Step
from headrace.pipeline.stream import filtered
from headrace.pipeline.turn import Turn
from headrace.types import Deltas

__all__ = ["AnyStep", "Layers", "layers_of"]

AnyStep: TypeAlias = Step[Settings]


class Layers:
    """The steps that act on the answer, neighbouring filters fused into one pass."""

    def __init__(self, layers: list[AnyStep | list[tuple[int, AnyStep]]], filters: list[AnyStep]):
        self._layers = layers
        self.filters = filters

    def over(self, turn: Turn, deltas: Deltas, busy_s: list[float]) -> Deltas:
        filters: list[tuple[int, AnyStep]] = []
        for layer in self._layers:
            if isinstance(layer, list):
                filters += layer
                continue
            below = filtered(turn, filters, deltas, busy_s) if filters else deltas
            above = layer.transform(turn, below)
            if above is not below:
                # Else it lets this answer be: the filters on both sides run in one pass.
                deltas, filters = above, []
        return filtered(turn, filters, deltas, busy_s) if filters else deltas

    def busy_of(self, step: AnyStep, busy_s: list[float]) -> float:
        """Seconds the step's filters took, all choices together."""
        return sum(busy_s[i] for i, each in enumerate(self.filters) if each is step)


def layers_of(steps: Sequence[AnyStep]) -> Layers:
    """The steps of a pipeline that have something to do with answers, in order."""
    layers: list[AnyStep | list[tuple[int, AnyStep]]] = []
    filters: list[AnyStep] = []
    for step in steps:
        if type(step).transform is not Step.transform:
            layers.append(step)
        if type(step).filter is Step.filter:
            continue
        entry = (len(filters), step)
        filters.append(step)
        if layers and isinstance(layers[-1], list):
            layers[-1].append(entry)
        else:
            layers.append([entry])
    return Layers(layers, filters)
