"""How an answer on the page ends: what stands above and below it from then on."""

import msgspec

from headrace.console.address import kept_address
from headrace.console.figure import as_seconds
from headrace.console.source import sources_of
from headrace.console.visit import Visit
from headrace.errors import HeadraceError
from headrace.telemetry.trace import Trace

__all__ = ["Ending", "ending_of", "failure_of"]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """All parts as HTML, but for the summary and the address, which are text."""

    html: str
    """Below the answer: what can be done with it, or why it failed."""
    summary: str
    """How many steps ran and how long they took."""
    steps: str
    """Every step that ran, the one that failed included."""
    address: str
    """Where the conversation can be found from now on; empty when nothing of it was kept."""


async def ending_of(visit: Visit, trace: Trace, text: str) -> Ending:
    """An answer that came to its end, or was stopped, and its `text` as far as it is known."""
    stopped = trace.status == "cancelled"
    knowledge = visit.platform.service.knowledge
    sources = await sources_of(text, trace, knowledge, visit.principal)
    html = visit.render(
        "parts/outcome.html", trace=trace, score=None, stopped=stopped, sources=sources
    )
    return await _ending(visit, trace, html)


async def failure_of(visit: Visit, trace: Trace, error: HeadraceError) -> Ending:
    """An answer that failed or was refused."""
    html = visit.render("parts/failure.html", error=error, can_retry=True, trace_id=trace.id)
    return await _ending(visit, trace, html)


async def _ending(visit: Visit, trace: Trace, html: str) -> Ending:
    summary = visit.language(
        "steps.summary", count=len(trace.spans), time=as_seconds(trace.duration_s)
    )
    steps = "".join(visit.render("parts/step.html", span=span) for span in trace.spans)
    address = await kept_address(visit, trace.conversation)
    return Ending(html=html, summary=summary, steps=steps, address=address)
