"""The review queue: what policies gave to a person, and deciding it.

For administrators: the texts are other people's.
"""

import asyncio

from starlette.responses import RedirectResponse, Response

from headrace.console.form import read_form
from headrace.console.visit import Visit
from headrace.errors import PermissionDenied
from headrace.screening.review import DECISIONS

__all__ = ["decide_review", "show_review", "show_reviews"]

_FORM_BYTES = 256 * 1024
_PAGE = 50


async def show_reviews(visit: Visit) -> Response:
    """The entries that wait, or those that are decided."""
    _check_admin(visit)
    await visit.platform.flush()  # one of this moment may be on its way to the database
    query = visit.request.query_params
    decided = query.get("decided") == "1"
    reviews = visit.platform.reviews
    entries = await asyncio.to_thread(
        lambda: reviews.list(decided=decided, limit=_PAGE, before=query.get("before") or None)
    )
    return visit.page(
        "reviews.html",
        entries=entries,
        decided=decided,
        older=entries[-1].id if len(entries) == _PAGE else "",
    )


async def show_review(visit: Visit) -> Response:
    """One entry: its text, what was found, and what was decided."""
    _check_admin(visit)
    entry = await asyncio.to_thread(visit.platform.reviews.get, visit.request.path_params["review"])
    return visit.page("review.html", entry=entry, choices=DECISIONS)


async def decide_review(visit: Visit) -> Response:
    """Note a decision, and go back to what waits."""
    _check_admin(visit)
    form = await read_form(visit.request, limit=_FORM_BYTES)
    reader = visit.principal
    await asyncio.to_thread(
        lambda: visit.platform.reviews.decide(
            visit.request.path_params["review"],
            form.get("decision", ""),
            form.get("reason", ""),
            who=f"{reader.name} ({reader.key_id})",
        )
    )
    return RedirectResponse("/reviews", 303)


def _check_admin(visit: Visit) -> None:
    if not visit.principal.is_admin:
        raise PermissionDenied(
            "the review queue is for administrators", hint="sign in with an admin key"
        )
