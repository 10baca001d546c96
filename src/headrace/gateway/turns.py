"""From a request to a turn: what the body and the headers say, in the pipeline's terms."""

import re

from headrace.errors import InvalidRequest
from headrace.gateway.call import Call
from headrace.gateway.wire import ChatRequest, CompletionRequest, params_of
from headrace.knowledge.entities.zone import EXAMPLES, zone_named
from headrace.pipeline.conversation import check_conversation_id
from headrace.pipeline.steps.screen.decision import CONFIRM
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Trace
from headrace.types import Message

__all__ = ["chat_turn", "completion_turn", "subject_of"]

CONVERSATION_HEADER = "x-headrace-conversation"
_SUBJECT_ID = re.compile(r"s_[0-9a-f]{32}")
TEMPLATE_HEADER = "x-headrace-template"
TIMEZONE_HEADER = "x-headrace-timezone"
CONFIRM_HEADER = "x-headrace-confirm"


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
    subject = subject_of(request.safety_identifier or request.user)
    conversation = _conversation(request, call)
    person = subject or conversation or ""
    call.settle(person)
    turn = Turn(
        principal=call.principal,
        messages=request.messages,
        params=params,
        model=request.model,
        stream=bool(request.stream),
        gives_way=call.gives_way,
        conversation=conversation,
        subject=subject,
        template=request.template or _text(call, TEMPLATE_HEADER) or None,
        variables=request.variables or {},
        metadata=_metadata(request, call),
        cache_control=call.headers.get("cache-control"),
        trace=call.trace(),
    )
    call.shadow(turn, person)
    return turn


def completion_turn(
    call: Call, request: CompletionRequest, extra: dict[str, object], prompt: str, trace: Trace
) -> Turn:
    """The turn for one prompt of a request for bare completions."""
    subject = subject_of(request.safety_identifier or request.user)
    turn = Turn(
        principal=call.principal,
        messages=[Message(role="user", content=prompt)],
        params=params_of(request, extra),
        kind="completion",
        model=request.model,
        stream=bool(request.stream),
        gives_way=call.gives_way,
        subject=subject,
        metadata=_confirmed(request.metadata or {}, call),
        cache_control=call.headers.get("cache-control"),
        trace=trace,
    )
    call.shadow(turn, subject)
    return turn


def subject_of(name: str | None) -> str:
    """Whom the texts are about, as the client names them; empty leaves it to the key.

    Raises:
        InvalidRequest: the name has the form of the database's own subject ids, so that it would
            mean whoever has that id.
    """
    if name and _SUBJECT_ID.fullmatch(name):
        raise InvalidRequest(
            "'user' has the form of an internal subject id",
            hint="send the name that your own system has for this person",
            param="user",
        )
    return name or ""


def _conversation(request: ChatRequest, call: Call) -> str | None:
    found = request.conversation or _text(call, CONVERSATION_HEADER) or None
    if found is not None:
        check_conversation_id(found)
        call.platform.conversations.claim(found)
    return found


def _metadata(request: ChatRequest, call: Call) -> dict[str, str]:
    """The request's metadata, with the time zone and what is confirmed if headers name them.

    Raises:
        InvalidRequest: there is no such time zone.
    """
    metadata = _confirmed(request.metadata or {}, call)
    name = _text(call, TIMEZONE_HEADER)
    if not name:
        return metadata
    if zone_named(name) is None:
        raise InvalidRequest(
            f"the header {TIMEZONE_HEADER} names no time zone", hint=f"such as {EXAMPLES}"
        )
    return {"timezone": name, **metadata}


def _confirmed(metadata: dict[str, str], call: Call) -> dict[str, str]:
    """The metadata with what a header confirms."""
    confirmed = _text(call, CONFIRM_HEADER)
    return {**metadata, CONFIRM: confirmed} if confirmed else metadata


def _text(call: Call, header: str) -> str:
    """A header's value as UTF-8, so that it means the same as in the body.

    Raises:
        InvalidRequest: it is not UTF-8.
    """
    value = call.headers.get(header, "")
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the header {header} is not UTF-8", hint="send it in UTF-8, or in the body"
        ) from error
