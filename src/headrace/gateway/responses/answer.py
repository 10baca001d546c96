"""`POST /v1/responses`: one turn, whole or streamed."""

from contextlib import aclosing

from headrace.errors import InvalidRequest
from headrace.gateway.call import Call
from headrace.gateway.chat import stream_deltas
from headrace.gateway.responses.continuation import (
    ResponseName,
    continuation_of,
    keeps_conversations,
)
from headrace.gateway.responses.item import messages_of
from headrace.gateway.responses.render import ResponseRenderer
from headrace.gateway.responses.stream import ResponseStream
from headrace.gateway.responses.wire import ResponsesRequest, chat_of
from headrace.gateway.turns import chat_turn
from headrace.gateway.wire import decode
from headrace.pipeline.turn import Turn

__all__ = ["answer_response"]


async def answer_response(call: Call) -> None:
    """Answer a request for a response.

    Raises:
        HeadraceError: before anything was sent; later failures are events of the stream.
    """
    request, extra = decode(await call.body(), ResponsesRequest)
    given = messages_of(request.input) if request.input else []
    if not given:
        raise InvalidRequest(
            "'input' is empty", hint="send some text, or at least one item", param="input"
        )
    before = await continuation_of(call, request)
    chat, extra = chat_of(request, extra, [*before.messages, *given], before.conversation)
    turn = chat_turn(call, chat, extra)
    name = ResponseName.of(turn.id, turn.conversation)
    is_stored = turn.conversation is not None and keeps_conversations(call)
    renderer = ResponseRenderer(turn, request, name.id, is_stored=is_stored)
    await call.while_connected(_answer(call, turn, renderer))


async def _answer(call: Call, turn: Turn, renderer: ResponseRenderer) -> None:
    async with aclosing(call.service.pipeline.answer(turn)) as deltas:
        if not turn.stream:
            async for _ in deltas:
                pass
            await call.respond(renderer.whole())
            return
        stream = ResponseStream(renderer)
        if await stream_deltas(call, deltas, stream.chunk, failed=stream.failed):
            await call.write(stream.end())
            await call.end()
