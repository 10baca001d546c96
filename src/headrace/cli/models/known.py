"""What is known here of models: the declared ones, the catalogue, what was measured."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Self

from headrace.cli.place import Place
from headrace.config.load import load_service
from headrace.config.model import ModelConfig, PriceConfig, RouteConfig
from headrace.errors import UnknownModel
from headrace.models.builder import builtin_models
from headrace.models.catalogue.catalogue import Catalogue, Entry
from headrace.models.catalogue.cost import Mix
from headrace.models.catalogue.load import FILE, load_catalogue
from headrace.models.catalogue.served import Served, served_models
from headrace.models.store import ModelStore
from headrace.models.weights import DeclaredWeights, declared_weights

if TYPE_CHECKING:
    from headrace.telemetry.measured import Measured

__all__ = ["Known", "built_in", "declared", "store_of"]

MEASURED_DAYS = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Models as the command line finds them in a folder; without a headrace.yaml, the built-in."""

    models: Mapping[str, ModelConfig]
    routes: Mapping[str, RouteConfig]
    catalogue: Catalogue
    served: list[Served]
    builtin: list[Served]
    """The embedding models that are there without being declared."""
    measured: Mapping[tuple[str, str], "Measured"]
    """By model and deployment, of the last days; empty where nothing has run."""
    today: date

    @classmethod
    def here(cls, place: Place, *, days: float = MEASURED_DAYS) -> Self:
        """What is known in a place.

        Raises:
            ConfigError: headrace.yaml or catalogue.yaml cannot be used.
            StateUnusable: the database cannot be read.
        """
        service = load_service(place.root, os.environ)
        models = service.models
        catalogue = load_catalogue(place.root, os.environ)
        return cls(
            models=models,
            routes=service.routes,
            catalogue=catalogue,
            served=served_models(models, catalogue),
            builtin=served_models(builtin_models(service), catalogue),
            measured=_measured(place, days),
            today=datetime.now(UTC).date(),
        )

    def measured_by_id(self) -> dict[str, "Measured"]:
        """Figures by catalogue id; of several deployments of a model, the busiest speaks."""
        found: dict[str, Measured] = {}
        for each in self.served:
            figures = self.measured.get((each.model, each.deployment))
            if each.entry is None or figures is None:
                continue
            other = found.get(each.entry.id)
            if other is None or figures.turns > other.turns:
                found[each.entry.id] = figures
        return found

    def declared_as(self, entry: Entry) -> list[str]:
        """The names under which headrace.yaml declares a model."""
        names = [each.model for each in self.served if each.entry is not None]
        named = [n for n, s in zip(names, self._entries(), strict=True) if s.id == entry.id]
        return list(dict.fromkeys(named))

    def price_of(self, served: Served) -> PriceConfig | None:
        """What headrace.yaml says that a deployment costs; None where it says nothing."""
        config = self.models.get(served.model)
        if config is None:
            return None  # built in: it costs nothing
        place = config.deployments[int(served.deployment.rpartition("-")[2])].place
        price = place.price or config.price
        return price if price is not None and (price.input or price.output) else None

    def declared_usd(self, mix: Mix) -> dict[str, float]:
        """USD per million tokens by catalogue id, where headrace.yaml says its own."""
        found: dict[str, float] = {}
        for each in self.served:
            price = self.price_of(each)
            if each.entry is not None and price is not None:
                share = mix.input_share
                usd = share * price.input + (1 - share) * price.output
                found[each.entry.id] = min(usd, found.get(each.entry.id, usd))
        return found

    def entry_named(self, name: str) -> Entry:
        """The entry of a declared model or of a catalogue id.

        Raises:
            UnknownModel: there is none, or the catalogue does not know what is declared.
        """
        if name in self.routes and name not in self.models:
            of = ", ".join(self.routes[name].models or self.models)
            raise UnknownModel(f"{name!r} is a route, not a model", hint=f"name its models: {of}")
        mine = [each for each in self.served if each.model == name]
        for each in mine:
            if each.entry is not None:
                return each.entry
        if mine:
            raise UnknownModel(
                f"the catalogue does not know {mine[0].name!r}, which model {name!r} is",
                hint=f"describe it in {FILE}; see docs/catalogue.md",
            )
        return self.catalogue.get(name)

    def _entries(self) -> list[Entry]:
        return [each.entry for each in self.served if each.entry is not None]


def store_of(place: Place) -> ModelStore:
    """The folder's model store."""
    return ModelStore(place.home / "models", root=place.root)


def declared(place: Place, store: ModelStore) -> list[DeclaredWeights]:
    """The weights of the declared models."""
    return declared_weights(load_service(place.root, os.environ).models, store)


def built_in(place: Place, store: ModelStore) -> list[DeclaredWeights]:
    """The weights of the models that are there without being declared."""
    return declared_weights(builtin_models(load_service(place.root, os.environ)), store)


def _measured(place: Place, days: float) -> dict[tuple[str, str], "Measured"]:
    if not place.has_state:
        return {}
    # The database's import costs more than all the rest of these commands.
    from headrace.telemetry.measured import measured

    with place.database() as database:
        found = measured(database, days=days, now=time.time())
    return {(each.model, each.deployment): each for each in found}
