"""`POST /v1/feedback`: what a user thinks of an answer. Ours; OpenAI has no such call."""

import asyncio

import msgspec

from headrace.errors import NotFound
from headrace.gateway.call import Call
from headrace.gateway.wire import decode

__all__ = ["take_feedback"]


class FeedbackRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/feedback`."""

    trace: str
    """The answer's `x-headrace-trace`."""
    score: int
    """1 is good, -1 is bad."""
    comment: str = ""
    correction: str = ""
    """What the answer should have been; examples to train on learn it instead of the answer."""


async def take_feedback(call: Call) -> None:
    """Keep a rating of an answer that this key (or, for an administrator, any key) was given.

    Raises:
        NotFound: there is no such trace, or it is another key's.
    """
    principal = call.principal
    request, _ = decode(await call.body(), FeedbackRequest)
    await call.platform.flush()
    trace = await asyncio.to_thread(call.platform.traces.get, request.trace)
    if not principal.is_admin and trace.key_id != principal.key_id:
        raise NotFound(f"no trace has the id {request.trace!r}", param="trace")
    kept = await call.platform.feedback.record(
        trace.id,
        request.score,
        request.comment,
        principal.key_id,
        correction=request.correction,
        subject=trace.subject,
    )
    body = {"id": kept.id, "object": "feedback", "trace": trace.id, "score": kept.score}
    await call.respond(msgspec.json.encode(body), status=201)
