"""How a model's deployments are balanced (`balance:` of a model in headrace.yaml)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["BalanceSettings", "HealthSettings", "HedgeSettings", "QueueSettings", "RetrySettings"]

Seconds = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a deployment is left alone, and when it is tried again."""

    consecutive_failures: Annotated[int, Meta(ge=1)] = 3
    """So many failures in a row put it out."""
    error_rate: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """This share of failures, over some 10 s and at least 10 calls, puts it out as well."""
    silence_s: Seconds = 1.0
    """Nothing heard for so long, and for three times as long as ever lately, while calls wait
    there: no new ones until it is heard again."""
    ejection_s: Seconds = 0.5
    """How long it is out at first; doubles with each probe that fails."""
    ejection_max_s: Seconds = 3.0
    """The longest pause between two probes, so that it is soon back once it has recovered."""
    misconfigured_s: Seconds = 30.0
    """Pause between probes of one that refuses our key, address or model."""
    slow_start_s: Annotated[float, Meta(ge=0)] = 2.0
    """One that comes back gets less at once for so long: its caches are cold."""


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where calls wait while every deployment is full."""

    length: Annotated[int, Meta(ge=0)] = 1000
    """So many wait at most; then 429 `overloaded`, first to the least urgent."""
    wait_s: Seconds = 30.0
    """So long a call waits for room, or for a deployment to come back; then 429 or 503."""
    aging_s: Seconds = 5.0
    """A call that has waited so long goes before new ones of the next more urgent priority."""


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a call that has given nothing yet is made again."""

    attempts: Annotated[int, Meta(ge=1)] = 5
    """How often a call is sent in all."""
    budget: Share = 0.2
    """Retries per call, over some 10 s: what is down for good is not made worse by us."""
    budget_floor_per_s: Annotated[float, Meta(ge=0)] = 10.0
    """Retries that are always allowed, saved up for 10 s."""
    backoff_s: Seconds = 0.1
    """Pause before a deployment is asked again: random up to this, doubling (full jitter). None
    before one that has not been asked yet."""
    backoff_max_s: Seconds = 5.0
    """The longest such pause."""


class HedgeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a call that is slow to begin is sent to a second deployment as well."""

    share: Share = 0.0
    """At most this share of calls is sent twice; 0: none."""
    quantile: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    """Sent twice once it has waited longer than this share of calls do."""


class BalanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model's deployments share its calls."""

    prefer: Literal["latency", "cost", "order", "weights"] = "latency"
    """Who gets a call: the one that should finish it first, the cheapest or the first declared
    that has room, or each its share."""
    affinity: bool = True
    """Whether prompts that begin alike go to the same deployment while it is not overloaded."""
    first_byte_s: Seconds = 60.0
    """No answer waits longer than this for its first byte."""
    health: HealthSettings = HealthSettings()
    """When a deployment is left alone, and when it is tried again."""
    queue: QueueSettings = QueueSettings()
    """Where calls wait while every deployment is full."""
    retry: RetrySettings = RetrySettings()
    """When a call that has given nothing yet is made again."""
    hedge: HedgeSettings = HedgeSettings()
    """Whether a call that is slow to begin is sent to a second deployment as well."""
