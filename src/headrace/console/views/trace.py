"""A turn's trace as a waterfall, and what the reader thinks of its answer."""

import asyncio
from typing import TypeVar

import msgspec
from starlette.responses import Response

from headrace.access.principal import Principal
from headrace.console.ending import ending_of
from headrace.console.form import read_form
from headrace.console.visit import Visit
from headrace.console.waterfall import Waterfall
from headrace.errors import InvalidRequest, NotFound
from headrace.pipeline.service import Platform
from headrace.telemetry.trace import Trace
from headrace.types import Choice, Message

__all__ = ["rate", "show_outcome", "show_trace"]

T = TypeVar("T")

_FORM_BYTES = 256 * 1024
"""A comment of 10,000 characters, each nine bytes in a posted form, and some room."""
_WRITTEN_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.05


async def show_trace(visit: Visit) -> Response:
    """The trace: a part of the page for htmx, else a page of its own."""
    trace = await _trace(visit.platform, visit.request.path_params["trace"], visit.principal)
    await visit.platform.flush()  # a rating given just now
    ratings = await asyncio.to_thread(visit.platform.feedback.for_trace, trace.id)
    template = "parts/trace.html" if visit.is_fragment else "trace.html"
    return visit.page(
        template,
        trace=trace,
        waterfall=Waterfall.of(trace),
        ratings=ratings,
        received=_decoded(trace.input, list[Message]),
        choices=_decoded(trace.output, list[Choice]),
    )


async def show_outcome(visit: Visit) -> Response:
    """The ending of an answer that its reader stopped: nobody was there to hear of it."""
    trace = await _trace(visit.platform, visit.request.path_params["trace"], visit.principal)
    choices = _decoded(trace.output, list[Choice])
    text = choices[0].text if choices else ""
    body = msgspec.json.encode(await ending_of(visit, trace, text))
    return Response(body, media_type="application/json")


async def rate(visit: Visit) -> Response:
    """Keep a rating, with or without a comment; gives the rating part of the page anew."""
    form = await read_form(visit.request, limit=_FORM_BYTES)
    score = {"1": 1, "-1": -1}.get(form.get("score", ""))
    if score is None:
        raise InvalidRequest("score must be 1 or -1", param="score")
    trace = await _trace(visit.platform, visit.request.path_params["trace"], visit.principal)
    comment = form.get("comment", "").strip()
    await visit.platform.feedback.record(
        trace.id,
        score,
        comment,
        visit.principal.key_id,
        correction=form.get("correction", "").strip(),
        subject=trace.subject,
    )
    return visit.page(
        "parts/rating.html",
        trace_id=trace.id,
        score=score,
        asks_comment="comment" not in form,
        said_thanks="comment" in form,
    )


async def _trace(platform: Platform, trace_id: str, reader: Principal) -> Trace:
    """The trace, if the reader may see it: one's own, or as an administrator any.

    A turn that has just ended may still be on its way to the database; it is waited for.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _WRITTEN_WITHIN_S
    while True:
        try:
            trace = await asyncio.to_thread(platform.traces.get, trace_id)
            break
        except NotFound:
            if loop.time() > until:
                raise
        await asyncio.sleep(_LOOK_EVERY_S)
    if not reader.is_admin and trace.key_id != reader.key_id:
        raise NotFound(
            f"no trace has the id {trace_id!r}",
            hint="traces are kept as long as `traces.retention_days` and `traces.max_mb` say",
        )
    return trace


def _decoded(text: str, kind: type[list[T]]) -> list[T]:
    """The stored texts; none when they were not kept or their key is gone."""
    return msgspec.json.decode(text, type=kind) if text else []
