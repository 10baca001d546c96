"""`POST /v1/chat/completions`: one turn, whole or streamed."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from headrace.errors import HeadraceError
from headrace.gateway.call import Call
from headrace.gateway.errors import ServiceStopping, error_event, internal_error
from headrace.gateway.render import DONE, ChatRenderer
from headrace.gateway.turns import chat_turn
from headrace.gateway.wire import ChatRequest, decode
from headrace.pipeline.turn import Turn
from headrace.types import Delta, Deltas

__all__ = ["answer_chat", "stream_deltas"]

_log = logging.getLogger(__name__)


async def answer_chat(call: Call) -> None:
    """Answer a chat request.

    Raises:
        HeadraceError: before anything was sent; later failures are events of the stream.
    """
    request, extra = decode(await call.body(), ChatRequest)
    turn = chat_turn(call, request, extra)
    options = request.stream_options
    renderer = ChatRenderer(turn, include_usage=options is not None and options.include_usage)
    await _answer(call, turn, renderer)


async def _answer(call: Call, turn: Turn, renderer: ChatRenderer) -> None:
    async with aclosing(call.service.pipeline.answer(turn)) as deltas:
        if not turn.stream:
            async for _ in deltas:
                pass
            await call.respond(renderer.whole())
        elif await stream_deltas(call, deltas, renderer.chunk):
            await call.end(DONE)


async def stream_deltas(
    call: Call,
    deltas: Deltas,
    chunk: Callable[[Delta], bytes],
    *,
    failed: Callable[[HeadraceError], bytes] = error_event,
) -> bool:
    """Send each delta as it comes. False: the answer broke off, which the client was told.

    Raises:
        HeadraceError: nothing was sent yet, so the failure can still be the response's status.
    """
    try:
        async for delta in deltas:
            if data := chunk(delta):
                await call.write(data)
    except asyncio.CancelledError:
        if call.has_begun:
            # The service stops; a client that has left does not hear this any more.
            stopping = ServiceStopping("the service is stopping", hint="try again in a moment")
            await call.end(failed(stopping))
        raise
    except HeadraceError as error:
        if not call.has_begun:
            raise
        failure = call.shown(error)
    except Exception:
        if not call.has_begun:
            raise
        _log.exception("request %s failed in mid-stream", call.id)
        failure = internal_error(call.id)
    else:
        return True
    await call.end(failed(failure))
    return False
