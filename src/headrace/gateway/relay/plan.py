"""What one service can relay: worked out once, for as long as it is the one in use."""

from headrace.gateway.relay.account import Account
from headrace.gateway.relay.plain import PlainChat
from headrace.models.deployment import Deployment
from headrace.models.model import Model
from headrace.models.openai.relay import RelayTarget
from headrace.models.remote import RemoteBackend
from headrace.pipeline.service import Service
from headrace.types import Params

__all__ = ["Direct", "Place", "Plan"]

_PARAMS = Params()
_FIELDS = frozenset(PlainChat.__struct_fields__) - {"messages", "model", "stream"}


class Place:
    """One deployment that chats can be passed on to."""

    __slots__ = ("account", "backend", "deployment", "target")

    def __init__(self, deployment: Deployment, backend: RemoteBackend, target: RelayTarget) -> None:
        self.deployment = deployment
        self.backend = backend
        self.target = target
        self.account = Account(deployment)

    @classmethod
    def of(cls, deployment: Deployment) -> "Place | None":
        """None where chats have to be put into other words first."""
        backend = deployment.backend
        target = backend.relay() if isinstance(backend, RemoteBackend) else None
        if target is None or not isinstance(backend, RemoteBackend):
            return None
        return cls(deployment, backend, target)


class Direct:
    """A model, all of whose deployments can be passed chats."""

    __slots__ = ("first", "has_others", "has_price", "model", "one_system", "places", "refused")

    def __init__(self, model: Model, places: dict[str, Place]) -> None:
        self.model = model
        self.places = places
        """By the deployment's key."""
        self.first = model.deployments[0]
        self.has_price = self.first.price is not None
        self.has_others = len(model.deployments) > 1
        self.one_system = any(each.target.one_system for each in places.values())
        """Whether one of them takes a system message only at the beginning."""
        known = frozenset.intersection(*(each.target.fields for each in places.values()))
        self.refused = tuple(sorted(_FIELDS - known))
        """Fields of a request that mean something else at one of them."""

    def suits(self, request: PlainChat) -> bool:
        """Whether all that a request says means the same at each of the deployments."""
        for name in self.refused:
            if request.says(name):
                return False
        return not (self.one_system and any(m.role == "system" for m in request.messages[1:]))


class Plan:
    """The models of a service that can be asked directly."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.release = b"x-headrace-release: %b\r\n" % service.release.encode()
        self.most_bytes = service.config.server.max_body_bytes
        self.models: dict[str, Direct] = {}
        if not service.asks_only_the_model or service.config.cache is not None:
            return
        for model in service.models.models():
            found = {each.key: Place.of(each) for each in model.deployments}
            places = {key: place for key, place in found.items() if place is not None}
            if places and len(places) == len(found) and model.params == _PARAMS:
                self.models[model.name] = Direct(model, places)
