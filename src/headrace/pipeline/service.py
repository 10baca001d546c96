"""A loaded service, and the platform it runs on, as the gateway and the console see them."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headrace.access.audit import AuditLog
from headrace.access.keys import KeyStore
from headrace.access.limits.limiter import Limiter
from headrace.config.model import ServiceConfig
from headrace.datasets.upload import FileStore
from headrace.knowledge.passage import Retriever
from headrace.models.box import ModelBox
from headrace.models.cache.cache import AnswerCache
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.embedding import Embedder
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.shadow import Shadow
from headrace.pipeline.tools.toolbox import Toolbox
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.screening.review import ReviewStore
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter
from headrace.telemetry.feedback import FeedbackStore
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import TraceStore

__all__ = ["Candidate", "Platform", "Service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One configuration, compiled. Immutable: an edited file makes a new one."""

    config: ServiceConfig
    models: ModelBox
    pipeline: Pipeline
    prompts: PromptLibrary
    embedder: Embedder
    knowledge: Retriever | None = None
    """What answers stand on, where `knowledge:` declares it."""
    tools: Toolbox | None = None
    """What the model may call, where `tools:` declares it."""
    release: str
    """Digest of everything that changes behaviour."""
    loaded_at: float
    """Seconds since the epoch."""

    @property
    def asks_only_the_model(self) -> bool:
        """Whether nothing stands between a request and its model, nor behind it."""
        return self.pipeline.is_bare


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A release on trial, and which turns it gets."""

    service: Service
    folder: Path
    """Where it was loaded from."""
    share: float
    """Of the turns, from 0 to 1."""
    trial: str = ""
    """Of which trial; the same release may be tried again."""
    shadow: Shadow | None = None
    """Where it answers copies only."""

    def takes(self, subject: str) -> bool:
        """Whether it answers this one: whoever has it keeps it while the share grows."""
        drawn = hashlib.blake2b(f"{self.service.release}\n{subject}".encode(), digest_size=8)
        return int.from_bytes(drawn.digest(), "big") < self.share * (1 << 64)


@dataclass(slots=True, kw_only=True)
class Platform:
    """What lives as long as the process. `service` is swapped whole when the files change."""

    home: Path
    database: Database
    service: Service
    keys: KeyStore
    traces: TraceStore
    feedback: FeedbackStore
    files: FileStore
    conversations: ConversationStore
    limiter: Limiter
    cache: AnswerCache
    audit: AuditLog
    """Where changes are noted."""
    reviews: ReviewStore
    """What policies gave to a person."""
    prompts: PromptStore
    """Every version of a prompt template that was in use."""
    metrics: Metrics
    recorder: TraceRecorder
    writer: BatchWriter
    candidate: Candidate | None = None
    """What is on trial beside `service`."""

    async def flush(self, timeout_s: float = 2.0) -> None:
        """Wait until what was recorded so far can be read, but not for a sick database."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.writer.flush(), timeout_s)

    async def scrape(self) -> bytes:
        """Every figure of the service, as Prometheus text."""
        # Some milliseconds of work: a scrape must not hold up the answers that stream.
        return await asyncio.to_thread(self.metrics.render)
