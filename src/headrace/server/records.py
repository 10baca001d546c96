"""What the journal's records become in the database, and what an earlier run left to be written.

A service of several workers has a journal for each (`journal-0.ring` …), and a table of limits while
it runs. Whoever starts next on the home, with however many workers, first takes all of that in.
"""

from collections.abc import Mapping
from pathlib import Path

from headrace.access.limits.store import limit_handlers
from headrace.pipeline.conversation import conversation_handlers
from headrace.screening.review import review_handlers
from headrace.server.state import JOURNAL_FILE, LIMITS_FILE
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter, CommittedHandler, RecordHandler
from headrace.telemetry.feedback import feedback_handlers
from headrace.telemetry.store import joint_trace_handlers, trace_handlers

__all__ = ["open_writer", "take_in_journal", "take_in_workers", "worker_journal"]


def worker_journal(slot: int) -> str:
    """The journal of one of several workers, in the home."""
    return f"journal-{slot}.ring"


def open_writer(
    database: Database, journal: Path, *, committed: Mapping[str, CommittedHandler] | None = None
) -> BatchWriter:
    """A writer that knows every kind of record. Raises as `BatchWriter`."""
    handlers: dict[str, RecordHandler] = {
        **trace_handlers(),
        **feedback_handlers(),
        **conversation_handlers(),
        **limit_handlers(),
        **review_handlers(),
    }
    return BatchWriter(
        database, journal, handlers, committed=committed, together=joint_trace_handlers()
    )


def take_in_journal(home: Path, database: Database) -> None:
    """Write what a run without workers left. Raises HomeInUse while one goes on."""
    journal = home / JOURNAL_FILE
    if journal.exists():
        _take_in(journal, database)


def take_in_workers(home: Path, database: Database) -> None:
    """Write what the workers of an earlier run left. Call it while the home is locked.

    Raises:
        HomeInUse: a worker still runs.
        StateUnusable: a journal is damaged.
    """
    for journal in sorted(home.glob("journal-*.ring")):
        if _take_in(journal, database):
            journal.unlink(missing_ok=True)
            journal.with_suffix(".lock").unlink(missing_ok=True)
    table = home / LIMITS_FILE
    if table.exists():
        # Only after workers, so whoever has none need not import it.
        from headrace.access.limits.mapped.limiter import fold

        fold(table, database)


def _take_in(journal: Path, database: Database) -> bool:
    """Whether all of it is in the database now."""
    writer = open_writer(database, journal)
    try:
        writer.start()
    finally:
        writer.close()
    return not writer.pending_bytes
