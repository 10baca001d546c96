"""Signing in with a key, and out again."""

import time

from starlette.responses import RedirectResponse, Response

from headrace.console.form import read_form
from headrace.console.session import LIFETIME_S
from headrace.console.visit import Visit

__all__ = ["show_sign_in", "sign_in", "sign_out"]

_FORM_BYTES = 16 * 1024


async def show_sign_in(visit: Visit) -> Response:
    """The form; whoever is signed in already goes straight on."""
    to = _local(visit.request.query_params.get("next", ""))
    if visit.signed_in is not None:
        return RedirectResponse(to, 303)
    return visit.page("sign_in.html", to=to, failure="")


async def sign_in(visit: Visit) -> Response:
    """Check the key and hand out a session cookie."""
    form = await read_form(visit.request, limit=_FORM_BYTES)
    to = _local(form.get("next", ""))
    client = visit.request.client
    address = client.host if client else ""
    limit = visit.console.limit
    if wait_s := limit.wait_s(address, now=time.monotonic()):
        failure = visit.language("sign_in.wait", seconds=wait_s)
        response: Response = visit.page("sign_in.html", status=429, to=to, failure=failure)
        response.headers["retry-after"] = str(wait_s)
        return response
    principal = visit.platform.keys.authenticate(form.get("key", "").strip())
    if principal is None:
        limit.failed(address, now=time.monotonic())
        failure = visit.language("sign_in.wrong")
        return visit.page("sign_in.html", status=401, to=to, failure=failure)
    sessions = visit.console.sessions
    response = RedirectResponse(to, 303)
    response.set_cookie(
        sessions.cookie_name,
        sessions.issue(principal.key_id, now=time.time()),
        max_age=LIFETIME_S,
        httponly=True,
        samesite="strict",
        secure=visit.request.url.scheme == "https",
    )
    return response


async def sign_out(visit: Visit) -> Response:
    """Forget this browser."""
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(visit.console.sessions.cookie_name, httponly=True, samesite="strict")
    return response


def _local(path: str) -> str:
    """The path if it is one of this service's own, else `/`.

    Browsers read a backslash as a slash, and `//host` as another host.
    """
    is_local = path.startswith("/") and not path.startswith("//") and path.isprintable()
    return path if is_local and "\\" not in path else "/"
