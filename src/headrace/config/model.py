"""What `headrace.yaml` may hold. Every setting: one home, one default, one unit, one sentence."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headrace.config.node import Node

__all__ = [
    "AdapterConfig",
    "ConversationsConfig",
    "DeploymentConfig",
    "ModelConfig",
    "ParamsConfig",
    "PlaceConfig",
    "PriceConfig",
    "RequireConfig",
    "RouteConfig",
    "ServerConfig",
    "ServiceConfig",
    "StepConfig",
    "TlsConfig",
    "TracesConfig",
]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: unknown fields are errors."""


class PriceConfig(_Section, frozen=True, kw_only=True):
    """What a model costs (`models.NAME.price`), in USD per million tokens."""

    input: Annotated[float, Meta(ge=0)] = 0.0
    """USD per million prompt tokens that were not cached."""
    cached_input: Annotated[float, Meta(ge=0)] | None = None
    """USD per million cached prompt tokens; absent: the same as `input`."""
    cache_write: Annotated[float, Meta(ge=0)] | None = None
    """USD per million prompt tokens written to the provider's cache; absent: the same as `input`."""
    output: Annotated[float, Meta(ge=0)] = 0.0
    """USD per million completion tokens."""


class ParamsConfig(_Section, frozen=True, kw_only=True):
    """A model's default inference parameters (`models.NAME.params`)."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """0 picks the likeliest token each time; higher is more varied."""
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Sample only from the likeliest tokens that together have this probability."""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Tokens per answer, unless the request says otherwise."""
    stop: list[str] | None = None
    """Texts at which the answer ends."""
    seed: int | None = None
    """Makes sampling repeatable."""
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    """Above 0: prefer tokens that have not appeared yet."""
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    """Above 0: the more often a token has appeared, the less likely it gets."""
    extra: dict[str, object] = msgspec.field(default_factory=dict)
    """Further parameters, passed to the backend untouched (`top_k`, `repeat_penalty`, …)."""


class PlaceConfig(_Section, frozen=True, kw_only=True):
    """What every deployment may say, whatever its backend (`models.NAME.deployments[]`)."""

    region: Annotated[str, Meta(min_length=1)] | None = None
    """Where it runs, such as `eu-west`; `eu` in a rule means every region that begins with it."""
    capacity: Annotated[int, Meta(ge=1)] | None = None
    """Calls it takes at once; absent: learned from what happens."""
    weight: Annotated[float, Meta(gt=0)] = 1.0
    """Its share against the model's other deployments (`balance.prefer: weights`)."""
    price: PriceConfig | None = None
    """What it costs; absent: as the model's own `price`, else as the catalogue says."""


class DeploymentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One place that serves a model (`models.NAME.deployments[]`)."""

    backend: str
    """Which backend serves it; `embedded` runs the weights on this machine."""
    settings: Node
    """The fields that belong to the backend."""
    place: PlaceConfig = PlaceConfig()
    """The fields that every deployment may have."""


class AdapterConfig(_Section, frozen=True, kw_only=True):
    """A model that is another one with a LoRA adapter on it (`models.NAME`, instead of deployments)."""

    base: Annotated[str, Meta(min_length=1)]
    """The model that it sits on; its deployments serve this one too."""
    adapter: Annotated[str, Meta(min_length=1)]
    """Where the adapter comes from: `registry:sha256:…` (of a fine-tune here) or `file:PATH` (a GGUF
    adapter; where a vLLM server serves the base: the folder with its PEFT files)."""
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None
    """SHA-256 of a `file:` adapter; one that differs is refused. Absent: the first one seen is pinned."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A logical model (`models.NAME`)."""

    name: str
    deployments: list[DeploymentConfig]
    params: ParamsConfig
    price: PriceConfig | None
    node: Node
    balance: Node | None = None
    """How its deployments share the calls; read by models/balance/settings.py."""
    adapter: AdapterConfig | None = None
    """What sits on its base model; the deployments are the base's then."""


class RequireConfig(_Section, frozen=True, kw_only=True):
    """What a model must meet to be used by a route (`routes.NAME.require`).

    What neither headrace.yaml nor the catalogue knows counts as not met.
    """

    tasks: list[str] = msgspec.field(default_factory=list)
    """What it must be made for, such as `chat`, `tools`, `vision`."""
    license: str | None = None
    """`commercial`, or the id of a licence."""
    context_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Longest prompt plus answer that it must take."""
    usd_per_million: Annotated[float, Meta(ge=0)] | None = None
    """Most that a million tokens may cost, prompts and answers in the mix of the first task."""
    position: Literal["small", "light", "balanced", "flagship"] | None = None
    """The least standing in its provider's range."""
    regions: list[str] = msgspec.field(default_factory=list)
    """Where the data may go, such as `eu`; a deployment without a region is outside."""


class RouteConfig(_Section, frozen=True, kw_only=True):
    """A name that stands for whichever model fits best (`routes.NAME`)."""

    models: list[str] = msgspec.field(default_factory=list)
    """The models it may use; each later one is the fall-back of those before. Absent: all."""
    require: RequireConfig = RequireConfig()
    """What a model must meet to be used."""
    prefer: Literal["order", "cost", "latency", "quality", "weights"] = "order"
    """Which of those that meet the requirements is asked first."""
    weights: dict[str, Annotated[float, Meta(gt=0)]] = msgspec.field(default_factory=dict)
    """Each model's share of the turns (`prefer: weights`); 1 for those not named."""


class StepConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `pipeline:`."""

    name: str
    settings: Node
    """What stands under the step's name; validated by the step's own settings."""


class TracesConfig(_Section, frozen=True, kw_only=True):
    """What is kept of each turn (`traces:`)."""

    content: bool = True
    """Keep the texts of prompts and answers, encrypted; off keeps timings and findings only."""
    retention_days: Annotated[float, Meta(gt=0)] = 30.0
    """Days after which a trace is deleted."""
    max_mb: Annotated[int, Meta(ge=16)] = 1024
    """Megabytes of traces; beyond that the oldest are deleted."""
    otlp_endpoint: str | None = None
    """Base address of an OpenTelemetry collector (OTLP over HTTP), such as http://localhost:4318."""
    otlp_headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Headers for the collector, such as an API key."""
    otlp_content: bool = False
    """Also send the texts of prompts and answers to the collector, in clear."""


class TlsConfig(_Section, frozen=True, kw_only=True):
    """The certificate of the service (`server.tls`); taken over anew when its files change."""

    certificate: str
    """File with the certificate in PEM form, followed by those that lead to its root; relative to headrace.yaml."""
    key: str
    """File with its private key in PEM form, without a passphrase."""


class ServerConfig(_Section, frozen=True, kw_only=True):
    """How the service listens (`server:`). `headrace up --host --port` wins over it."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every interface."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """TCP port; 0 picks a free one."""
    max_body_bytes: Annotated[int, Meta(ge=1024)] = 4 * 1024 * 1024
    """Largest request body; a larger one gets 413."""
    drain_s: Annotated[float, Meta(ge=0)] = 20.0
    """Seconds that running answers get to finish when the service is told to stop."""
    tls: TlsConfig | None = None
    """Speak HTTPS instead of HTTP, with this certificate."""
    max_connections: Annotated[int, Meta(ge=1)] = 10_000
    """Clients connected at a time; further ones get 503."""
    max_uri_bytes: Annotated[int, Meta(ge=256)] = 8 * 1024
    """Longest address in a request; a longer one gets 414."""
    max_header_bytes: Annotated[int, Meta(ge=1024)] = 32 * 1024
    """Largest head of a request; a larger one (or more than 128 headers) gets 431."""
    header_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    """Seconds for a request's head, from its first byte; then 408."""
    body_timeout_s: Annotated[float, Meta(gt=0)] = 20.0
    """Seconds for a request's body, and one more for each 500 bytes that have come; then 408."""
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 75.0
    """Seconds that a connection may wait for its next request."""
    write_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds after which a client that takes nothing of its answer is disconnected."""


class ConversationsConfig(_Section, frozen=True, kw_only=True):
    """Conversation memory (`conversations:`)."""

    retention_days: Annotated[float, Meta(gt=0)] | None = None
    """Days after its last turn that a conversation is deleted; absent: kept until deleted."""


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A whole `headrace.yaml`, validated as far as it can be without steps and backends."""

    name: str
    """What the service is called, in its page and in its traces."""
    models: dict[str, ModelConfig]
    """The models by name; the first is the default."""
    pipeline: list[StepConfig]
    """The steps between prompt and answer, in order; exactly one is `generate`."""
    traces: TracesConfig
    server: ServerConfig
    conversations: ConversationsConfig
    routes: dict[str, RouteConfig]
    """Names that stand for whichever model fits best."""
    node: Node
    """The whole file, for errors that are found later."""
    region: str | None
    """Where this service runs, such as `eu-west`: near deployments are asked first."""
    residency: list[str]
    """Regions that no prompt may leave, such as `[eu]`; empty: it may go anywhere."""
    limits: Node | None
    """What each key, team and model may use; read by access/limits/config.py."""
    cache: Node | None
    """Answers that are given again; read by models/cache/settings.py."""
    knowledge: Node | None
    """What answers stand on; read by knowledge/settings.py."""
    entities: Node | None
    """Names that the service knows; read by knowledge/entities/settings.py."""
    tools: Node | None = None
    """What the service does for the model when it asks; read by pipeline/tools/settings.py."""
    fine_tuning: Node | None = None
    """How much of the machine training may have; read by workflows/tuning/settings.py."""
    releases: Node | None = None
    """What a release must have proved; read by releases/settings.py."""
    database: str | None = None
    """Address of a PostgreSQL database for the state; absent: a file in the service's home."""
    root: Path
    """The service's folder."""
    builtin: bool
    """True when there was no headrace.yaml."""
