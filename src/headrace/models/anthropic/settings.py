"""Settings of a deployment with `backend: anthropic`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headrace.models.remote import RemoteSettings

__all__ = ["AnthropicSettings"]


class AnthropicSettings(RemoteSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment with `backend: anthropic`."""

    base_url: str = "https://api.anthropic.com"
    """The API's address up to, not including, `/v1/messages`."""
    version: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] = "2023-06-01"
    """Sent as `anthropic-version`. From `2026-10-21` on there is no `temperature` and no `top_p`."""
    beta: list[str] = msgspec.field(default_factory=list)
    """Names of beta features, sent as `anthropic-beta`."""
    output_tokens: Annotated[int, Meta(gt=0)] = 8192
    """`max_tokens` of requests that name none: the protocol demands one. Thoughts count, too."""
    thinking: Literal["adaptive", "budget"] = "adaptive"
    """How `reasoning_effort` is said: `adaptive` with an effort, or as a `budget` of tokens for
    models before Claude 4.6."""
    thinking_display: Literal["summarized", "omitted"] | None = None
    """Whether thoughts come in words (as reasoning) or hidden; absent: as the model has it."""
