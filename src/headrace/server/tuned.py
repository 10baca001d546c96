"""Which fine-tunes a service serves besides what its files declare."""

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headrace.config.model import AdapterConfig, ModelConfig, ServiceConfig
from headrace.errors import HeadraceError
from headrace.models.adapted import REGISTRY, registered
from headrace.models.errors import AdapterUnusable
from headrace.models.store import ModelStore
from headrace.models.tuned import Tuned, TunedModel, read_tuned
from headrace.models.weights import declared_weights

__all__ = ["tuned_models"]

_log = logging.getLogger(__name__)


def tuned_models(config: ServiceConfig, home: Path) -> Sequence[TunedModel]:
    """Every fine-tune whose base is declared and whose adapter is whole. Reads files.

    One that cannot be served (its adapter was altered, its base has other weights now) must not
    keep the service from starting: the log says which and why.
    """
    found = []
    for name, served in read_tuned(home).items():
        base = config.models.get(served.base)
        if base is None or base.adapter is not None or name in config.models:
            _log.warning("%s is not served: there is no base model %r", name, served.base)
            continue
        try:
            _check(served, base, ModelStore(home / "models", root=config.root), home)
        except HeadraceError as error:
            _log.error("%s is not served: %s", name, error.message)
            continue
        adapter = AdapterConfig(base=served.base, adapter=f"{REGISTRY}{served.digest}")
        config_of = msgspec.structs.replace(base, name=name, adapter=adapter)
        found.append(TunedModel(served, config_of))
    return found


def _check(served: Tuned, base: ModelConfig, store: ModelStore, home: Path) -> None:
    """
    Raises:
        NotFound: the adapter was deleted.
        WeightsUnavailable: it was altered, or is no file that can be loaded.
        AdapterUnusable: the base has other weights than those it was trained on.
    """
    source = registered(served.digest, home)
    store.fetch(source.reference, served.sha256)
    weights = declared_weights({served.base: base}, store)[0]
    known = weights.kept.sha256 if weights.kept is not None else weights.sha256
    if known is not None and source.base_sha256 not in ("", known.lower()):
        raise AdapterUnusable(f"its base {served.base!r} has other weights than it was trained on")
