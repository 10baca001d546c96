"""Embeddings: vectors of texts by one model. No steps take part, but a trace is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.access.limits.config import Limits
from headrace.access.limits.limiter import Limiter, MemoryLimiter
from headrace.access.principal import Principal
from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.backend import Embeddings
from headrace.models.box import ModelBox
from headrace.pipeline.admit import admit_inputs
from headrace.pipeline.pipeline import Recorder, Unlock
from headrace.telemetry.trace import Trace, TraceStatus
from headrace.types import TextKind

__all__ = ["Embedder", "EmbeddingTurn"]


@dataclass(slots=True, kw_only=True)
class EmbeddingTurn:
    """One request for embeddings."""

    principal: Principal
    inputs: Sequence[str]
    model: str | None = None
    """The logical model asked for; None is the service's first."""
    kind: TextKind | None = None
    """What the inputs are, where the client says so."""
    subject: str = ""
    trace: Trace = field(default_factory=Trace)


class Embedder:
    """Answers requests for embeddings. Traces keep figures only, never the inputs."""

    def __init__(
        self,
        models: ModelBox,
        *,
        release: str,
        recorder: Recorder,
        unlock: Unlock,
        limiter: Limiter | None = None,
    ) -> None:
        self._models = models
        self._release = release
        self._recorder = recorder
        self._unlock = unlock
        self._limiter = limiter or MemoryLimiter(Limits())

    async def embed(self, turn: EmbeddingTurn) -> Embeddings:
        """One vector per input, in order.

        Raises:
            UnknownModel: no model has that name.
            ModelUnavailable: the model is down.
        """
        trace = turn.trace
        trace.operation = "embeddings"
        trace.key_id = turn.principal.key_id
        trace.subject = turn.subject or turn.principal.key_id
        trace.release = self._release
        trace.model = turn.model or ""
        self._recorder.started(trace)
        status: TraceStatus = "cancelled"
        try:
            model = self._models.get(turn.model)
            turn.model = trace.model = model.name
            admission = await admit_inputs(self._limiter, turn.principal, model, turn.inputs)
            with admission, trace.span("embed", kind="client") as span:
                await self._unlock(trace.subject)
                made, deployment = await model.embed(turn.inputs, kind=turn.kind)
                _check(made, turn.inputs)
                trace.prompt_tokens = made.usage.prompt_tokens
                trace.cost_usd = deployment.cost_usd(made.usage)
                admission.settle(trace.prompt_tokens, trace.cost_usd)
                trace.provider, trace.deployment = deployment.backend.provider, deployment.key
                span.attributes.update(
                    {
                        "gen_ai.operation.name": "embeddings",
                        "gen_ai.provider.name": trace.provider,
                        "gen_ai.request.model": model.name,
                        "gen_ai.embeddings.dimension.count": len(made.vectors[0]),
                        "headrace.model.digest": deployment.backend.digest,
                        "headrace.embeddings.truncated": len(made.truncated),
                    }
                )
            status = "ok"
        except HeadraceError as error:
            status, trace.error = "error", error.code
            raise
        except Exception as error:
            status, trace.error = "error", type(error).__name__
            raise
        finally:
            trace.status = status
            trace.duration_s = trace.elapsed_s()
            self._recorder.record(trace)
        return made


def _check(made: Embeddings, inputs: Sequence[str]) -> None:
    if len(made.vectors) != len(inputs):
        raise ModelUnavailable(f"the model made {len(made.vectors)} vectors of {len(inputs)} texts")
