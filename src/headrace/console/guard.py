"""What keeps the page safe in a browser: response headers, and who may post to it."""

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.errors import PermissionDenied

__all__ = ["PageHeaders", "check_origin"]

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        # Only two policies may turn text into HTML: ours, for fragments this server rendered
        # (static/trust.js), and DOMPurify's, for answers. Nothing may turn text into code.
        "require-trusted-types-for 'script'",
        "trusted-types headrace dompurify",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    # Not no-referrer: with that, browsers send `Origin: null` when a form is posted.
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "x-dns-prefetch-control": "off",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class PageHeaders:
    """ASGI middleware: puts the headers on every response; pages are not to be stored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def check_origin(request: Request) -> None:
    """Refuse a POST that another site's page made the browser send.

    The session cookie is SameSite=Strict, so such a request would come without it; this is the
    second lock, and the only one for signing in.

    Raises:
        PermissionDenied: the request does not come from a page of this service.
    """
    # Browsers say same-origin only over HTTPS and on localhost; elsewhere Origin has to do.
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        allowed = site == "same-origin"
    else:
        origin = urlsplit(request.headers.get("origin", ""))
        allowed = bool(origin.netloc) and origin.netloc == request.headers.get("host")
    if not allowed:
        raise PermissionDenied(
            "this request did not come from the service's own page",
            hint="open the page at its own address; programs use /v1 with an API key",
        )
