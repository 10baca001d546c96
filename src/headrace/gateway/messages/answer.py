"""`POST /v1/messages`: one turn, whole or streamed."""

from contextlib import aclosing

from headrace.gateway.call import Call
from headrace.gateway.chat import stream_deltas
from headrace.gateway.messages.render import whole
from headrace.gateway.messages.stream import MessageStream
from headrace.gateway.messages.wire import MessagesRequest, chat_of
from headrace.gateway.turns import chat_turn
from headrace.gateway.wire import decode
from headrace.pipeline.turn import Turn

__all__ = ["answer_message"]


async def answer_message(call: Call) -> None:
    """Answer a request for a message.

    Raises:
        HeadraceError: before anything was sent; later failures are events of the stream.
    """
    request, extra = decode(await call.body(), MessagesRequest)
    chat, extra = chat_of(request, extra)
    await call.while_connected(_answer(call, chat_turn(call, chat, extra)))


async def _answer(call: Call, turn: Turn) -> None:
    async with aclosing(call.service.pipeline.answer(turn)) as deltas:
        if not turn.stream:
            async for _ in deltas:
                pass
            await call.respond(whole(turn))
            return
        stream = MessageStream(turn)
        if await stream_deltas(call, deltas, stream.chunk, failed=stream.failed):
            await call.write(stream.end())
            await call.end()
