"""From a request to a turn: what the body and the headers say, in the pipeline's terms."""

import re

from headrace.errors import InvalidRequest
from headrace.gateway.call import Call
from headrace.gateway.wire import ChatRequest, CompletionRequest, params_of
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Trace
from headrace.types import Message

__all__ = ["chat_turn", "completion_turn"]

CONVERSATION_HEADER = "x-headrace-conversation"
_SUBJECT_ID = re.compile(r"s_[0-9a-f]{32}")
TEMPLATE_HEADER = "x-headrace-template"


def chat_turn(call: Call, request: ChatRequest, extra: dict[str, object]) -> Turn:
    """The turn that a chat request asks for.

    Raises:
        InvalidRequest: no message, or a value out of range.
    """
    params = params_of(request, extra)
    if not request.messages:
        raise InvalidRequest(
            "'messages' is empty", hint="send at least one message", param="messages"
        )
    headers = call.headers
    return Turn(
        principal=call.principal,
        messages=request.messages,
        params=params,
        model=request.model,
        stream=bool(request.stream),
        conversation=request.conversation or headers.get(CONVERSATION_HEADER) or None,
        subject=_subject(request),
        template=request.template or headers.get(TEMPLATE_HEADER) or None,
        variables=request.variables or {},
        metadata=request.metadata or {},
        trace=Trace(id=call.id),
    )


def completion_turn(
    call: Call, request: CompletionRequest, extra: dict[str, object], prompt: str, trace: Trace
) -> Turn:
    """The turn for one prompt of a request for bare completions."""
    return Turn(
        principal=call.principal,
        messages=[Message(role="user", content=prompt)],
        params=params_of(request, extra),
        kind="completion",
        model=request.model,
        stream=bool(request.stream),
        subject=_subject(request),
        metadata=request.metadata or {},
        trace=trace,
    )


def _subject(request: ChatRequest | CompletionRequest) -> str:
    """Whom the texts are about, as the client names them; empty leaves it to the key.

    Raises:
        InvalidRequest: the name has the form of the database's own subject ids, so that it would
            mean whoever has that id.
    """
    name = request.safety_identifier or request.user or ""
    if _SUBJECT_ID.fullmatch(name):
        raise InvalidRequest(
            "'user' has the form of an internal subject id",
            hint="send the name that your own system has for this person",
            param="user",
        )
    return name
