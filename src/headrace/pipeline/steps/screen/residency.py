"""Data residency by policy: which models may get this prompt."""

from collections.abc import Collection, Sequence

from headrace.models.box import ModelBox
from headrace.models.deployment import Deployment
from headrace.models.residency import lies_in
from headrace.pipeline.turn import Turn
from headrace.screening.form import Residency

__all__ = ["keep_within"]


def keep_within(turn: Turn, models: ModelBox, residency: Residency, found: Collection[str]) -> bool:
    """Leave those models that run in the policy's regions alone; False when none is left.

    A model with one deployment outside is outside: who of its deployments answers is not known yet.

    Args:
        found: the kinds that are in the prompt.
    """
    if residency.kinds and not set(residency.kinds) & set(found):
        return True
    target = models.get(turn.model).among(turn.only)
    order = target.order()
    inside = [each.name for each in order if _are_within(each.deployments, residency.regions)]
    if not inside:
        return False
    if len(inside) < len(order):
        turn.only = frozenset(inside)
    return True


def _are_within(deployments: Sequence[Deployment], regions: Sequence[str]) -> bool:
    return all(any(lies_in(each.place.region, rule) for rule in regions) for each in deployments)
