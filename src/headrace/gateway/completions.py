"""`POST /v1/completions`: bare prompts, each continued as it is; whole or streamed."""

from contextlib import aclosing

from headrace.errors import InvalidRequest
from headrace.gateway.call import Call
from headrace.gateway.chat import stream_deltas
from headrace.gateway.render import DONE, CompletionRenderer, completion_body
from headrace.gateway.turns import completion_turn, subject_of
from headrace.gateway.wire import CompletionRequest, decode
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Trace
from headrace.types import Usage

__all__ = ["answer_completion"]

MOST_PROMPTS = 64
"""Prompts in one request: they are answered one after the other."""


async def answer_completion(call: Call) -> None:
    """Answer a request with one or more prompts; each is a turn with a trace of its own.

    The first turn's trace has the request's id.
    """
    request, extra = decode(await call.body(), CompletionRequest)
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    _check(prompts)
    if request.echo and request.logprobs is not None:
        # Evaluations that score given answers would add up nothing, and take it for a result.
        raise InvalidRequest(
            "'logprobs' of an echoed prompt are not given; no model here says them",
            hint="ask for 'echo' or 'logprobs', or have the answer generated",
            param="logprobs",
        )
    call.settle(subject_of(request.safety_identifier or request.user))
    await _answer(call, request, extra, prompts)


async def _answer(
    call: Call, request: CompletionRequest, extra: dict[str, object], prompts: list[str]
) -> None:
    options = request.stream_options
    include_usage = options is not None and options.include_usage
    total = Usage()
    renderers: list[CompletionRenderer] = []
    for position, prompt in enumerate(prompts):
        trace = call.trace() if position == 0 else Trace()
        turn = completion_turn(call, request, extra, prompt, trace)
        renderer = CompletionRenderer(
            turn,
            include_usage=include_usage,
            offset=position * (request.n or 1),
            echo=prompt if request.echo else "",
        )
        renderers.append(renderer)
        async with aclosing(call.service.pipeline.answer(turn)) as deltas:
            if not turn.stream:
                async for _ in deltas:
                    pass
            elif not await stream_deltas(call, deltas, renderer.chunk):
                return
        _add(total, turn)
    if not request.stream:
        await call.respond(completion_body(renderers, total))
        return
    if include_usage:
        await call.write(renderers[0].usage_chunk(total))
    await call.end(DONE)


def _check(prompts: list[str]) -> None:
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        raise InvalidRequest(
            f"'prompt' holds {len(prompts)} prompts; allowed: 1 to {MOST_PROMPTS}", param="prompt"
        )
    if not all(prompts):
        raise InvalidRequest("'prompt' is empty", hint="send some text", param="prompt")


def _add(total: Usage, turn: Turn) -> None:
    total.prompt_tokens += turn.usage.prompt_tokens
    total.completion_tokens += turn.usage.completion_tokens
    total.cached_tokens += turn.usage.cached_tokens
