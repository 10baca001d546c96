"""Choosing the page's language."""

from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from headrace.console.form import read_form
from headrace.console.visit import LANGUAGE_COOKIE, Visit
from headrace.errors import InvalidRequest, did_you_mean

__all__ = ["choose_language"]

_YEAR_S = 365 * 86_400


async def choose_language(visit: Visit) -> Response:
    """Remember the language in a cookie and show the page again."""
    code = (await read_form(visit.request, limit=1024)).get("language", "")
    if code not in visit.console.catalogues:
        raise InvalidRequest(
            f"the page does not speak {code!r}",
            hint=did_you_mean(code, visit.console.catalogues, kind="languages"),
        )
    # Only the path: wherever the reader came from, this leads to a page of this service.
    back = urlsplit(visit.request.headers.get("referer", "")).path
    response = RedirectResponse("/" + back.lstrip("/"), 303)
    response.set_cookie(LANGUAGE_COOKIE, code, max_age=_YEAR_S, httponly=True, samesite="strict")
    return response
