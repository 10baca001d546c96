"""`/v1/models` and `/v1/models/{name}`: what may be asked."""

import asyncio
from contextlib import suppress
from urllib.parse import unquote

import msgspec

from headrace.errors import NotFound, PermissionDenied
from headrace.gateway.call import Call
from headrace.models.adapter import AdapterStore
from headrace.models.model import Target
from headrace.models.tuned import Tuned, withdraw_tuned
from headrace.training.trainer import Trainer

__all__ = ["list_models", "show_model"]


async def list_models(call: Call) -> None:
    """Every model of the service; the built-in ones, which embed only, last."""
    models = call.service.models
    # A fine-tune is there for those alone whose it is.
    names = [*models.names_for(call.principal), *models.embedding_names()]
    listed = [_model(call, name) for name in names]
    body = {"object": "list", "data": listed}
    await call.respond(msgspec.json.encode(body))


async def show_model(call: Call) -> None:
    """One model, or the end of a fine-tune under its name; UnknownModel names the nearest."""
    name = unquote(call.path.removeprefix("/v1/models/"))
    model = call.service.models.get_for(name, call.principal)
    if call.method == "DELETE":
        await _delete(call, model)
        return
    await call.respond(msgspec.json.encode(_model(call, name)))


async def _delete(call: Call, model: Target) -> None:
    """Serve a fine-tune no longer. Its adapter stays, for releases that name its digest.

    Raises:
        PermissionDenied: it is a model of headrace.yaml, or a colleague's.
    """
    owner, principal = model.owner, call.principal
    if owner is None or not (principal.is_admin or principal.key_id == owner.key_id):
        raise PermissionDenied(
            f"the model {model.name!r} is not this key's to delete",
            hint="only a fine-tune can be, by the key that made it; others are in headrace.yaml",
        )
    await asyncio.to_thread(_withdraw, call, owner)
    body = {"id": model.name, "object": "model", "deleted": True}
    await call.respond(msgspec.json.encode(body))


def _withdraw(call: Call, tuned: Tuned) -> None:
    """With the checkpoints of the fine-tune that made it, first: a kill in between asks again."""
    home = call.platform.home
    trainer = Trainer(home, root=call.service.config.root)
    with suppress(NotFound):  # the adapter or its fine-tune was deleted
        made = trainer.job(AdapterStore(home).get(tuned.digest).job)
        # Two of the same examples have one adapter, and it knows the first of them alone.
        if made.spec.metadata.get("job", "").endswith(tuned.name.rpartition(":")[2]):
            trainer.clear(made.id)
    withdraw_tuned(home, tuned.name)


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
