"""`GET /v1/models` for clients that speak Anthropic's API (they send `anthropic-version`)."""

from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec

from headrace.gateway.call import Call
from headrace.gateway.messages.render import Json

__all__ = ["list_models", "show_model"]


async def list_models(call: Call) -> None:
    """Every model of the service, on one page."""
    names = list(call.service.models.names_for(call.principal))
    body: Json = {
        "data": [_model(call, name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
    await call.respond(msgspec.json.encode(body))


async def show_model(call: Call) -> None:
    """One model; UnknownModel names the nearest."""
    name = unquote(call.path.removeprefix("/v1/models/"))
    await call.respond(
        msgspec.json.encode(_model(call, call.service.models.get_for(name, call.principal).name))
    )


def _model(call: Call, name: str) -> Json:
    loaded = datetime.fromtimestamp(int(call.service.loaded_at), UTC)
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": loaded.isoformat().replace("+00:00", "Z"),
        "lifecycle": "active",
        "max_input_tokens": call.service.models.get(name).context_tokens,
    }
