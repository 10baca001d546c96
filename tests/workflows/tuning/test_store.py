"""Jobs in the database: whose they are, in which order, and which moves there are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.access.limits.errors import LimitExceeded
from headrace.errors import InvalidRequest, NotFound
from headrace.storage.database import Database
from headrace.workflows.tuning.event import events_of
from headrace.workflows.tuning.job import (
    ENDED,
    FIRST_SAID,
    MOST_SAID,
    Said,
    TuningJob,
    TuningStatus,
)
from headrace.workflows.tuning.store import TuningStore

pytestmark = pytest.mark.engines


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TuningStore]:
    database = Database.open(tmp_path / "state.db")
    yield TuningStore(database, clock=lambda: 9.0)
    database.close()


def put(store: TuningStore, number: int, **fields: object) -> TuningJob:
    given: dict[str, object] = {
        "id": f"ftjob-{number:036}",
        "key_id": "key",
        "model": "assistant",
        "base": "file:base.gguf",
        "training_file": "file-1",
        "seed": 1,
        "organization": "acme",
        "created_at": 1.0,
    }
    return store.add(TuningJob(**{**given, **fields}))  # type: ignore[arg-type]  # by name


def test_another_key_neither_sees_nor_ends_a_job(store: TuningStore) -> None:
    job = put(store, 1)
    for act in (store.get, store.cancel, store.pause, store.resume):
        with pytest.raises(NotFound):
            act(job.id, "stranger")
    assert store.page("stranger") == ([], False)
    assert store.get(job.id, None) == store.get(job.id, "key") == job


def test_jobs_are_listed_newest_first_and_by_their_metadata(store: TuningStore) -> None:
    jobs = [put(store, i, metadata={"n": str(i % 2)} if i else None) for i in range(5)]
    first, more = store.page("key", limit=2)
    assert (first, more) == ([jobs[4], jobs[3]], True)
    rest, more = store.page("key", after=first[-1].id)
    assert (rest, more) == (jobs[2::-1], False)
    assert store.page("key", metadata={"n": "1"})[0] == [jobs[3], jobs[1]]
    assert store.page("key", metadata={"n": "1", "m": "1"})[0] == []
    assert store.page("key", without_metadata=True)[0] == [jobs[0]]


def test_who_works_on_jobs_gets_those_that_have_not_ended_or_may_have_a_process(
    store: TuningStore,
) -> None:
    put(store, 1, status="succeeded")
    queued = put(store, 2, status="queued")
    ending = put(store, 3, status="cancelled", is_attached=True)
    assert store.open() == [queued, ending]
    store.change(ending.id, lambda job: job.moved("cancelled", 9.0, is_attached=False))
    assert store.open() == [queued]


@pytest.mark.parametrize(
    "status", ["validating_files", "queued", "running", "paused", *sorted(ENDED)]
)
def test_only_what_has_not_ended_is_paused_or_cancelled_and_only_the_paused_resumed(
    store: TuningStore, status: TuningStatus
) -> None:
    numbers = iter((1, 2))

    def after(act: Callable[[str, str], TuningJob]) -> str:
        job = put(store, next(numbers), status=status)
        try:
            return act(job.id, "key").status
        except InvalidRequest as error:
            return str(error.param)

    has_ended = status in ENDED
    assert after(store.pause) == ("fine_tuning_job_id" if has_ended else "paused")
    resumed = {"paused": "validating_files"}.get(status, status)
    assert after(store.resume) == ("fine_tuning_job_id" if has_ended else resumed)


def test_a_job_is_cancelled_once(store: TuningStore) -> None:
    job = put(store, 1)
    cancelled = store.cancel(job.id, "key")
    assert (cancelled.status, cancelled.finished_at) == ("cancelled", 9.0)
    assert store.cancel(job.id, "key") == cancelled
    with pytest.raises(InvalidRequest, match="has ended"):
        store.pause(job.id, "key")


def test_a_key_has_only_so_many_jobs_that_have_not_ended(store: TuningStore) -> None:
    first = put(store, 1)
    put(store, 2, status="cancelled", is_attached=True)
    third = TuningJob(**{**msgspec.structs.asdict(first), "id": f"ftjob-{3:036}"})
    with pytest.raises(LimitExceeded, match="at most 2 at a time"):
        store.add(third, most_open=2)
    assert store.add(msgspec.structs.replace(third, key_id="another"), most_open=1)
    store.cancel(first.id, "key")
    fourth = msgspec.structs.replace(third, id=f"ftjob-{4:036}")
    assert store.add(fourth, most_open=2) == fourth


def test_a_job_that_is_paused_and_resumed_for_ever_keeps_so_many_events_under_their_ids(
    store: TuningStore, tmp_path: Path
) -> None:
    job = put(store, 1, said=[Said(at=1.0, message="Created")])
    for _ in range(MOST_SAID // 2):
        store.pause(job.id, "key")
        store.resume(job.id, "key")
    before = {each.id: each for each in events_of(store.get(job.id, None), tmp_path)}
    for _ in range(MOST_SAID // 4):
        store.pause(job.id, "key")
        store.resume(job.id, "key")
    after = events_of(store.cancel(job.id, "key"), tmp_path)
    assert len(after) == MOST_SAID
    assert after[0].message == "Created"
    assert max(after, key=lambda each: each.id).message == "The job was cancelled"
    known = [each.id for each in after if each.id in before]
    assert len(known) > FIRST_SAID
    assert [before[each] for each in known] == [each for each in after if each.id in before]
