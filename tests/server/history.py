"""A home that has been used for some days."""

import time
from pathlib import Path

import msgspec

from headrace.ids import new_id
from headrace.pipeline.record import TurnRecord, encode_record, write_records
from headrace.privacy.vault import Vault
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database
from headrace.telemetry.record import TraceEnd
from headrace.telemetry.recorder import TRACE_END
from headrace.telemetry.store import trace_handlers
from headrace.telemetry.trace import Trace

__all__ = ["store_history"]

DAY_S = 86_400


def store_history(home: Path) -> dict[str, str]:
    """Store what a service would find; gives the traces' ids by what they are.

    Traces: `old` by two days, `large` (20 MB) and `young`. Conversations: `old` and `young`.
    """
    now = time.time()
    traces = {
        "old": Trace(started_at=now - 2 * DAY_S),
        "large": Trace(started_at=now - 3600),
        "young": Trace(started_at=now - 60),
    }
    database = Database.open(home / DATABASE_FILE)
    vault = Vault.open(database, home)
    vault.unlock_now("ada")
    ends = [msgspec.msgpack.encode(TraceEnd(each, None, None)) for each in traces.values()]
    turns = [
        encode_record(
            TurnRecord(
                owner="a key",
                conversation=name,
                subject=vault.subject_id("ada"),
                at=now - age_s,
                title_sealed=vault.seal("ada", name),
                messages=[(new_id(), vault.seal("ada", "{}"))],
            )
        )
        for name, age_s in (("old", 2 * DAY_S), ("young", 60))
    ]
    with database.write() as connection:
        trace_handlers()[TRACE_END](connection, ends)
        write_records(connection, turns)
        connection.exec_driver_sql(
            "UPDATE traces SET size_bytes = ? WHERE id = ?", (20 * 1024**2, traces["large"].id)
        )
    database.close()
    return {name: trace.id for name, trace in traces.items()}
