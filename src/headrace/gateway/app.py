"""Which address does what: the calls of the API, and everything else to the pages."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from headrace.errors import HeadraceError, NotFound, did_you_mean
from headrace.gateway.call import Call
from headrace.gateway.chat import answer_chat
from headrace.gateway.completions import answer_completion
from headrace.gateway.embeddings import answer_embeddings
from headrace.gateway.errors import MethodNotAllowed, internal_error
from headrace.gateway.feedback import take_feedback
from headrace.gateway.health import show_health, show_metrics, show_readiness
from headrace.gateway.http import ClientGone, Receive, Scope, Send
from headrace.gateway.models import list_models, show_model
from headrace.pipeline.service import Platform

__all__ = ["App", "Gateway"]

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler: TypeAlias = Callable[[Call], Awaitable[None]]

_log = logging.getLogger(__name__)

_OPEN: Mapping[str, Handler] = {"/healthz": show_health, "/readyz": show_readiness}
"""What a probe may ask without a key."""
_POST: Mapping[str, Handler] = {
    "/v1/chat/completions": answer_chat,
    "/v1/completions": answer_completion,
    "/v1/embeddings": answer_embeddings,
    "/v1/feedback": take_feedback,
}
_GET: Mapping[str, Handler] = {"/v1/models": list_models, "/metrics": show_metrics}
_MODEL = "/v1/models/"


class Gateway:
    """The ASGI application: one table for the API, the pages for the rest."""

    def __init__(self, platform: Platform, pages: App) -> None:
        self._platform = platform
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not _is_ours(path):
            await self._pages(scope, receive, send)
            return
        call = Call(self._platform, scope, receive, send)
        try:
            await _answer(call)
        except HeadraceError as error:
            await call.refuse(error)
        except ClientGone:
            return
        except Exception:
            _log.exception("%s %s failed (%s)", call.method, path, call.id)
            if call.has_begun:
                raise
            await call.refuse(internal_error(call.id))


def _is_ours(path: str) -> bool:
    return path.startswith("/v1/") or path in _OPEN or path in _GET


async def _answer(call: Call) -> None:
    if call.path in _OPEN:
        _check_method(call, "GET", "HEAD")
        await _OPEN[call.path](call)
        return
    # The key before anything else: who has none learns nothing, not even which addresses exist.
    call.authenticate()
    if call.path in _POST:
        _check_method(call, "POST")
        await _POST[call.path](call)
    elif call.path in _GET:
        _check_method(call, "GET", "HEAD")
        await _GET[call.path](call)
    elif call.path.startswith(_MODEL):
        _check_method(call, "GET", "HEAD")
        await show_model(call)
    else:
        raise NotFound(
            f"there is nothing at {call.path}",
            hint=did_you_mean(call.path, [*_POST, *_GET], kind="addresses"),
        )


def _check_method(call: Call, *allowed: str) -> None:
    if call.method not in allowed:
        raise MethodNotAllowed(f"{call.path} does not take {call.method}", hint=f"use {allowed[0]}")
