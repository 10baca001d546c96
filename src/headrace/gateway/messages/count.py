"""`POST /v1/messages/count_tokens`: how many tokens a prompt comes to, by the model's own count."""

import msgspec

from headrace.gateway.call import Call
from headrace.gateway.messages.block import messages_of, system_of
from headrace.gateway.messages.tool import tools_of
from headrace.gateway.messages.wire import CountRequest
from headrace.gateway.wire import decode
from headrace.types import Message

__all__ = ["count_tokens"]


async def count_tokens(call: Call) -> None:
    """Count the request's own messages: what templates add and `ground` puts in is not in it.

    Tools count as the JSON that describes them, which is how chat templates write them.
    """
    request, _ = decode(await call.body(), CountRequest)
    model = call.service.models.get_for(request.model, call.principal)
    messages = [*system_of(request.system), *messages_of(request.messages)]
    if tools := tools_of(request.tools):
        described = msgspec.json.encode(tools).decode()
        messages.insert(0, Message(role="system", content=described))
    tokens = await model.count_tokens(messages)
    await call.respond(msgspec.json.encode({"input_tokens": tokens}))
