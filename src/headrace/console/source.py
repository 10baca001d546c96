"""The sources below an answer: which passages it cites, as far as its reader may open them."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

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
    address: str
    """Where the passage opens."""
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
        name, (uri, start, end) = ids[number - 1], _place(spans[number - 1])
        passage = None
        if knowledge is not None:
            passage = await knowledge.passage(name, uri, start, end, roles=roles_of(reader))
        label = heading_of(passage) if passage is not None else uri
        address = f"/passages/{quote(name)}?{urlencode({'uri': uri, 'start': start, 'end': end})}"
        found.append(
            Source(number=number, address=address, label=label, is_open=passage is not None)
        )
    return found


def _place(span: str) -> tuple[str, int, int]:
    """`uri:start-end`, as the span of the look-up says it."""
    uri, _, place = span.rpartition(":")
    start, _, end = place.partition("-")
    return uri, int(start), int(end)


def _passages(trace: Trace) -> tuple[Sequence[str], Sequence[str]]:
    for span in trace.spans:
        ids = span.attributes.get("headrace.retrieve.passages")
        spans = span.attributes.get("headrace.retrieve.spans")
        if isinstance(ids, list) and isinstance(spans, list) and len(ids) == len(spans):
            return ids, spans
    return (), ()
