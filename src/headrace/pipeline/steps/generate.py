"""The model call: parameters laid over one another, one deployment asked, usage counted.

Settings win in this order: the request, the prompt template, the model's own defaults.
"""

from collections.abc import Sequence
from typing import Annotated, Self, TypeAlias

import msgspec
from msgspec import Meta

from headrace.errors import InvalidRequest, did_you_mean
from headrace.models.ask import Asking
from headrace.models.backend import Call
from headrace.models.box import ModelBox
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.question import Question
from headrace.models.cache.settings import CacheSettings
from headrace.models.cache.source import Source
from headrace.models.model import Target
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.steps.ground.known import FACTS
from headrace.pipeline.tools.rounds import Bounds, Offer, Rounds
from headrace.pipeline.tools.toolbox import Toolbox
from headrace.pipeline.turn import Turn
from headrace.telemetry.semconv import inference_attributes
from headrace.telemetry.trace import Span
from headrace.types import Delta, Deltas, Params, Usage

__all__ = ["GenerateSettings", "GenerateStep"]

_AnyStep: TypeAlias = Step[Settings]
_KEY = "generate.key"
"""Where a turn's state says under which key its answer is kept."""


class GenerateSettings(Settings, frozen=True, kw_only=True):
    """Settings of `generate`."""

    model: str | None = None
    """The model for requests that name none; absent: the first of `models:`."""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Upper limit of tokens per answer; a request may ask for less, never more."""
    tools: list[str] = msgspec.field(default_factory=list)
    """Tools of the service that the model may call; a template's own `tools` takes their place."""
    max_rounds: Annotated[int, Meta(ge=1, le=32)] = 4
    """Rounds of tool calls per turn; then the model has to answer. A template may say otherwise."""
    rounds_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds after which no further round begins, and no call goes on."""
    rounds_max_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Tokens, read and written, after which no further round begins; absent: no such bound."""


class GenerateStep(Step[GenerateSettings]):
    """Asks the model; the one step that every pipeline has."""

    name = "generate"
    Settings = GenerateSettings

    def __init__(
        self,
        settings: GenerateSettings,
        models: ModelBox,
        cache: AnswerCache | None = None,
        toolbox: Toolbox | None = None,
    ) -> None:
        super().__init__(settings)
        self._toolbox = toolbox
        self._models = models
        self._cache = cache or AnswerCache(CacheSettings(enabled=False, coalesce=False))

    @classmethod
    def build(cls, settings: GenerateSettings, context: BuildContext) -> Self:
        if settings.model is not None:
            context.models.get(settings.model)
        known = context.toolbox.names if context.toolbox is not None else ()
        for name in settings.tools:
            if name not in known:
                raise InvalidRequest(
                    f"generate.tools: no tool is called {name!r}",
                    hint=did_you_mean(name, known, kind="tools"),
                )
        return cls(settings, context.models, context.cache, context.toolbox)

    def params_for(self, turn: Turn, model: Target) -> Params:
        """Request over template over model defaults, within this step's limits."""
        params = turn.params.over(turn.template_params).over(model.params)
        limit = self.settings.max_tokens
        if limit is not None and (params.max_tokens is None or params.max_tokens > limit):
            params = msgspec.structs.replace(params, max_tokens=limit)
        return params

    def rounds(self, turn: Turn, steps: Sequence[_AnyStep]) -> Rounds | None:
        """The loop of a turn that may use the service's tools; None: the model is asked once.

        Args:
            steps: those in front of the model, which see what a tool gives.

        Raises:
            InvalidRequest: the request cannot be had together with tools.
        """
        names = self.settings.tools if turn.tools is None else turn.tools
        if self._toolbox is None or not names or turn.kind == "completion":
            return None
        if turn.params.tool_choice == "none":
            return None
        functions = self._toolbox.functions(names, turn.principal)
        if not functions:
            return None
        bounds = Bounds(
            max_rounds=turn.max_rounds or self.settings.max_rounds,
            timeout_s=self.settings.rounds_timeout_s,
            max_tokens=self.settings.rounds_max_tokens,
        )
        target = self._models.get(turn.model).among(turn.only)
        return Rounds(turn, functions, bounds, ask=self.deltas, target=target, steps=steps)

    async def deltas(self, turn: Turn, span: Span, offer: Offer | None = None) -> Deltas:
        """The model's deltas, unchanged; `span` gets what OpenTelemetry wants to know.

        Args:
            offer: functions of the service, beside those of the request.

        Raises:
            ModelUnavailable: the model is down, or broke off in mid-answer.
            ContextTooLong: the prompt does not fit.
        """
        target = self._models.get(turn.model).among(turn.only)
        if not turn.messages:
            raise InvalidRequest("there is no message to answer", param="messages")
        call = self._call(turn, target, offer)
        count = _Count(_counted(turn))
        async with self._cache.open(self._question(turn, target, call, offer)) as source:
            span.attributes.update(source.attributes)
            turn.state[_KEY] = source.key
            try:
                async for delta in source.deltas:
                    count.add(delta)
                    yield delta
            finally:
                # Left first: who of several listeners pays is known only then.
                await source.close()
                turn.usage = count.usage()
                _describe(turn, source, span)
                span.attributes.update(inference_attributes(turn.trace, call.params, count.reasons))
                span.attributes["gen_ai.usage.input_tokens"] = turn.usage.prompt_tokens
                span.attributes["gen_ai.usage.output_tokens"] = turn.usage.completion_tokens

    def ended(self, turn: Turn) -> None:
        """What a policy stopped, or a step failed over, is not given again."""
        key = turn.state.get(_KEY)
        if isinstance(key, bytes) and turn.trace.status in ("blocked", "error"):
            self._cache.discard(key)

    def _question(self, turn: Turn, target: Target, call: Call, offer: Offer | None) -> Question:
        return Question(
            call=call,
            target=target.name,
            release=turn.trace.release,
            principal=turn.principal,
            subject=turn.subject,
            in_conversation=turn.conversation is not None,
            is_masked=bool(turn.masks),
            is_grounded=bool(turn.passages or turn.state.get(FACTS)),
            control=turn.cache_control,
            ask=lambda: target.ask(call),
            call_for=lambda model: call if model is target else self._call(turn, model, offer),
            embed=lambda name, text: self._models.get(name).embed(
                [text], within=target.data_regions
            ),
        )

    def _call(self, turn: Turn, model: Target, offer: Offer | None) -> Call:
        params = self.params_for(turn, model)
        return Call(
            messages=turn.messages,
            params=params if offer is None else offer.added_to(params),
            completion=turn.kind == "completion",
            stream=turn.stream,
            priority=_priority(turn),
        )


def _priority(turn: Turn) -> int:
    """OpenAI's `service_tier`, in line: `flex` gives way, `priority` is for administrators' keys."""
    if turn.gives_way:
        return 2
    tier = turn.params.extra.get("service_tier")
    if tier == "flex":
        return 2
    return 0 if tier == "priority" and turn.principal.is_admin else 1


def _describe(turn: Turn, source: Source, span: Span) -> None:
    """Who answered and what it cost: a deployment, or the cache."""
    turn.trace.cost_usd = source.embedding_usd
    if source.entry is not None:
        turn.trace.provider = source.entry.provider
        span.attributes["headrace.model.digest"] = source.entry.digest
    elif source.ask is not None:
        _describe_ask(turn, source.ask, span, pays=source.pays())


def _describe_ask(turn: Turn, ask: Asking, span: Span, *, pays: bool) -> None:
    """Which deployment answered, why that one, and what was tried before it."""
    deployment = ask.deployment or ask.model.deployments[0]
    turn.trace.provider = deployment.backend.provider
    # One call counts once in what is known of the deployment.
    turn.trace.deployment = deployment.key if ask.deployment is not None and pays else ""
    if pays:
        turn.trace.cost_usd += deployment.cost_usd(turn.usage)
    span.attributes["headrace.model.digest"] = deployment.backend.digest
    if ask.model.name != turn.model:
        span.attributes["headrace.routing.model"] = ask.model.name
    if ask.reason not in ("", "only"):
        span.attributes["headrace.routing.reason"] = ask.reason
    if tried := ask.tried:
        span.attributes["headrace.routing.tried"] = tried


class _Count:
    """Usage as the deployment reports it, or as counted here when the stream ended early."""

    __slots__ = ("_pieces", "_prompt_tokens", "_reported", "reasons")

    def __init__(self, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self.reasons: Sequence[str] = ()
        self._reported: Usage | None = None
        self._pieces = 0

    def add(self, delta: Delta) -> None:
        if delta.usage is not None:
            self._reported = delta.usage
        elif delta.finish_reason is not None:
            self.reasons = (*self.reasons, delta.finish_reason)
        if delta.text or delta.reasoning or delta.tool_calls or delta.refusal:
            self._pieces += 1

    def usage(self) -> Usage:
        # A runtime sends one delta per token, so pieces are tokens where no usage came.
        return self._reported or Usage(self._prompt_tokens, self._pieces)


def _counted(turn: Turn) -> int:
    """Tokens of the prompt where an earlier step has counted them, else 0: not known."""
    said = turn.state.get("ground")
    tokens = said.get("tokens") if isinstance(said, dict) else None
    return tokens if isinstance(tokens, int) else 0
