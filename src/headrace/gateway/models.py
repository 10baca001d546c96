"""`GET /v1/models` and `GET /v1/models/{name}`: what may be asked."""

from urllib.parse import unquote

import msgspec

from headrace.errors import UnknownModel
from headrace.gateway.call import Call

__all__ = ["list_models", "show_model"]


async def list_models(call: Call) -> None:
    """Every model of the service; the built-in ones, which embed only, last."""
    models = call.service.models
    names = [*models.names(), *models.embedding_names()]
    # A fine-tune is there for those alone whose it is.
    listed = [_model(call, n) for n in names if models.get(n).is_open_to(call.principal)]
    body = {"object": "list", "data": listed}
    await call.respond(msgspec.json.encode(body))


async def show_model(call: Call) -> None:
    """One model; UnknownModel names the nearest."""
    name = unquote(call.path.removeprefix("/v1/models/"))
    if not call.service.models.get(name).is_open_to(call.principal):
        raise UnknownModel.named(name, ())
    await call.respond(msgspec.json.encode(_model(call, name)))


def _model(call: Call, name: str) -> dict[str, object]:
    model = call.service.models.get(name)
    embeds = name in call.service.models.embedding_names()
    return {
        "id": name,
        "object": "model",
        "created": int(call.service.loaded_at),
        "owned_by": call.service.config.name,
        "context_tokens": model.context_tokens,
        **({"tasks": ["embed"]} if embeds else {}),
    }
