"""Batches: every row once, in order; what fails, waits, ends early or is killed."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import InvalidRequest, NotFound
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.workflows.batch.job import Counts
from headrace.workflows.batch.log import ResultLog
from headrace.workflows.batch.runner import LEFT_AFTER_S, Reply
from tests.workflows.batch.conftest import Bench, failing, line, replies

pytestmark = pytest.mark.engines


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["custom_id"] for row in rows]


async def test_every_row_is_answered_once_and_in_order(bench: Bench) -> None:
    batch = bench.make(b"".join(map(line, range(300))))
    ended = await bench.runner(at_once=16).work(batch.id)
    assert ended.status == "completed"
    assert (ended.counts.total, ended.counts.completed, ended.counts.failed) == (300, 300, 0)
    rows = bench.output(ended.output_file_id)
    assert ids(rows) == [f"row-{i}" for i in range(300)]
    assert rows[7]["response"]["body"]["said"] == "Question 7"  # type: ignore[index]
    assert sorted(bench.asked) == sorted(f"Question {i}" for i in range(300))
    assert (ended.prompt_tokens, ended.completion_tokens) == (900, 600)
    assert ended.error_file_id is None
    assert list((bench.home / "batches").iterdir()) == []


async def test_rows_that_fail_are_in_a_file_of_their_own(bench: Bench) -> None:
    async def answer(said: str) -> Reply:
        return failing(400) if said.endswith("1") else await replies(said)

    ended = await bench.runner(answer).work(bench.make(b"".join(map(line, range(4)))).id)
    assert ended.status == "completed"
    assert ids(bench.output(ended.output_file_id)) == ["row-0", "row-2", "row-3"]
    failed = bench.output(ended.error_file_id)
    assert ids(failed) == ["row-1"]
    assert failed[0]["response"]["status_code"] == 400  # type: ignore[index]


async def test_a_row_waits_where_a_limit_was_reached(bench: Bench) -> None:
    refusals = 6

    async def answer(said: str) -> Reply:
        nonlocal refusals
        if refusals:
            refusals -= 1
            return failing(429, retry_after_s=0.01)
        return await replies(said)

    ended = await bench.runner(answer).work(bench.make(b"".join(map(line, range(5)))).id)
    assert (ended.counts.completed, ended.counts.failed) == (5, 0)
    assert len(bench.asked) == 11


async def test_a_row_that_goes_on_failing_is_given_up(bench: Bench) -> None:
    async def answer(said: str) -> Reply:
        del said
        return failing(500, retry_after_s=0.001)

    ended = await bench.runner(answer).work(bench.make(line(1)).id)
    assert (ended.status, ended.counts.failed, len(bench.asked)) == ("completed", 1, 5)
    assert ended.output_file_id is None


@pytest.mark.parametrize(
    ("data", "code", "number"),
    [
        (b"", "empty_file", None),
        (b"\n\n", "empty_file", None),
        (b"nonsense\n", "invalid_json_line", 1),
        (line(1) + b"\n" + line(2, method="GET"), "invalid_method", 3),
        (line(1, url="/v1/embeddings"), "invalid_url", 1),
        (line(1, custom_id=""), "missing_custom_id", 1),
        (line(1) + line(1), "duplicate_custom_id", 2),
        (line(1, body=7), "invalid_body", 1),
        (line(1, body={"stream": True}), "stream_not_allowed", 1),
    ],
)
async def test_a_wrong_file_is_not_begun(
    bench: Bench, data: bytes, code: str, number: int | None
) -> None:
    ended = await bench.runner().work(bench.make(data).id)
    assert ended.status == "failed"
    assert [(each.code, each.line) for each in ended.problems] == [(code, number)]
    assert bench.asked == []


def test_what_there_is_not_cannot_be_asked_for(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match="endpoint"):
        bench.make(line(1), endpoint="/v1/nothing")
    with pytest.raises(InvalidRequest, match="completion_window"):
        bench.make(line(1), completion_window="1h")
    batch = bench.make(line(1))
    with pytest.raises(NotFound):
        bench.store.get(batch.id, "another-key")
    with pytest.raises(NotFound):
        bench.store.cancel(batch.id, "another-key")


async def test_a_cancelled_batch_keeps_what_was_answered(bench: Bench) -> None:
    batch = bench.make(b"".join(map(line, range(2000))))

    async def answer(said: str) -> Reply:
        if len(bench.asked) == 20:
            bench.store.cancel(batch.id, bench.key_id)
        await asyncio.sleep(0.005)
        return await replies(said)

    ended = await bench.runner(answer).work(batch.id)
    assert ended.status == "cancelled"
    assert 20 <= ended.counts.completed < 2000
    rows = bench.output(ended.output_file_id)
    assert len(rows) == ended.counts.completed == len(bench.asked)
    with pytest.raises(InvalidRequest, match="cannot be cancelled"):
        bench.store.change(batch.id, lambda each: each.moved("completed", 1.0))
        bench.store.cancel(batch.id, bench.key_id)


async def test_what_is_not_answered_in_time_is_not_answered_any_more(bench: Bench) -> None:
    async def answer(said: str) -> Reply:
        bench.now = 1e9
        return await replies(said)

    batch = bench.make(b"".join(map(line, range(100))))
    ended = await bench.runner(answer).work(batch.id)
    assert ended.status == "expired"
    assert 1 <= ended.counts.completed < 100


async def test_nothing_is_asked_for_a_key_that_was_revoked(bench: Bench) -> None:
    batch = bench.make(line(1))
    bench.keys.revoke(bench.key_id)
    ended = await bench.runner().work(batch.id)
    assert (ended.status, ended.problems[0].code) == ("failed", "key_revoked")
    assert bench.asked == []


async def test_a_runner_that_is_ended_goes_on_where_it_was(bench: Bench) -> None:
    batch = bench.make(b"".join(map(line, range(60))))

    async def slow(said: str) -> Reply:
        if len(bench.asked) > 40:
            await asyncio.Event().wait()
        return await replies(said)

    task = asyncio.create_task(bench.runner(slow).work(batch.id))
    while len(bench.asked) <= 40:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    first = len(bench.asked)
    ended = await bench.runner().work(batch.id)
    assert ids(bench.output(ended.output_file_id)) == [f"row-{i}" for i in range(60)]
    # Only what was on its way is asked again.
    assert len(bench.asked) - first <= 60 - 36
    assert len(set(bench.asked)) == 60


async def test_a_batch_whose_file_was_deleted_ends_and_holds_up_no_other(bench: Bench) -> None:
    new, begun, other = (bench.make(line(1) + line(2)) for _ in range(3))
    # Killed after the first row: the result lies in the log alone.
    bench.store.change(begun.id, lambda each: each.moved("in_progress", 1.0, counts=Counts(2)))
    path = bench.home / "batches" / f"{begun.id}.results"
    log = ResultLog(path, bench.files.vault, f"batch:{begun.id}")
    log.append(0, b'{"custom_id":"row-1"}', ok=True)
    log.sync()
    log.close()
    for batch in (new, begun):
        bench.files.delete(bench.files.get(batch.input_file_id, None))
    running = asyncio.create_task(bench.runner().run())
    while bench.store.unended():
        assert not running.done(), running.exception()
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bench.store.get(other.id, None).counts.completed == 2
    for batch in (new, begun):
        ended = bench.store.get(batch.id, None)
        (problem,) = ended.problems
        assert (ended.status, problem.code, problem.param) == (
            "failed", "invalid_file", "input_file_id",
        )  # fmt: skip
    assert ids(bench.output(ended.output_file_id)) == ["row-1"]


async def test_a_batch_that_another_gateway_may_still_answer_is_left_to_it(bench: Bench) -> None:
    batch = bench.make(line(1))
    bench.store.change(batch.id, lambda each: each.moved("in_progress", 1.0, counts=Counts(1)))
    bench.files.delete(bench.files.get(batch.input_file_id, None))
    runner = bench.runner()
    assert len(runner._unended()) == (0 if bench.store.is_shared else 1)
    bench.now = batch.expires_at + LEFT_AFTER_S
    assert [each.id for each in runner._unended()] == [batch.id]
    assert (await runner.work(batch.id)).status == "failed"


@pytest.mark.sqlite
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=40), st.booleans()), max_size=12),
    cut=st.integers(0, 60),
)
def test_a_log_that_was_cut_off_has_all_whole_results(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bytes, bool]], cut: int
) -> None:
    home: Path = tmp_path_factory.mktemp("log")
    database = Database.open(home / "state.db")
    vault = Vault.open(database, home)
    path = home / "a.results"
    log = ResultLog(path, vault, "batch:a")
    kept: dict[int, tuple[bytes, bool]] = {}
    ends = [0]
    for row, data, ok in rows:
        log.append(row, data, ok=ok)
        if row not in kept:
            kept[row] = (data, ok)
            log.sync()
            ends.append(path.stat().st_size)
    log.sync()
    log.close()
    size = max(0, path.stat().st_size - cut)
    with path.open("r+b") as file:
        file.truncate(size)
    whole = sum(end <= size for end in ends) - 1
    expected = dict(list(kept.items())[:whole])
    again = ResultLog(path, vault, "batch:a")
    assert list(again.lines()) == [expected[row] for row in sorted(expected)]
    again.append(77, b"more", ok=True)
    assert (len(again), 77 in again) == (whole + 1, True)
    again.remove()
    assert not path.exists()
    database.close()
