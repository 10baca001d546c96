"""The chat page, and asking."""

import asyncio
from dataclasses import replace

from starlette.responses import Response

from headrace.console.ending import Ending, ending_of, failure_of
from headrace.console.exchange import Exchange, exchanges
from headrace.console.form import read_form
from headrace.console.source import sources_of
from headrace.console.stream import TurnStream
from headrace.console.views.conversation import entries
from headrace.console.visit import Visit
from headrace.errors import HeadraceError, InvalidRequest, NotFound
from headrace.pipeline.steps.screen.decision import CONFIRM
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Span, Trace
from headrace.types import Message

__all__ = ["ask", "show_chat"]

_TRACES = 500
"""Traces looked up for one page: the newest of the conversation."""


async def show_chat(visit: Visit) -> Response:
    """A new conversation, or the one in the address."""
    conversation = visit.request.path_params.get("conversation")
    known = await entries(visit)
    shown: list[Exchange] = []
    title = ""
    if conversation is not None:
        found = next((each for each in known if each.id == conversation), None)
        if found is None:
            raise NotFound(
                "this conversation does not exist (any more)", hint="pick another, or start one"
            )
        title = found.title
        shown = await _exchanges(visit, conversation)
    return visit.page(
        "chat.html",
        title=title,
        conversation=conversation,
        conversations=known,
        exchanges=shown,
        blank=Exchange(is_new=True),
        reader=visit.principal,
        models=list(visit.platform.service.models.names_for(visit.principal)),
    )


async def ask(visit: Visit) -> Response:
    """Answer a message, streaming (`stream.py` says what)."""
    limit = visit.platform.service.config.server.max_body_bytes
    form = await read_form(visit.request, limit=limit)
    text = form.get("text", "").replace("\r\n", "\n")
    if not text.strip():
        raise InvalidRequest("the message is empty", hint="write something first", param="text")
    conversations = visit.platform.conversations
    conversation = form.get("conversation") or conversations.new_id()
    conversations.claim(conversation)
    turn = Turn(
        principal=visit.principal,
        messages=[Message(role="user", content=text)],
        conversation=conversation,
        model=form.get("model") or None,
        stream=True,
        metadata={CONFIRM: confirm} if (confirm := form.get(CONFIRM)) else {},
    )
    return TurnStream(visit.platform.service.pipeline, turn, _Words(visit))


class _Words:
    """Renders the parts of the page that a stream brings, in the reader's language."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def steps(self) -> str:
        steps = self._visit.platform.service.pipeline.steps
        return self._visit.render("parts/pending.html", names=[step.name for step in steps])

    def step(self, span: Span) -> str:
        return self._visit.render("parts/step.html", span=span)

    async def done(self, turn: Turn) -> Ending:
        text = turn.choices[0].text if turn.choices else ""
        return await ending_of(self._visit, turn.trace, text)

    async def failed(self, turn: Turn, error: HeadraceError) -> Ending:
        return await failure_of(self._visit, turn.trace, error)


async def _exchanges(visit: Visit, conversation: str) -> list[Exchange]:
    platform, owner = visit.platform, visit.principal.key_id
    await platform.flush()  # the last turn, or its rating, may be on its way to the database
    turns = await platform.conversations.turns(owner, conversation)

    def look_up() -> tuple[dict[str, Trace], dict[str, int]]:
        found = platform.traces.list(limit=_TRACES, conversation=conversation, key_id=owner)
        traces = {trace.id: trace for trace in found}
        scores = {
            trace_id: rating.score
            for trace_id in traces
            for rating in platform.feedback.for_trace(trace_id)
            if rating.key_id == owner
        }
        return traces, scores

    traces, scores = await asyncio.to_thread(look_up)
    knowledge, reader = platform.service.knowledge, visit.principal
    return [
        replace(each, sources=await sources_of(each.answer, each.trace, knowledge, reader))
        for each in exchanges(turns, traces, scores)
    ]
