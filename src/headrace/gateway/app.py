"""Which address does what: the calls of the API, and everything else to the pages."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from headrace.access.principal import Principal
from headrace.errors import HeadraceError, NotFound, did_you_mean
from headrace.gateway.batches import answer_batch, answer_batches
from headrace.gateway.call import Call
from headrace.gateway.chat import answer_chat
from headrace.gateway.completions import answer_completion
from headrace.gateway.embeddings import answer_embeddings
from headrace.gateway.errors import MethodNotAllowed, ServiceStopping, error_event, internal_error
from headrace.gateway.evals import answer_eval, answer_evals
from headrace.gateway.feedback import take_feedback
from headrace.gateway.files import answer_file, answer_files
from headrace.gateway.fine_tuning import answer_tuning_job, answer_tuning_jobs
from headrace.gateway.health import show_health, show_metrics, show_readiness
from headrace.gateway.http import ClientGone, Exchange
from headrace.gateway.messages import models as anthropic_models
from headrace.gateway.messages.answer import answer_message
from headrace.gateway.messages.count import count_tokens
from headrace.gateway.messages.errors import ANTHROPIC, is_anthropic
from headrace.gateway.models import list_models, show_model
from headrace.gateway.moderations import answer_moderation
from headrace.gateway.responses.answer import answer_response
from headrace.gateway.responses.stored import show_response
from headrace.pipeline.service import Platform

__all__ = ["Gateway", "Pages"]

Pages: TypeAlias = Callable[[Exchange], Awaitable[None]]
Handler: TypeAlias = Callable[[Call], Awaitable[None]]

_log = logging.getLogger(__name__)

_OPEN: Mapping[str, Handler] = {"/healthz": show_health, "/readyz": show_readiness}
"""What a probe may ask without a key."""
_POST: Mapping[str, Handler] = {
    "/v1/chat/completions": answer_chat,
    "/v1/completions": answer_completion,
    "/v1/embeddings": answer_embeddings,
    "/v1/feedback": take_feedback,
    "/v1/messages": answer_message,
    "/v1/messages/count_tokens": count_tokens,
    "/v1/moderations": answer_moderation,
    "/v1/responses": answer_response,
}
_GET: Mapping[str, Handler] = {"/v1/models": list_models, "/metrics": show_metrics}
_GET_AS_ANTHROPIC: Mapping[str, Handler] = {**_GET, "/v1/models": anthropic_models.list_models}
_MODEL = "/v1/models/"
_AGAIN = "try again in a moment"
_RESPONSE = "/v1/responses/"
_FILES = "/v1/files"
_BATCHES = "/v1/batches"
_EVALS = "/v1/evals"
_TUNING = "/v1/fine_tuning/jobs"
_LISTED: Mapping[str, Handler] = {
    _FILES: answer_files, _BATCHES: answer_batches, _EVALS: answer_evals,
    _TUNING: answer_tuning_jobs,
}  # fmt: skip
"""What is made by POST and listed by GET."""

_BASELESS = frozenset({"/chat/completions", "/completions", "/embeddings", "/responses"})
"""What an SDK asks for whose base address lacks its `/v1`; none of the pages is called so."""


class Gateway:
    """Answers every exchange: one table for the API, the pages for the rest."""

    def __init__(self, platform: Platform, pages: Pages) -> None:
        self._platform = platform
        self._pages = pages

    async def __call__(self, exchange: Exchange) -> None:
        path = exchange.path
        if not _is_ours(path):
            await self._pages(exchange)
            return
        call = Call(self._platform, exchange)
        if is_anthropic(call):
            call.surface = ANTHROPIC
        await self._answered(call, _answer(call))

    async def answer_inner(self, exchange: Exchange, principal: Principal) -> None:
        """Answer a request of the service's own, such as a row of a batch, as somebody."""
        call = Call(self._platform, exchange)
        call.act_as(principal)
        await self._answered(call, _POST[exchange.path](call))

    async def _answered(self, call: Call, answer: Awaitable[None]) -> None:
        """Await the answer; whatever fails becomes one."""
        try:
            await answer
        except HeadraceError as error:
            if call.has_begun:
                await call.end(error_event(call.shown(error)))
            else:
                await call.refuse(error)
        except ClientGone:
            return
        except asyncio.CancelledError:
            if not call.has_begun:
                # The service stops; a client that has left does not hear this any more.
                await call.refuse(ServiceStopping("the service is stopping", hint=_AGAIN))
            raise
        except Exception:
            _log.exception("%s %s failed (%s)", call.method, call.path, call.id)
            if call.has_begun:
                raise
            await call.refuse(internal_error(call.id))


def _is_ours(path: str) -> bool:
    return path.startswith("/v1/") or path in _OPEN or path in _GET or path in _BASELESS


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
        table = _GET_AS_ANTHROPIC if call.surface is ANTHROPIC else _GET
        await table[call.path](call)
    elif call.path.startswith(_MODEL):
        is_ours = call.surface is not ANTHROPIC
        _check_method(call, "GET", "HEAD", *(["DELETE"] if is_ours else []))
        await (show_model if is_ours else anthropic_models.show_model)(call)
    elif call.path in _LISTED:
        _check_method(call, "GET", "HEAD", "POST")
        await _LISTED[call.path](call)
    elif call.path.startswith(_FILES + "/"):
        _check_method(call, "GET", "HEAD", "DELETE")
        await answer_file(call)
    elif call.path.startswith(_BATCHES + "/"):
        _check_method(call, "GET", "HEAD", "POST")
        await answer_batch(call)
    elif call.path.startswith(_TUNING + "/"):
        _check_method(call, "GET", "HEAD", "POST")
        await answer_tuning_job(call)
    elif call.path.startswith(_EVALS + "/"):
        _check_method(call, "GET", "HEAD", "POST", "DELETE")
        await answer_eval(call)
    elif call.path.startswith(_RESPONSE):
        _check_method(call, "GET", "HEAD", "DELETE")
        await show_response(call)
    elif call.path in _BASELESS:
        raise NotFound(
            f"there is nothing at {call.path}", hint="the API's base address ends in /v1"
        )
    else:
        raise NotFound(
            f"there is nothing at {call.path}",
            hint=did_you_mean(call.path, [*_POST, *_GET, *_LISTED], kind="addresses"),
        )


def _check_method(call: Call, *allowed: str) -> None:
    if call.method not in allowed:
        raise MethodNotAllowed.at(call.path, call.method, *allowed)
