"""Weights: here, or where they would come from."""

from collections.abc import Iterator

from headrace.errors import HeadraceError
from headrace.models.weights import DeclaredWeights, look_up
from headrace.server.doctor.result import Result, fail, ok
from headrace.server.doctor.site import Site

__all__ = ["check_weights"]


def check_weights(site: Site) -> Iterator[Result]:
    """Each model's weights; those that are not here must be to be had."""
    for each in site.weights:
        if each.reference is not None:
            yield _weights(each, each.reference, site)


def _weights(each: DeclaredWeights, reference: str, site: Site) -> Result:
    if each.kept is not None and each.is_here:
        size = f"{each.kept.size / 1e6:.0f} MB"
        return ok("weights", f"{each.model}: {size} at {each.kept.path}")
    try:
        look_up(reference, site.root)
    except HeadraceError as error:
        return fail("weights", f"{each.model}: {error.message}", hint=error.hint)
    return ok("weights", f"{each.model}: {reference} can be fetched (`headrace models pull`)")
