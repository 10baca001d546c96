"""The console's routes: every address of the page, and what all of them have in common."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import quote

from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from headrace.console.guard import PageHeaders, check_origin
from headrace.console.views.audit import show_audit
from headrace.console.views.chat import ask, show_chat
from headrace.console.views.conversation import (
    delete_conversation,
    list_conversations,
    rename_conversation,
    show_rename,
)
from headrace.console.views.language import choose_language
from headrace.console.views.passage import show_passage
from headrace.console.views.prompts import run_cases, show_prompt, show_prompts
from headrace.console.views.reviews import decide_review, show_review, show_reviews
from headrace.console.views.sign_in import show_sign_in, sign_in, sign_out
from headrace.console.views.trace import rate, show_outcome, show_trace
from headrace.console.views.tuning import act_on_job, show_job, show_jobs, show_losses
from headrace.console.views.workflows import (
    act_on_run,
    show_run,
    show_workflow,
    show_workflows,
    start_run,
)
from headrace.console.visit import Console, Visit
from headrace.errors import (
    HeadraceError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    Unauthenticated,
)
from headrace.pipeline.service import Platform
from headrace.prompts.errors import UnknownVersion
from headrace.storage.errors import StateUnusable
from headrace.workflows.errors import RunRefused

__all__ = ["console_routes"]

View: TypeAlias = Callable[[Visit], Awaitable[Response]]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger(__name__)

_STATUS_BY_CODE = {
    InvalidRequest.code: 400,
    Unauthenticated.code: 401,
    PermissionDenied.code: 403,
    NotFound.code: 404,
    UnknownVersion.code: 404,
    PayloadTooLarge.code: 413,
    StateUnusable.code: 503,
    RunRefused.code: 409,
}


def console_routes(platform: Platform) -> list[BaseRoute]:
    """Every page and action of the console."""
    console = Console.open(platform)

    async def static(request: Request) -> Response:
        return console.assets.respond(request)

    def route(path: str, endpoint: Endpoint, method: str) -> Route:
        headers = [Middleware(PageHeaders)]
        return Route(path, endpoint, methods=[method], middleware=headers)

    def get(path: str, view: View, *, public: bool = False) -> Route:
        return route(path, _endpoint(console, view, public=public), "GET")

    def post(path: str, view: View, *, public: bool = False) -> Route:
        return route(path, _endpoint(console, view, public=public), "POST")

    return [
        get("/", show_chat),
        get("/c/{conversation:path}", show_chat),
        post("/chat", ask),
        get("/conversations", list_conversations),
        get("/conversations/{conversation:path}/rename", show_rename),
        post("/conversations/{conversation:path}/rename", rename_conversation),
        post("/conversations/{conversation:path}/delete", delete_conversation),
        get("/passages/{passage:path}", show_passage),
        get("/traces/{trace}", show_trace),
        get("/traces/{trace}/outcome", show_outcome),
        post("/traces/{trace}/rating", rate),
        get("/prompts", show_prompts),
        get("/prompts/{name}", show_prompt),
        post("/prompts/{name}/run", run_cases),
        get("/reviews", show_reviews),
        get("/reviews/{review}", show_review),
        post("/reviews/{review}/decide", decide_review),
        get("/audit", show_audit),
        get("/fine-tuning", show_jobs),
        get("/fine-tuning/{job}", show_job),
        get("/fine-tuning/{job}/losses", show_losses),
        post("/fine-tuning/{job}", act_on_job),
        get("/workflows", show_workflows),
        get("/workflows/{name}", show_workflow),
        post("/workflows/{name}/run", start_run),
        get("/runs/{run}", show_run),
        post("/runs/{run}", act_on_run),
        get("/sign-in", show_sign_in, public=True),
        post("/sign-in", sign_in, public=True),
        post("/sign-out", sign_out, public=True),
        post("/language", choose_language, public=True),
        route("/static/{digest}/{name:path}", static, "GET"),
    ]


def _endpoint(console: Console, view: View, *, public: bool) -> Endpoint:
    """The view behind the checks that all have in common."""

    async def endpoint(request: Request) -> Response:
        visit = Visit(console, request)
        try:
            if request.method == "POST":
                check_origin(request)
            if not public and visit.signed_in is None:
                return _to_sign_in(visit)
            return await view(visit)
        except HeadraceError as error:
            return _failure(visit, error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception:  # noqa: BLE001  the reader gets a page, the log the traceback
            _log.exception("%s %s failed", request.method, request.url.path)
            return _failure(
                visit,
                HeadraceError("something went wrong inside the service", hint="its log says more"),
            )

    return endpoint


def _to_sign_in(visit: Visit) -> Response:
    path = visit.request.url.path
    if visit.request.method != "POST" and not visit.is_fragment:
        return RedirectResponse("/sign-in" if path == "/" else f"/sign-in?next={quote(path)}", 303)
    # A part of a page cannot be redirected: htmx, and our own script, then load the whole page.
    return Response(status_code=401, headers={"hx-redirect": "/sign-in"})


def _failure(visit: Visit, error: HeadraceError) -> Response:
    status = _STATUS_BY_CODE.get(error.code, 500)
    is_part = visit.is_fragment or visit.request.url.path == "/chat"
    template = "parts/failure.html" if is_part else "failure.html"
    return visit.page(template, status=status, error=error, can_retry=False, trace_id="")
