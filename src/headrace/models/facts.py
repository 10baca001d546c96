"""What is known of each declared deployment from the catalogue, read only when it is needed."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from headrace.config.model import ModelConfig, ServiceConfig
from headrace.models.catalogue.cost import declared_price
from headrace.models.catalogue.entry import Price

if TYPE_CHECKING:
    from headrace.models.catalogue.catalogue import Catalogue, Entry

__all__ = ["Facts"]


class Facts:
    """Prices and limits of a configuration's deployments: as declared, else as published."""

    def __init__(self, config: ServiceConfig, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = environ

    @cached_property
    def catalogue(self) -> "Catalogue":
        """What comes with Headrace, under the service's own `catalogue.yaml`."""
        from headrace.models.catalogue.load import load_catalogue

        return load_catalogue(self._config.root, self._environ)

    def entry(self, model: ModelConfig, position: int) -> "Entry | None":
        """The catalogue's entry for a deployment; None where it knows none."""
        from headrace.models.catalogue.served import served_models

        return served_models({model.name: model}, self.catalogue)[position].entry

    def price(self, model: ModelConfig, position: int) -> Price | None:
        """What a deployment costs: as it says, as its model says, as its provider publishes.

        Weights on a machine of one's own cost nothing by the token. None: nobody has said.
        """
        deployment = model.deployments[position]
        declared = deployment.place.price or model.price
        if declared is not None:
            return declared_price(declared)
        if deployment.backend in ("embedded", "onnx", "universal_sentence_encoder"):
            return Price(input=0.0)
        entry = self.entry(model, position)
        return None if entry is None else entry.facts.price

    def context_tokens(self, model: ModelConfig, position: int) -> int | None:
        """Longest prompt plus answer, as published."""
        entry = self.entry(model, position)
        return None if entry is None else entry.context_tokens
