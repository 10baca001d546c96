"""What is said about parts of an answer, in the shapes of the three APIs.

Citations come in the APIs' own shapes, so that existing clients show them; beside the standard
fields stands `passage`, with all that is known. Groundedness has no standard shape: it has one of
its own where the API takes further kinds, and none in the Messages API.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from headrace.knowledge.passage import Passage
from headrace.types import Annotation, Citation, Support

__all__ = ["chat_annotation", "message_citations", "responses_annotation"]

Json: TypeAlias = dict[str, object]

_ADDRESS = ("http://", "https://")


def chat_annotation(annotation: Annotation) -> Json:
    """For `message.annotations` of chat completions."""
    if isinstance(annotation, Support):
        return {"type": "groundedness", "groundedness": _support(annotation)}
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": annotation.start,
            "end_index": annotation.end,
            "url": annotation.uri,
            "title": annotation.title,
        },
        "passage": _passage(annotation),
    }


def responses_annotation(annotation: Annotation) -> Json:
    """For `annotations` of an `output_text`."""
    if isinstance(annotation, Support):
        return {"type": "groundedness", **_support(annotation)}
    if annotation.uri.startswith(_ADDRESS):
        return {
            "type": "url_citation",
            "start_index": annotation.start,
            "end_index": annotation.end,
            "url": annotation.uri,
            "title": annotation.title,
            "passage": _passage(annotation),
        }
    return {
        "type": "file_citation",
        "file_id": annotation.passage,
        "filename": annotation.uri,
        "index": annotation.start,
        "passage": _passage(annotation),
    }


def message_citations(
    annotations: Sequence[Annotation], passages: Sequence[Passage] | None
) -> list[Json]:
    """For `citations` of a text block of the Messages API."""
    texts: Mapping[str, str] = {each.id: each.text for each in passages or ()}
    return [
        {
            "type": "search_result_location",
            "cited_text": texts.get(each.passage, ""),
            "search_result_index": each.number - 1,
            "source": each.uri,
            "title": each.title,
            "start_block_index": 0,
            "end_block_index": 1,
            "passage": _passage(each),
        }
        for each in annotations
        if isinstance(each, Citation)
    ]


def _passage(citation: Citation) -> Json:
    return {
        "id": citation.passage,
        "number": citation.number,
        "uri": citation.uri,
        "title": citation.title,
        "headings": citation.headings,
        "page": citation.page,
        "start": citation.source_start,
        "end": citation.source_end,
    }


def _support(support: Support) -> Json:
    return {
        "start_index": support.start,
        "end_index": support.end,
        "score": support.score,
        "supported": support.supported,
        "passage_id": support.passage,
    }
