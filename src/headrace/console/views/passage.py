"""A passage that an answer cites, opened by its reader."""

from starlette.responses import Response

from headrace.console.visit import Visit
from headrace.errors import NotFound
from headrace.pipeline.steps.ground.lookup import roles_of

__all__ = ["show_passage"]


async def show_passage(visit: Visit) -> Response:
    """The passage: a part of the page for htmx, else a page of its own.

    Raises:
        NotFound: there is none (any more), or the reader's role may not read its document.
    """
    knowledge = visit.platform.service.knowledge
    name, place = visit.request.path_params["passage"], visit.request.query_params
    uri, start, end = place.get("uri", ""), place.get("start", ""), place.get("end", "")
    passage = None
    if knowledge is not None and _is_place(start) and _is_place(end):
        roles = roles_of(visit.principal)
        passage = await knowledge.passage(name, uri, int(start), int(end), roles=roles)
    if passage is None:
        raise NotFound(
            "this passage is not in the knowledge base (any more), or not for you to read",
            hint="ask the question again",
        )
    link = passage.uri if passage.uri.startswith(("https://", "http://")) else ""
    template = "parts/passage.html" if visit.is_fragment else "passage.html"
    return visit.page(template, passage=passage, link=link)


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15
