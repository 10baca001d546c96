"""Records turns while the disk is full, then frees it, and prints what became of them as JSON.

    record_on_a_full_disk.py HOME (ballast | limit)

`ballast` fills the file system that HOME is on; `limit` stands in for it where no small file
system can be mounted: no file may grow beyond what it has.
"""

import asyncio
import json
import logging
import resource
import sys
import threading
from pathlib import Path

from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import TraceStore, trace_handlers
from headrace.telemetry.trace import Trace

TEXT = "a prompt of some length " * 100


class Messages(logging.Handler):
    """What was logged, and when it was said that the database cannot be written."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.failed = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if "cannot be written" in self.said[-1]:
            self.failed.set()


class FullDisk:
    """Nothing can be written between `fill` and `free`."""

    def __init__(self, home: Path, how: str) -> None:
        self._ballast = home / "ballast"
        self._how = how

    def fill(self) -> None:
        if self._how == "limit":
            _limit(64 * 1024)
            return
        with self._ballast.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        if self._how == "limit":
            _limit(resource.RLIM_INFINITY)
        else:
            self._ballast.unlink()


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def main(home: Path, how: str) -> None:
    messages = Messages()
    logging.getLogger().addHandler(messages)
    logging.getLogger().setLevel(logging.INFO)
    database = Database.open(home / "state.db")
    vault = Vault.open(database, home)
    writer = BatchWriter(database, home / "journal", trace_handlers(), capacity_bytes=1 << 20)
    writer.start()
    metrics = Metrics()
    recorder = TraceRecorder(writer, vault, metrics)
    metrics.watch_writer(writer)
    vault.unlock_now("ada")
    accepted: list[str] = []
    attempts = 0

    def turn() -> None:
        nonlocal attempts
        attempts += 1
        trace = Trace(subject="ada", input=TEXT, output=TEXT)
        shed = writer.shed
        recorder.started(trace)
        recorder.record(trace)
        if writer.shed == shed:
            accepted.append(trace.id)

    turn()
    asyncio.run(writer.flush())
    disk = FullDisk(home, how)
    disk.fill()
    while not messages.failed.wait(0.01):
        turn()
    for _ in range(50):
        turn()
    before_shedding = writer.shed
    while writer.shed < before_shedding + 10:
        turn()
    pending, healthy = writer.pending_bytes, writer.is_healthy
    scraped = metrics.registry.get_sample_value("headrace_traces_shed_total")
    disk.free()
    asyncio.run(writer.flush())
    turn()
    asyncio.run(writer.flush())
    store = TraceStore(database, vault)
    stored = {trace.id for trace in store.list(limit=10**6)}
    with database.read() as connection:
        integrity = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    result = {
        "attempts": attempts,
        "accepted": len(accepted),
        "lost": len(set(accepted) - stored),
        "last is readable": store.get(accepted[-1]).input == TEXT,
        "shed": writer.shed,
        "scraped": scraped,
        "rejected": writer.rejected,
        "pending while full": pending,
        "healthy while full": healthy,
        "healthy after": writer.is_healthy,
        "integrity": integrity,
        "said": [each for each in messages.said if "records" in each or "database" in each],
    }
    writer.close()
    database.close()
    print(json.dumps(result))


main(Path(sys.argv[1]), sys.argv[2])
