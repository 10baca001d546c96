"""Where fine-tuning jobs are kept: rows of the database."""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from sqlalchemy import func, insert, select, update

from headrace.access.limits.errors import LimitExceeded
from headrace.errors import InvalidRequest, NotFound
from headrace.storage.database import Database
from headrace.storage.tables import files, tuning_jobs
from headrace.workflows.tuning.job import TuningJob

__all__ = ["TuningStore"]


class TuningStore:
    """Reads and writes the database: not for an event loop."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self.clock = clock
        self.is_shared = database.is_postgres
        """Whether other homes' jobs may be among them."""

    def add(self, job: TuningJob, *, most_open: int | None = None) -> TuningJob:
        """A new job, to be worked on by whoever runs it.

        Args:
            most_open: jobs that its key may have at a time, with this one.

        Raises:
            LimitExceeded: the key has so many that somebody has to work on.
        """
        counted = select(func.count()).where(
            tuning_jobs.c.is_open, tuning_jobs.c.key_id == job.key_id
        )
        with self._database.write() as connection:
            if most_open is not None:
                is_open = connection.execute(counted).scalar_one()
                if is_open >= most_open:
                    raise LimitExceeded(
                        f"this key has {is_open} fine-tuning jobs that have not ended; at most "
                        f"{most_open} at a time",
                        hint="wait for one to end, or cancel one",
                    )
            connection.execute(insert(tuning_jobs), _row(job))
        return job

    def get(self, job_id: str, key_id: str | None) -> TuningJob:
        """
        Args:
            key_id: who asks; None may see every job.

        Raises:
            NotFound: there is no such job, or it is another key's.
        """
        query = select(tuning_jobs.c.state).where(tuning_jobs.c.id == job_id)
        with self._database.read() as connection:
            state = connection.execute(query).scalar()
        found = None if state is None else msgspec.json.decode(state, type=TuningJob)
        if found is None or (key_id is not None and found.key_id != key_id):
            raise NotFound(f"there is no fine-tuning job {job_id!r}", param="fine_tuning_job_id")
        return found

    def page(
        self,
        key_id: str | None,
        *,
        after: str | None = None,
        limit: int = 20,
        metadata: Mapping[str, str] | None = None,
        without_metadata: bool = False,
    ) -> tuple[list[TuningJob], bool]:
        """Jobs, newest first, and whether there are more behind them.

        Args:
            metadata: only those that have all of these.
            without_metadata: only those that have none.
        """
        query = select(tuning_jobs.c.state).order_by(tuning_jobs.c.id.desc())
        if key_id is not None:
            query = query.where(tuning_jobs.c.key_id == key_id)
        if after is not None:
            query = query.where(tuning_jobs.c.id < after)
        found: list[TuningJob] = []
        with self._database.read() as connection:
            for state in connection.execute(query).scalars():
                job = msgspec.json.decode(state, type=TuningJob)
                own = job.metadata or {}
                if without_metadata and own:
                    continue
                if metadata and any(own.get(k) != v for k, v in metadata.items()):
                    continue
                found.append(job)
                if len(found) > limit:
                    break
        return found[:limit], len(found) > limit

    def open(self) -> list[TuningJob]:
        """All that somebody has to work on, oldest first."""
        query = select(tuning_jobs.c.state).where(tuning_jobs.c.is_open).order_by(tuning_jobs.c.id)
        with self._database.read() as connection:
            states = connection.execute(query).scalars()
            return [msgspec.json.decode(state, type=TuningJob) for state in states]

    def without_file(self, jobs: Sequence[TuningJob]) -> list[TuningJob]:
        """Those that have not begun to train and whose training file was deleted."""
        waiting = [
            job
            for job in jobs
            if job.training is None and job.status in ("validating_files", "queued")
        ]
        if not waiting:
            return []
        query = select(files.c.id).where(files.c.id.in_({job.training_file for job in waiting}))
        with self._database.read() as connection:
            kept = set(connection.execute(query).scalars())
        return [job for job in waiting if job.training_file not in kept]

    def change(self, job_id: str, change: Callable[[TuningJob], TuningJob]) -> TuningJob:
        """Change a job as it is now, whoever else may want to: gives what it is then."""
        with self._database.write() as connection:
            query = select(tuning_jobs.c.state).where(tuning_jobs.c.id == job_id)
            now = msgspec.json.decode(connection.execute(query).scalar_one(), type=TuningJob)
            changed = change(now)
            if changed != now:
                connection.execute(
                    update(tuning_jobs).where(tuning_jobs.c.id == job_id), _row(changed)
                )
        return changed

    def cancel(self, job_id: str, key_id: str | None) -> TuningJob:
        """End a job; its training stops at the end of the step it is in.

        Raises:
            NotFound: as `get`.
            InvalidRequest: it has ended already.
        """

        def cancelled(job: TuningJob) -> TuningJob:
            if job.status == "cancelled":
                return job
            _check_open(job, "cancelled")
            return job.moved("cancelled", self.clock(), "The job was cancelled")

        self.get(job_id, key_id)
        return self.change(job_id, cancelled)

    def pause(self, job_id: str, key_id: str | None) -> TuningJob:
        """Stop training at the end of this step, with a checkpoint; raises as `cancel`."""

        def paused(job: TuningJob) -> TuningJob:
            if job.status == "paused":
                return job
            _check_open(job, "paused")
            return job.moved("paused", self.clock(), "The job was paused")

        self.get(job_id, key_id)
        return self.change(job_id, paused)

    def resume(self, job_id: str, key_id: str | None) -> TuningJob:
        """Queue a paused job again: it goes on from its last checkpoint.

        Raises:
            NotFound: as `get`.
            InvalidRequest: it is not paused.
        """

        def resumed(job: TuningJob) -> TuningJob:
            if job.status in ("validating_files", "queued", "running"):
                return job
            if job.status != "paused":
                raise InvalidRequest(
                    f"the job is {job.status}: only a paused one can be resumed",
                    param="fine_tuning_job_id",
                )
            return job.moved("validating_files", self.clock(), "The job was resumed")

        self.get(job_id, key_id)
        return self.change(job_id, resumed)


def _check_open(job: TuningJob, wish: str) -> None:
    if job.has_ended:
        raise InvalidRequest(
            f"the job has ended ({job.status}): it cannot be {wish} any more",
            param="fine_tuning_job_id",
        )


def _row(job: TuningJob) -> dict[str, object]:
    return {
        "id": job.id,
        "key_id": job.key_id,
        "status": job.status,
        "created_at": job.created_at,
        "is_open": not job.has_ended or job.is_attached,
        "state": msgspec.json.encode(job),
    }
