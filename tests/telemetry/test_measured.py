"""What deployments have done, from the traces."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.storage.database import Database
from headrace.telemetry.measured import _covered_s, measured
from headrace.telemetry.record import TraceEnd
from headrace.telemetry.recorder import TRACE_END
from headrace.telemetry.store import trace_handlers
from headrace.telemetry.trace import Trace, TraceStatus

pytestmark = pytest.mark.engines

NOW = 1_800_000_000.0
DAY = 86_400


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "state.db")
    yield opened
    opened.close()


def store(database: Database, *traces: Trace) -> None:
    ends = [msgspec.msgpack.encode(TraceEnd(trace, None, None)) for trace in traces]
    with database.write() as connection:
        trace_handlers()[TRACE_END](connection, ends)


def turn(
    started: float,
    *,
    status: TraceStatus = "ok",
    error: str | None = None,
    ttft: float | None = 0.5,
    deployment: str = "m-0",
    operation: str = "chat",
) -> Trace:
    return Trace(
        started_at=started,
        duration_s=2.0,
        status=status,
        error=error,
        model="m",
        deployment=deployment,
        provider="openai",
        operation=operation,
        completion_tokens=100 if status == "ok" else 0,
        ttft_s=ttft if status == "ok" else None,
        tpot_s=0.02 if status == "ok" else None,
    )


def test_figures_are_those_of_the_turns(database: Database) -> None:
    store(database, *(turn(NOW - 100 + i * 2, ttft=(i + 1) / 10) for i in range(20)))
    [found] = measured(database, days=7, now=NOW)
    assert (found.model, found.deployment, found.provider, found.turns) == (
        "m",
        "m-0",
        "openai",
        20,
    )
    assert (found.ttft_p50_s, found.ttft_p95_s) == (1.0, 1.9)
    assert found.tpot_p50_s == 0.02
    assert found.error_rate == 0.0
    assert found.tokens_per_s == pytest.approx(50)


def test_answers_side_by_side_share_the_time(database: Database) -> None:
    store(database, turn(NOW - 10), turn(NOW - 10), turn(NOW - 9))
    [found] = measured(database, days=7, now=NOW)
    assert found.tokens_per_s == pytest.approx(100)


def test_only_failures_of_the_deployment_count(database: Database) -> None:
    store(
        database,
        turn(NOW - 1),
        turn(NOW - 2, status="error", error="model_timeout"),
        turn(NOW - 3, status="error", error="rate_limit_exceeded"),
        turn(NOW - 4, status="error", error="invalid_request"),
        turn(NOW - 5, status="blocked", error="content_filter"),
        turn(NOW - 6, status="cancelled"),
    )
    [found] = measured(database, days=7, now=NOW)
    assert found.turns == 3
    assert found.error_rate == pytest.approx(2 / 3)


def test_deployments_are_kept_apart_and_the_busiest_comes_first(database: Database) -> None:
    store(
        database,
        turn(NOW - 1),
        turn(NOW - 2, deployment="m-1"),
        turn(NOW - 3, deployment="m-1"),
        turn(NOW - 4, deployment="", status="error", error="model_not_found"),
        turn(NOW - 5, operation="embeddings", deployment="e-0"),
    )
    found = measured(database, days=7, now=NOW)
    assert [each.deployment for each in found] == ["m-1", "m-0"]


def test_older_turns_and_those_beyond_the_most_are_left_out(database: Database) -> None:
    store(database, turn(NOW - 2 * DAY, ttft=9.0), turn(NOW - 20, ttft=3.0), turn(NOW - 10))
    assert [each.turns for each in measured(database, days=1, now=NOW)] == [2]
    assert [each.ttft_p95_s for each in measured(database, days=9, now=NOW, most=1)] == [0.5]
    assert measured(database, days=9, now=NOW + 30 * DAY) == []


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_time_is_counted_once_however_answers_overlap(spans: list[tuple[int, int]]) -> None:
    seconds = {second for start, length in spans for second in range(start, start + length)}
    covered = _covered_s((float(s), float(s + length)) for s, length in spans)
    assert covered == pytest.approx(len(seconds))
