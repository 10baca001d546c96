"""The place of one of several workers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from headrace.access.limits.config import Limits
from headrace.access.limits.limiter import Limiter
from headrace.access.limits.mapped.limiter import MappedLimiter
from headrace.pipeline.conversation import ConversationStore, ConversationWriter
from headrace.pipeline.service import Platform
from headrace.privacy.vault import Vault
from headrace.server.records import worker_journal
from headrace.server.seat import Seat
from headrace.server.state import LIMITS_FILE
from headrace.server.workers.conversation import OwnedConversations
from headrace.server.workers.peer import Peers
from headrace.server.workers.platform import WorkerPlatform
from headrace.storage.database import Database
from headrace.storage.writer import RecordWriter
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import TraceStore

__all__ = ["WorkerSeat", "boot_of", "boots_of"]

_BOOT_CHARS = 36


def boots_of(slot: int) -> str:
    """What the boots of all processes of a slot begin with."""
    return f"w{slot}-"


def boot_of(slot: int, unique: str) -> str:
    """Which turns are a process's own; as long as any other boot's."""
    return f"{boots_of(slot)}{unique.replace('-', '')}"[:_BOOT_CHARS]


class WorkerSeat(Seat):
    """See `Seat`."""

    def __init__(self, peers: Peers, boot: str) -> None:
        self._peers = peers
        self._boot = boot
        self.journal = worker_journal(peers.slot)
        self.platform: Callable[..., Platform] = partial(WorkerPlatform, peers=peers)

    def take_in(self, home: Path, database: Database) -> None:
        """Nothing: the supervisor has, and other workers run. One's own journal is read anyhow."""

    def interrupted(self, traces: TraceStore, recorder: TraceRecorder) -> int:
        """Those of the processes that had this slot before; the other workers' go on."""
        recorder.boot = f"{self.gateway}{self._boot}"
        of = f"{self.gateway}{boots_of(self._peers.slot)}"
        return traces.close_unfinished(recorder.boot, of=of)

    def conversations(
        self, database: Database, writer: ConversationWriter, vault: Vault
    ) -> ConversationStore:
        return OwnedConversations(
            database,
            writer,
            vault,
            share=self._peers.share,
            flush_others=self._peers.flush_others,
        )

    def limiter(
        self, limits: Limits, home: Path, database: Database, writer: RecordWriter, *, now: float
    ) -> Limiter:
        """Counts together with the other workers; with Redis, with other gateways too."""
        if limits.redis is not None:
            return super().limiter(limits, home, database, writer, now=now)
        return MappedLimiter(limits, home / LIMITS_FILE, self._peers.slot)
