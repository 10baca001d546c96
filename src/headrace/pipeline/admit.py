"""Letting a turn in: what it may use is reserved before anything is done for it."""

import time
from collections.abc import Sequence

from headrace.access.limits.admission import Admission
from headrace.access.limits.estimate import reserved_tokens
from headrace.access.limits.limiter import Limiter
from headrace.access.principal import Principal
from headrace.errors import UnknownModel
from headrace.models.estimate import estimate_text_tokens, estimate_tokens
from headrace.models.model import Target
from headrace.pipeline.turn import Turn
from headrace.types import Usage

__all__ = ["admit_inputs", "admit_turn", "check_open"]


async def admit_turn(limiter: Limiter, turn: Turn, target: Target) -> Admission:
    """Reserve a turn's tokens and money.

    Raises:
        LimitExceeded, QuotaExceeded: a limit has no room for it.
        LimitsUnavailable: the shared counters are away, and nobody gets in then.
        UnknownModel: it is somebody else's fine-tune.
    """
    prompt_tokens = estimate_tokens(turn.messages)
    most = turn.params.max_tokens or turn.template_params.max_tokens or target.params.max_tokens
    tokens = reserved_tokens(prompt_tokens, most, answers=turn.params.n or 1)
    usage = Usage(prompt_tokens, tokens - prompt_tokens)
    return await _admit(limiter, turn.principal, target, usage)


async def admit_inputs(
    limiter: Limiter, principal: Principal, target: Target, inputs: Sequence[str]
) -> Admission:
    """Reserve the tokens and money of texts to embed; raises as `admit_turn`."""
    tokens = sum(map(estimate_text_tokens, inputs))
    return await _admit(limiter, principal, target, Usage(tokens))


def check_open(target: Target, principal: Principal) -> None:
    """Whether somebody may ask it; counts nothing.

    Raises:
        UnknownModel: it is somebody else's fine-tune.
    """
    if not target.is_open_to(principal):
        # As if there were none: its name may tell what somebody else has trained.
        raise UnknownModel.named(target.name, ())


async def _admit(limiter: Limiter, principal: Principal, target: Target, usage: Usage) -> Admission:
    check_open(target, principal)
    # The first that is asked stands for all: a dearer fall-back is counted when it has answered.
    first = target.order()[0].deployments[0]
    admitted = limiter.admit(
        principal,
        target.name,
        usage.prompt_tokens + usage.completion_tokens,
        time.time(),
        estimated_cost_usd=first.cost_usd(usage),
    )
    return admitted if isinstance(admitted, Admission) else await admitted
