"""Stored traces: listed, found, closed after a crash, and deleted by age and size."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.errors import NotFound
from headrace.privacy.errors import SealBroken
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter
from headrace.telemetry import store as store_module
from headrace.telemetry.feedback import FeedbackStore
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import (
    Pruned,
    TraceStore,
    joint_trace_handlers,
    trace_handlers,
)
from headrace.telemetry.trace import Trace

pytestmark = pytest.mark.engines

MakeTrace = Callable[..., Trace]
MakeWriter = Callable[..., BatchWriter]
Keep = Callable[[Trace], Trace]
DAY = 86_400.0


async def test_the_newest_come_first_and_without_texts(
    keep: Keep, make_trace: MakeTrace, writer: BatchWriter, traces: TraceStore
) -> None:
    kept = [keep(make_trace()) for _ in range(3)]
    await writer.flush()
    listed = traces.list()
    assert [trace.id for trace in listed] == [trace.id for trace in reversed(kept)]
    assert [trace.input for trace in listed] == ["", "", ""]
    assert listed[0].spans == kept[2].spans


async def test_pages_follow_each_other_without_gap_or_overlap(
    keep: Keep, make_trace: MakeTrace, writer: BatchWriter, traces: TraceStore
) -> None:
    kept = [keep(make_trace()).id for _ in range(7)]
    await writer.flush()
    seen: list[str] = []
    before = None
    while page := traces.list(limit=3, before=before):
        seen.extend(trace.id for trace in page)
        before = page[-1].id
    assert seen == kept[::-1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("conversation", "c-2"),
        ("status", "blocked"),
        ("model", "other"),
        ("key_id", "key-2"),
    ],
)
async def test_a_list_may_be_narrowed(
    keep: Keep,
    make_trace: MakeTrace,
    writer: BatchWriter,
    traces: TraceStore,
    field: str,
    value: str,
) -> None:
    keep(make_trace())
    wanted = keep(make_trace(**{field: value}))
    await writer.flush()
    assert [trace.id for trace in traces.list(**{field: value})] == [wanted.id]  # type: ignore[arg-type]  # the field varies


def test_an_unknown_trace_is_a_clear_error(traces: TraceStore) -> None:
    with pytest.raises(NotFound, match="no trace has the id") as caught:
        traces.get("0190-nothing")
    assert "retention_days" in caught.value.hint


async def test_a_trace_is_found_by_what_tells_it_apart(
    keep: Keep, make_trace: MakeTrace, writer: BatchWriter, traces: TraceStore
) -> None:
    first, second = keep(make_trace()), keep(make_trace())
    await writer.flush()
    assert traces.find("last") == second.id
    assert traces.find(first.id) == first.id
    assert traces.find(first.id[-12:]) == first.id
    with pytest.raises(NotFound, match="several"):
        traces.find(first.id[:4])
    for nothing in ("ffffffff", "", "%", "_", "'; DROP TABLE traces"):
        with pytest.raises(NotFound):
            traces.find(nothing)


async def test_texts_of_an_erased_person_are_gone_and_the_figures_stay(
    keep: Keep, make_trace: MakeTrace, writer: BatchWriter, traces: TraceStore, vault: Vault
) -> None:
    trace = keep(make_trace())
    await writer.flush()
    vault.destroy("ada")
    kept = traces.get(trace.id)
    assert (kept.input, kept.output) == ("", "")
    assert kept.prompt_tokens == 24


@pytest.mark.sqlite
async def test_a_changed_text_is_noticed(
    keep: Keep,
    make_trace: MakeTrace,
    writer: BatchWriter,
    traces: TraceStore,
    tmp_path: Path,
) -> None:
    one, two = keep(make_trace(prompt="one")), keep(make_trace(subject="bob", prompt="two"))
    await writer.flush()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        sealed = connection.execute(
            "SELECT input_sealed FROM traces WHERE id = ?", (two.id,)
        ).fetchone()
        connection.execute("UPDATE traces SET input_sealed = ? WHERE id = ?", (*sealed, one.id))
    connection.close()
    with pytest.raises(SealBroken):
        traces.get(one.id)


async def test_a_turn_that_a_crash_cut_off_is_kept_as_interrupted(
    make_writer: MakeWriter,
    vault: Vault,
    metrics: Metrics,
    make_trace: MakeTrace,
    traces: TraceStore,
) -> None:
    crashed = make_writer()
    recorder = TraceRecorder(crashed, vault, metrics)
    vault.unlock_now("ada")
    ended, cut_off = make_trace(), make_trace()
    recorder.started(ended)
    recorder.started(cut_off)
    recorder.record(ended)
    crashed.close()

    writer = make_writer()
    writer.start()
    boot = TraceRecorder(writer, vault, metrics)
    running = make_trace()
    boot.started(running)
    await writer.flush()
    assert traces.close_unfinished(boot.boot) == 1
    assert traces.close_unfinished(boot.boot) == 0
    assert traces.get(cut_off.id).status == "interrupted"
    assert traces.get(cut_off.id).error == "interrupted"
    assert traces.get(ended.id).status == "ok"
    with pytest.raises(NotFound):
        traces.get(running.id)
    boot.record(running)
    await writer.flush()
    assert traces.get(running.id).status == "ok"


async def test_a_turn_repeated_by_a_crash_is_kept_once(
    make_writer: MakeWriter,
    vault: Vault,
    metrics: Metrics,
    make_trace: MakeTrace,
    traces: TraceStore,
    tmp_path: Path,
) -> None:
    writer = make_writer()
    recorder = TraceRecorder(writer, vault, metrics)
    vault.unlock_now("ada")
    trace = make_trace()
    recorder.started(trace)
    recorder.record(trace)
    before = (tmp_path / "journal").read_bytes()
    writer.start()
    writer.close()
    # The process died after the commit and before the journal knew of it.
    (tmp_path / "journal").write_bytes(before)
    again = make_writer()
    again.start()
    await again.flush()
    assert [each.id for each in traces.list()] == [trace.id]
    assert traces.close_unfinished("another boot") == 0


async def test_old_traces_go_and_their_feedback_with_them(
    keep: Keep,
    make_trace: MakeTrace,
    writer: BatchWriter,
    traces: TraceStore,
    feedback: FeedbackStore,
) -> None:
    now = 1_800_000_000.0
    old = keep(make_trace(started_at=now - 31 * DAY))
    young = keep(make_trace(started_at=now - 29 * DAY))
    for trace in (old, young):
        await feedback.record(trace.id, 1, "", "key-1")
    await writer.flush()
    pruned = traces.prune(retention_days=30, max_mb=1024, now=now)
    assert (pruned.by_age, pruned.by_size) == (1, 0)
    assert pruned.freed_bytes > 0
    assert [trace.id for trace in traces.list()] == [young.id]
    assert feedback.for_trace(old.id) == []
    assert len(feedback.for_trace(young.id)) == 1
    assert traces.prune(retention_days=30, max_mb=1024, now=now) == Pruned()


@pytest.mark.sqlite
async def test_beyond_the_size_the_oldest_go(
    keep: Keep,
    make_trace: MakeTrace,
    writer: BatchWriter,
    traces: TraceStore,
    database: Database,
    tmp_path: Path,
) -> None:
    now = 1_800_000_000.0
    kept = []
    for number in range(40):
        kept.append(keep(make_trace(prompt="x" * 100_000, started_at=now - 100 + number)))
        await writer.flush()
    database.checkpoint()
    before = (tmp_path / "state.db").stat().st_size
    pruned = traces.prune(retention_days=30, max_mb=2, now=now)
    left = [trace.id for trace in traces.list(limit=100)][::-1]
    assert left == [trace.id for trace in kept[pruned.by_size :]]
    assert 19 <= len(left) <= 20
    assert pruned.by_age == 0
    assert (tmp_path / "state.db").stat().st_size < before - pruned.freed_bytes * 0.9


async def test_others_write_while_traces_are_deleted(
    keep: Keep,
    make_trace: MakeTrace,
    writer: BatchWriter,
    traces: TraceStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_module, "_DELETE_ROWS", 10)
    now = 1_800_000_000.0
    for _ in range(300):
        keep(make_trace(started_at=now - 40 * DAY))
    await writer.flush()
    pruning = threading.Thread(target=lambda: traces.prune(retention_days=30, max_mb=1024, now=now))
    pruning.start()
    meanwhile = [keep(make_trace(started_at=now)).id for _ in range(50)]
    await writer.flush()
    pruning.join()
    assert writer.is_healthy
    assert {trace.id for trace in traces.list(limit=500)} == set(meanwhile)


@pytest.mark.sqlite
async def test_deleted_texts_are_gone_from_the_file(
    keep: Keep, make_trace: MakeTrace, writer: BatchWriter, traces: TraceStore, tmp_path: Path
) -> None:
    trace = keep(make_trace(started_at=1.0))
    await writer.flush()
    with sqlite3.connect(tmp_path / "state.db") as connection:
        sealed = connection.execute("SELECT input_sealed FROM traces").fetchone()[0]
    connection.close()
    traces.prune(retention_days=1, max_mb=1024, now=time.time())
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert sealed not in stored
    assert trace.id.encode() not in stored


async def test_a_turn_that_was_passed_on_is_not_left_open(
    database: Database,
    tmp_path: Path,
    vault: Vault,
    metrics: Metrics,
    make_trace: MakeTrace,
    traces: TraceStore,
) -> None:
    """It begins twice under one id, here with a write between the two."""
    writer = BatchWriter(
        database, tmp_path / "journal", trace_handlers(), together=joint_trace_handlers()
    )
    writer.start()
    recorder = TraceRecorder(writer, vault, metrics)
    vault.unlock_now("ada")
    trace = make_trace()
    recorder.started(trace)
    await writer.flush()
    recorder.passed_on()
    recorder.started(trace)
    recorder.record(trace)
    await writer.flush()
    writer.close()
    assert traces.get(trace.id).status == "ok"
    assert traces.close_unfinished("another process") == 0


async def test_turns_that_end_together_are_all_kept(
    make_trace: MakeTrace, recorder: TraceRecorder, writer: BatchWriter, traces: TraceStore
) -> None:
    made = [make_trace() for _ in range(64 + 8 + 3)]
    for trace in made:
        recorder.started(trace)
        recorder.record(trace)
    await writer.flush()
    kept = {trace.id: trace for trace in traces.list(limit=100)}
    assert kept.keys() == {trace.id for trace in made}
    for trace in made:
        assert kept[trace.id].duration_s == trace.duration_s
        assert kept[trace.id].spans == trace.spans


async def test_a_turn_too_short_to_be_noted_is_kept(
    make_trace: MakeTrace, vault: Vault, writer: BatchWriter, traces: TraceStore
) -> None:
    recorder = TraceRecorder(writer, vault, Metrics(), content=False)
    short, noted = make_trace(), make_trace()
    recorder.began()
    recorder.began()
    recorder.note(noted)
    await writer.flush()
    for trace in (short, noted):
        recorder.record_last(trace)
    await writer.flush()
    assert {trace.id for trace in traces.list()} == {short.id, noted.id}
    assert traces.close_unfinished("another boot") == 0
