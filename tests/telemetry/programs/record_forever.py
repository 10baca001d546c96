"""Records turns until it is killed, and prints each trace id once its trace has been accepted.

record_forever.py HOME
"""

import os
import sys
from pathlib import Path

from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import trace_handlers
from headrace.telemetry.trace import Trace


def main(home: Path) -> None:
    database = Database.open(home / "state.db")
    vault = Vault.open(database, home)
    writer = BatchWriter(database, home / "journal", trace_handlers())
    writer.start()
    recorder = TraceRecorder(writer, vault, Metrics())
    vault.unlock_now("ada")
    while True:
        trace = Trace(subject="ada", input="a prompt " * 50, output="an answer " * 50)
        recorder.started(trace)
        recorder.record(trace)
        if not writer.shed:
            os.write(1, f"{trace.id}\n".encode())


main(Path(sys.argv[1]))
