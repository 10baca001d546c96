"""Models in use that are about to be shut down, by the catalogue."""

from collections.abc import Iterator
from datetime import UTC, datetime

from headrace.errors import HeadraceError
from headrace.models.catalogue.load import load_catalogue
from headrace.models.catalogue.retirement import retiring
from headrace.models.catalogue.served import served_models
from headrace.server.doctor.result import Result, failure, ok, warn
from headrace.server.doctor.site import Site

__all__ = ["check_retirement"]


def check_retirement(site: Site) -> Iterator[Result]:
    """Each near end with the best replacement. Providers are not asked: doctor needs no keys."""
    if site.config is None:
        return
    try:
        catalogue = load_catalogue(site.root, site.environ)
    except HeadraceError as error:
        yield failure("catalogue", error)
        return
    today = datetime.now(UTC).date()
    served = served_models(site.config.models, catalogue)
    near = [each for one in served if (each := retiring(one, catalogue, today)) and each.is_near]
    for ending in near:
        hint = "`headrace models compare` shows both; change `model` in headrace.yaml"
        yield warn("catalogue", ending.message(), hint=hint)
    if not near:
        known = sum(each.entry is not None for each in served)
        yield ok("catalogue", f"{known} of {len(served)} models known; none about to be shut down")
