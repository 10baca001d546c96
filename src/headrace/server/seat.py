"""The place that a process takes in a service: here, the only one; `workers/seat.py` has others."""

from collections.abc import Callable
from pathlib import Path

from headrace.access.limits.build import build_limiter
from headrace.access.limits.config import Limits
from headrace.access.limits.limiter import Limiter
from headrace.pipeline.conversation import ConversationStore, ConversationWriter
from headrace.pipeline.service import Platform
from headrace.privacy.vault import Vault
from headrace.server.records import take_in_workers
from headrace.server.state import JOURNAL_FILE
from headrace.storage.database import Database
from headrace.storage.writer import RecordWriter
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import TraceStore

__all__ = ["Seat"]


class Seat:
    """What `boot` does differently for one of several workers."""

    journal: str = JOURNAL_FILE
    """The journal's file in the home."""
    platform: Callable[..., Platform] = Platform
    gateway: str = ""
    """What the boots of this home begin with, where others share the database."""

    def take_in(self, home: Path, database: Database) -> None:
        """Bring what others left into the database; the journal is locked by now."""
        take_in_workers(home, database)

    def interrupted(self, traces: TraceStore, recorder: TraceRecorder) -> int:
        """Close the turns that were left unfinished; how many."""
        recorder.boot = f"{self.gateway}{recorder.boot}"
        return traces.close_unfinished(recorder.boot, of=self.gateway)

    def conversations(
        self, database: Database, writer: ConversationWriter, vault: Vault
    ) -> ConversationStore:
        return ConversationStore(database, writer, vault)

    def limiter(
        self, limits: Limits, home: Path, database: Database, writer: RecordWriter, *, now: float
    ) -> Limiter:
        """Raises ConfigError, as `build_limiter`."""
        del home
        return build_limiter(limits, database, writer, now=now)
