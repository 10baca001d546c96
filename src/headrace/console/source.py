"""The sources below an answer: which passages it cites, as far as its reader may open them."""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.access.principal import Principal
from headrace.knowledge.passage import Retriever
from headrace.pipeline.citation import MarkerScanner
from headrace.pipeline.steps.ground.fence import heading_of
from headrace.pipeline.steps.ground.lookup import roles_of
from headrace.telemetry.trace import Trace

__all__ = ["Source", "sources_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One footnote."""

    number: int
    passage: str
    """Id of the passage."""
    label: str
    """Title and headings, or the document's address when it cannot be opened (any more)."""
    is_open: bool
    """Whether the reader may open it now."""


async def sources_of(
    text: str, trace: Trace | None, knowledge: Retriever | None, reader: Principal
) -> Sequence[Source]:
    """The passages that an answer cites, in the order of their numbers.

    The trace says which passages stood in the prompt; their words are read anew, as the reader.
    """
    if trace is None or "[" not in text:
        return ()
    ids, spans = _passages(trace)
    scanner = MarkerScanner()
    pieces = [*scanner.push(text), *scanner.finish()]
    cited = sorted({number for piece in pieces for number in piece.numbers if number <= len(ids)})
    found: list[Source] = []
    for number in cited:
        name = ids[number - 1]
        passage = await knowledge.passage(name, roles=roles_of(reader)) if knowledge else None
        label = heading_of(passage) if passage is not None else spans[number - 1].rpartition(":")[0]
        found.append(Source(number=number, passage=name, label=label, is_open=passage is not None))
    return found


def _passages(trace: Trace) -> tuple[Sequence[str], Sequence[str]]:
    for span in trace.spans:
        ids = span.attributes.get("headrace.retrieve.passages")
        spans = span.attributes.get("headrace.retrieve.spans")
        if isinstance(ids, list) and isinstance(spans, list) and len(ids) == len(spans):
            return ids, spans
    return (), ()
