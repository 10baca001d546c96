"""A loaded service, and the platform it runs on, as the gateway and the console see them."""

from dataclasses import dataclass
from pathlib import Path

from headrace.access.keys import KeyStore
from headrace.pipeline.conversation import ConversationStore
from headrace.telemetry.feedback import FeedbackStore
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.store import TraceStore

from headrace.config.model import ServiceConfig
from headrace.models.box import ModelBox
from headrace.pipeline.pipeline import Pipeline

__all__ = ["Platform", "Service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One configuration, compiled. Immutable: an edited file makes a new one."""

    config: ServiceConfig
    models: ModelBox
    pipeline: Pipeline
    release: str
    """Digest of everything that changes behaviour."""


@dataclass(slots=True, kw_only=True)
class Platform:
    """What lives as long as the process. `service` is swapped whole when the files change."""

    home: Path
    service: Service
    keys: KeyStore
    traces: TraceStore
    feedback: FeedbackStore
    conversations: ConversationStore
    metrics: Metrics
