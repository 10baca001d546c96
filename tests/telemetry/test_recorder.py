"""The recorder: a turn survives from the moment `record` returns, and its texts stay secret."""

import json
from collections.abc import Callable

import pytest

from headrace.privacy.vault import Vault
from headrace.storage.writer import BatchWriter
from headrace.telemetry import recorder as recorder_module
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.store import TraceStore
from headrace.telemetry.trace import Trace

MakeTrace = Callable[..., Trace]
Keep = Callable[[Trace], Trace]
PROMPT = "我住在杭州市西湖区 and my name is Ada Lovelace"
ANSWER = "Nice to meet you, Countess 洛夫莱斯"
SECRETS = ("Lovelace", "西湖", "Countess", "洛夫莱斯")


async def test_a_recorded_turn_is_read_back_whole(
    keep: Keep, make_trace: MakeTrace, writer: BatchWriter, traces: TraceStore, vault: Vault
) -> None:
    trace = keep(make_trace(prompt=PROMPT, answer=ANSWER, conversation="c-1"))
    await writer.flush()
    kept = traces.get(trace.id)
    assert PROMPT in kept.input
    assert ANSWER in kept.output
    assert kept.subject == vault.subject_id("ada")
    kept.clock_zero, kept.subject = trace.clock_zero, trace.subject
    assert kept == trace


@pytest.mark.parametrize("where", ["journal", "write-ahead log", "database"])
def test_texts_are_sealed_wherever_they_rest(
    make_writer: Callable[..., BatchWriter],
    vault: Vault,
    metrics: Metrics,
    make_trace: MakeTrace,
    on_disk: Callable[[], bytes],
    where: str,
) -> None:
    writer = make_writer()
    recorder = TraceRecorder(writer, vault, metrics)
    vault.unlock_now("lovelace@example.com")
    trace = make_trace(prompt=PROMPT, answer=ANSWER, subject="lovelace@example.com")
    recorder.started(trace)
    recorder.record(trace)
    if where != "journal":
        writer.start()
        writer.close()
    if where == "database":
        vault._database.checkpoint()
    found = on_disk()
    assert trace.id.encode() in found
    for secret in (*SECRETS, "lovelace@"):
        assert secret.encode() not in found
        assert json.dumps(secret)[1:-1].encode() not in found


async def test_without_content_no_text_is_kept(
    writer: BatchWriter,
    vault: Vault,
    metrics: Metrics,
    make_trace: MakeTrace,
    traces: TraceStore,
) -> None:
    recorder = TraceRecorder(writer, vault, metrics, content=False)
    vault.unlock_now("ada")
    trace = make_trace(prompt=PROMPT)
    recorder.started(trace)
    recorder.record(trace)
    await writer.flush()
    kept = traces.get(trace.id)
    assert (kept.input, kept.output) == ("", "")
    assert kept.findings == trace.findings


async def test_a_text_is_left_out_rather_than_kept_in_clear(
    recorder: TraceRecorder,
    writer: BatchWriter,
    make_trace: MakeTrace,
    traces: TraceStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trace = make_trace(prompt=PROMPT, subject="never unlocked")
    recorder.started(trace)
    recorder.record(trace)
    await writer.flush()
    assert traces.get(trace.id).input == ""
    assert "without its texts: no key" in caplog.text


async def test_a_turn_with_endless_texts_is_kept_without_them(
    keep: Keep,
    writer: BatchWriter,
    make_trace: MakeTrace,
    traces: TraceStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder_module, "TEXT_LIMIT_BYTES", 10_000)
    trace = keep(make_trace(prompt="x" * 10_001))
    await writer.flush()
    assert traces.get(trace.id).input == ""
    assert traces.get(trace.id).prompt_tokens == 24
    assert "too long" in caplog.text


def test_a_full_journal_does_not_stop_a_turn(
    make_writer: Callable[..., BatchWriter], vault: Vault, metrics: Metrics, make_trace: MakeTrace
) -> None:
    writer = make_writer()
    recorder = TraceRecorder(writer, vault, metrics)
    vault.unlock_now("ada")
    while not writer.shed:
        recorder.record(make_trace(prompt="x" * 100_000))
    before = writer.shed
    trace = make_trace(prompt="x" * 100_000)
    recorder.started(trace)
    recorder.record(trace)
    assert writer.shed > before
    assert trace.input, "the turn's own trace is left alone"
