"""The trace path on a home of its own: recorder, journal, writer, database, vault."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.privacy.vault import Vault
from headrace.screening.finding import Finding
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter, CommittedHandler
from headrace.telemetry.feedback import FeedbackStore, feedback_handlers
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.semconv import guardrail_attributes, inference_attributes
from headrace.telemetry.store import TraceStore, trace_handlers
from headrace.telemetry.trace import Span, Trace
from headrace.types import Choice, Message, Params

SIDES = ("input", "output")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "state.db")
    yield database
    database.close()


@pytest.fixture
def vault(database: Database, tmp_path: Path) -> Vault:
    return Vault.open(database, tmp_path)


@pytest.fixture
def make_writer(database: Database, tmp_path: Path) -> Iterator[Callable[..., BatchWriter]]:
    """A writer, not started; a second one, once the first is closed, is the next process's."""
    made: list[BatchWriter] = []

    def make(committed: dict[str, CommittedHandler] | None = None) -> BatchWriter:
        handlers = {**trace_handlers(), **feedback_handlers()}
        writer = BatchWriter(
            database,
            tmp_path / "journal",
            handlers,
            committed=committed,
            capacity_bytes=4 << 20,
        )
        made.append(writer)
        return writer

    yield make
    for writer in made:
        writer.close()


@pytest.fixture
def writer(make_writer: Callable[..., BatchWriter]) -> BatchWriter:
    writer = make_writer()
    writer.start()
    return writer


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3")


@pytest.fixture
def recorder(writer: BatchWriter, vault: Vault, metrics: Metrics) -> TraceRecorder:
    return TraceRecorder(writer, vault, metrics)


@pytest.fixture
def traces(database: Database, vault: Vault) -> TraceStore:
    return TraceStore(database, vault)


@pytest.fixture
def feedback(database: Database, writer: BatchWriter, vault: Vault) -> FeedbackStore:
    return FeedbackStore(database, writer, vault)


@pytest.fixture
def keep(recorder: TraceRecorder, vault: Vault) -> Callable[[Trace], Trace]:
    """Record a turn from its beginning to its end."""

    def record(trace: Trace) -> Trace:
        vault.unlock_now(trace.subject)
        recorder.started(trace)
        recorder.record(trace)
        return trace

    return record


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[], bytes]:
    """All bytes that the home has on the disk now: database, its log, journal, keys."""
    return lambda: b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))


@pytest.fixture
def make_trace() -> Callable[..., Trace]:
    """A finished turn: screened, answered, screened again."""

    def make(
        *,
        prompt: str = "Where does ada@example.com live?",
        answer: str = "I cannot say.",
        params: Params | None = None,
        findings: tuple[Finding, ...] | None = None,
        finish_reasons: tuple[str, ...] = ("stop",),
        **fields: object,
    ) -> Trace:
        trace = Trace(
            key_id="key-1",
            subject="ada",
            model="assistant",
            deployment="assistant/0",
            provider="llama_cpp",
            release="sha256:0a1b",
            template="assistant@3f2a",
            language="en",
            stream=True,
            duration_s=0.5,
            ttft_s=0.12,
            tpot_s=0.011,
            prompt_tokens=24,
            completion_tokens=5,
            cached_tokens=8,
            cost_usd=0.0000125,
            finish_reason=finish_reasons[0] if finish_reasons else None,
            input=msgspec.json.encode([Message(role="user", content=prompt)]).decode(),
            output=msgspec.json.encode([Choice(text=answer, finish_reason="stop")]).decode(),
        )
        for name, value in fields.items():
            setattr(trace, name, value)
        found = (email_finding(),) if findings is None else findings
        trace.findings = [_without_message(each) for each in found]
        sides = {side: [each for each in found if each.side == side] for side in SIDES}
        trace.spans = [
            Span(name="normalize", start_s=0.0, duration_s=0.001),
            Span(
                name="screen",
                start_s=0.001,
                duration_s=0.002,
                attributes=guardrail_attributes("input", sides["input"]),
            ),
            Span(
                name="generate",
                start_s=0.01,
                duration_s=0.48,
                kind="client",
                attributes=inference_attributes(trace, params or Params(), finish_reasons),
            ),
            Span(
                name="screen",
                start_s=0.12,
                duration_s=0.004,
                attributes=guardrail_attributes("output", sides["output"]),
            ),
        ]
        return trace

    return make


def email_finding() -> Finding:
    return Finding(
        kind="email", detector="email", side="input", action="mask", start=11, end=26, message=0
    )


def _without_message(finding: Finding) -> dict[str, str | int | float | bool | list[str]]:
    fields = msgspec.structs.asdict(finding)
    fields.pop("message")
    return fields
