"""What the catalogue knows of a model: the shape of its files, ours and the user's alike.

Every figure carries the day on which it was read and the page it was read on. A field that is not
there is not known; nothing here is guessed. Prices are list prices: no batch, priority or
committed-use rates.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

__all__ = [
    "CatalogueFile",
    "Knowledge",
    "LaterRates",
    "Licence",
    "Limits",
    "LongRates",
    "Machine",
    "Modality",
    "ModelFacts",
    "Position",
    "PositionName",
    "Price",
    "ProviderKind",
    "Rates",
    "Regions",
    "Retirement",
    "Speed",
    "Task",
    "Usd",
]

ProviderKind: TypeAlias = Literal["proprietary", "open_weights", "infrastructure"]
"""Whose it is: closed weights of their maker; weights anyone may run; somebody else's machines."""
Task: TypeAlias = Literal[
    "chat", "summarise", "translate", "code", "extract", "embed", "vision", "tools", "reasoning"
]
Modality: TypeAlias = Literal["text", "image", "audio", "video", "pdf"]
PositionName: TypeAlias = Literal["flagship", "balanced", "light", "small"]

Day: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Month: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
Usd: TypeAlias = Annotated[float, Meta(ge=0)]
Tokens: TypeAlias = Annotated[int, Meta(ge=1)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a file: unknown fields are errors."""


class _Figure(_Part, frozen=True, kw_only=True):
    """Base of what was read somewhere."""

    as_of: Day | None = None
    """The day on which it was read (2026-11-25)."""
    source: str = ""
    """Address of the page that says so."""


class Rates(_Part, frozen=True, kw_only=True):
    """USD per million tokens."""

    input: Usd = 0.0
    """Prompt tokens that were not cached."""
    cached_input: Usd | None = None
    """Prompt tokens read from the provider's cache; absent: the same as `input`."""
    cache_write: Usd | None = None
    """Prompt tokens written to its cache (the shortest kept); absent: the same as `input`."""
    output: Usd = 0.0
    """Completion tokens, reasoning included."""


class LongRates(Rates, frozen=True, kw_only=True):
    """What a request costs whose prompt is longer than `above_tokens`."""

    above_tokens: Tokens
    """The longest prompt that still has the ordinary rates."""


class LaterRates(Rates, frozen=True, kw_only=True):
    """Rates that are announced for a later day."""

    since: Day
    """The first day on which they hold."""


class Price(_Figure, frozen=True, kw_only=True):
    """What a model costs, in USD per million tokens."""

    input: Usd
    """Prompt tokens that were not cached."""
    cached_input: Usd | None = None
    """Prompt tokens read from the provider's cache; absent: the same as `input`."""
    cache_write: Usd | None = None
    """Prompt tokens written to its cache (the shortest kept); absent: the same as `input`."""
    output: Usd = 0.0
    """Completion tokens, reasoning included."""
    long: LongRates | None = None
    """Rates of long prompts, where they differ."""
    later: LaterRates | None = None
    """Rates that are announced for a later day."""


class Limits(_Figure, frozen=True, kw_only=True):
    """How much a model takes and gives at once."""

    context_tokens: Tokens
    """Longest prompt plus answer."""
    output_tokens: Tokens | None = None
    """Longest answer."""


class Retirement(_Figure, frozen=True, kw_only=True):
    """When a model answers no more."""

    date: Day
    """The first day without it."""
    replacement: str | None = None
    """What its provider advises instead, by id."""
    is_earliest: bool = False
    """The provider only says that it will not be before this day."""


class Knowledge(_Figure, frozen=True, kw_only=True):
    """Up to when a model knows the world."""

    date: Month
    """Month, or day, of the newest training data that can be relied on."""


class Regions(_Figure, frozen=True, kw_only=True):
    """Where prompts can be kept while they are answered."""

    names: list[str]
    """Regions that the provider lets one choose: eu, us, cn, …"""
    surcharge: Annotated[float, Meta(ge=0)] = 0.0
    """What choosing one adds to the price, as a share of it."""


class Position(_Figure, frozen=True, kw_only=True):
    """Where a provider places a model among its own, or what you have measured."""

    name: PositionName | None = None
    """flagship, balanced, light or small, by its provider's own words."""
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Your own measure of its quality, from 0 to 1; goes before `name`."""


class Speed(_Figure, frozen=True, kw_only=True):
    """How fast a provider says a model is."""

    ttft_s: Annotated[float, Meta(ge=0)] | None = None
    """Seconds to the first token."""
    tokens_per_s: Annotated[float, Meta(gt=0)] | None = None
    """Tokens a second of one answer."""


class Licence(_Figure, frozen=True, kw_only=True):
    """What a licence lets one do. A summary to choose by, not legal advice."""

    name: str = ""
    """Its full name."""
    is_commercial: bool
    """Whether the model may be used for profit."""
    field_of_use: list[str] = msgspec.field(default_factory=list)
    """Uses that it forbids or restricts, in a few words each; OpenRAIL's for example."""
    needs_attribution: bool = False
    """Whether users must be told whose model it is, beyond keeping the licence's text."""
    max_monthly_users: Tokens | None = None
    """Users a month above which a licence of its own is needed (Llama's 700 million)."""


class Machine(_Figure, frozen=True, kw_only=True):
    """A machine that runs models, for the cost of running them oneself."""

    usd_per_hour: Annotated[float, Meta(ge=0)]
    """What an hour of it costs, used or not."""
    tokens_per_s: Annotated[float, Meta(gt=0)] | None = None
    """Tokens a second that it writes in all; absent: as measured."""


class ModelFacts(_Part, frozen=True, kw_only=True):
    """One model of one provider. What is absent is not known."""

    kind: ProviderKind | None = None
    """proprietary, open_weights or infrastructure."""
    serves: str | None = None
    """The id of the model that this is a place of; what is absent here is taken from there."""
    aliases: list[str] | None = None
    """Other names that the provider, or a model hub, has for it."""
    tasks: list[Task] | None = None
    """What it is made for."""
    input: list[Modality] | None = None
    """What it reads."""
    output: list[Modality] | None = None
    """What it writes."""
    limits: Limits | None = None
    """Context and longest answer, in tokens."""
    licence: str | None = None
    """An id of `licences`; `api-terms` for models that are only to be had as a service."""
    price: Price | None = None
    """List price, in USD per million tokens."""
    retirement: Retirement | None = None
    """When it answers no more, where the provider says so."""
    knowledge: Knowledge | None = None
    """Up to when it knows the world."""
    regions: Regions | None = None
    """Where prompts can be kept; a model that you run yourself stays where you run it."""
    position: Position | None = None
    """Its place among its provider's models."""
    speed: Speed | None = None
    """How fast the provider says it is."""


class CatalogueFile(_Part, frozen=True, kw_only=True):
    """A catalogue file: ours, or `catalogue.yaml` in the service's folder, merged over it by id."""

    models: dict[str, ModelFacts] = msgspec.field(default_factory=dict)
    """By `provider/model`. A field that stands here replaces ours, whole; others stay."""
    licences: dict[str, Licence] = msgspec.field(default_factory=dict)
    """By id."""
    machines: dict[str, Machine] = msgspec.field(default_factory=dict)
    """By name, for `--machine`."""
