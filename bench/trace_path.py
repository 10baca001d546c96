"""What a trace costs: on the request path, and on its way into the database.

    .venv/bin/python bench/trace_path.py [--turns 5000]

Prints the cost of `started` and `record` for a turn of 8 KB with its texts sealed, what of it the
sealing is, and the rows a second that the writer reaches beside a bare `executemany` of the same
rows into the same kind of database, in one run. Compare ratios; the machine decides the rest.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

import msgspec
from sqlalchemy import insert

from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import traces
from headrace.storage.writer import BATCH_RECORDS, BatchWriter
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import trace_handlers
from headrace.telemetry.trace import Span, Trace
from headrace.types import Choice, Message

CAPACITY_BYTES = 256 * 1024 * 1024


def turn() -> Trace:
    """A turn of eight steps, a 6 KB prompt and a 2 KB answer."""
    trace = Trace(
        subject="ada", model="assistant", deployment="assistant-0", provider="llama_cpp",
        duration_s=0.5, ttft_s=0.1, tpot_s=0.01, prompt_tokens=1500, completion_tokens=400,
        input=msgspec.json.encode([Message(role="user", content="p" * 6000)]).decode(),
        output=msgspec.json.encode([Choice(text="a" * 2000, finish_reason="stop")]).decode(),
    )  # fmt: skip
    trace.spans = [
        Span(name=f"step{n}", start_s=n / 10, duration_s=0.01, attributes={"headrace.n": n})
        for n in range(8)
    ]
    return trace


def microseconds(began: float, turns: int) -> float:
    return (time.perf_counter() - began) / turns * 1e6


def request_path(recorder: TraceRecorder, vault: Vault, turns: list[Trace]) -> None:
    began = time.perf_counter()
    for trace in turns:
        recorder.started(trace)
    started = microseconds(began, len(turns))
    began = time.perf_counter()
    for trace in turns:
        recorder.record(trace)
    recorded = microseconds(began, len(turns))
    began = time.perf_counter()
    for trace in turns:
        vault.seal_if_unlocked("ada", trace.input)
        vault.seal_if_unlocked("ada", trace.output)
    sealed = microseconds(began, len(turns))
    print(f"started {started:6.1f} µs a turn")
    print(f"record  {recorded:6.1f} µs a turn, of which sealing {sealed:.1f} µs")


def bare_rows_per_s(folder: Path, source: Database) -> float:
    """The same rows, by the driver alone, in transactions of the same size."""
    with source.read() as connection:
        rows = [tuple(row) for row in connection.execute(traces.select())]
    target = Database.open(folder / "bare.db")
    statement = str(insert(traces).compile(target.engine))
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA synchronous = NORMAL")
    began = time.perf_counter()
    for at in range(0, len(rows), BATCH_RECORDS):
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany(statement, rows[at : at + BATCH_RECORDS])
        bare.execute("COMMIT")
    rate = len(rows) / (time.perf_counter() - began)
    bare.close()
    target.close()
    return rate


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = Database.open(folder / "state.db")
        vault = Vault.open(database, folder)
        vault.unlock_now("ada")
        writer = BatchWriter(
            database, folder / "journal", trace_handlers(), capacity_bytes=CAPACITY_BYTES
        )
        turns = [turn() for _ in range(count)]
        request_path(TraceRecorder(writer, vault, Metrics()), vault, turns)
        assert not writer.shed, "fewer --turns fit into the journal"
        began = time.perf_counter()
        writer.start()
        asyncio.run(writer.flush())
        rate = count / (time.perf_counter() - began)
        writer.close()
        bare = bare_rows_per_s(folder, database)
        print(f"writer  {rate:6.0f} turns/s (two records each, decoded and indexed)")
        print(f"bare    {bare:6.0f} rows/s by executemany; ratio {rate / bare:.2f}")
        database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=5000)
    main(parser.parse_args().turns)
