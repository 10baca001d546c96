"""`retention`: delete what is kept no longer, as the service's settings say."""

import os
import time
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.access.limits.store import prune_counters
from headrace.config.load import load_service
from headrace.pipeline.conversation import ConversationStore
from headrace.privacy.vault import Vault
from headrace.telemetry.store import TraceStore
from headrace.training.trainer import Trainer
from headrace.workflows.collect import collect
from headrace.workflows.operation import Context, Operation, Settings
from headrace.workflows.tuning.settings import read_tuning

__all__ = ["Retention"]

DAY_S = 86_400.0


class RetentionSettings(Settings, frozen=True):
    """How long things are kept, where headrace.yaml does not say it."""

    traces_days: Annotated[float, Meta(gt=0)] | None = None
    """Of traces; absent: `traces.retention_days`."""
    conversations_days: Annotated[float, Meta(gt=0)] | None = None
    """Of conversations that nobody uses; absent: `conversations.retention_days`."""
    results_days: Annotated[float, Meta(gt=0)] = 30.0
    """Of what workflows left and nothing needs."""


class Retention(Operation):
    """Deletes old traces, conversations, counters, checkpoints, and what workflows left."""

    Settings = RetentionSettings
    returns: ClassVar[tuple[str, ...]] = ("traces", "conversations", "results", "bytes")
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, RetentionSettings)
        config = load_service(context.root, context.environ)
        database, now = context.database(), time.time()
        vault = Vault.open(database, context.home, environ=os.environ)
        gone = TraceStore(database, vault).prune(
            retention_days=settings.traces_days or config.traces.retention_days,
            max_mb=config.traces.max_mb,
            now=now,
        )
        days = settings.conversations_days or config.conversations.retention_days
        conversations = 0
        if days is not None:
            store = ConversationStore(database, _Nothing(), vault)
            conversations = store.prune(before=now - days * DAY_S)
        prune_counters(database, now=now)
        kept_s = read_tuning(config.fine_tuning).retention_days * DAY_S
        Trainer(context.home, root=context.root).tidy(now - kept_s)
        left = collect(database, context.root, context.home, keep_s=settings.results_days * DAY_S)
        return {
            "traces": gone.by_age + gone.by_size,
            "conversations": conversations,
            "results": left.artifacts,
            "bytes": left.bytes,
        }


class _Nothing:
    """Stands where new messages would be written: deleting writes none."""

    def append(self, kind: str, payload: bytes) -> bool:
        raise AssertionError(f"retention wrote a {kind}")

    async def flush(self) -> None:
        raise AssertionError("retention has nothing to write")
