"""Who brings fine-tuning jobs to their end: in order, beside live traffic, whatever is killed.

The database says what is wanted, the trainer's folder what has happened, and one process of a home
brings the two together, once a second. The trainer is a process of its own: it outlives this one,
which finds it again, and when it dies itself it goes on from its last checkpoint.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from headrace.datasets.errors import DatasetUnreadable
from headrace.datasets.parse import RowInvalid, parse_row
from headrace.datasets.upload import FileStore
from headrace.errors import HeadraceError, NotFound
from headrace.models.adapter import AdapterStore
from headrace.models.tuned import Tuned, serve_tuned, withdraw_tuned
from headrace.training.errors import TrainingBusy, TrainingInvalid
from headrace.training.job import Failure, FineTune, Hyperparameters, Job, JobState, Result
from headrace.training.trainer import FOLDER, Trainer
from headrace.workflows.tuning.event import csv_of, losses_of
from headrace.workflows.tuning.job import Said, TuningError, TuningJob, TuningStatus
from headrace.workflows.tuning.settings import TuningSettings
from headrace.workflows.tuning.store import TuningStore

__all__ = ["TuningRunner", "training_of"]

LOOK_EVERY_S = 0.5
TIDY_EVERY_S = 60.0
DAY_S = 86_400.0
MOST_RESTARTS = 3
"""Times in a row that a trainer may die without a step more than the time before."""
SERVED_WITHIN_S = 60.0
"""After which a job is done although its model does not answer."""
MOST_SHOWN = 5
"""Bad rows that an error names."""
_KINDS = {"supervised": ("chat", "completion"), "dpo": ("preference",)}

_log = logging.getLogger(__name__)


class TuningRunner:
    """Works on every job of a home. One process of a home runs it."""

    def __init__(
        self,
        store: TuningStore,
        files: FileStore,
        trainer: Trainer,
        home: Path,
        settings: Callable[[], TuningSettings],
        *,
        is_served: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """
        Args:
            settings: of the service as it is now.
            is_served: whether a model of that name answers already.
        """
        self._store = store
        self._files = files
        self._trainer = trainer
        self._home = home
        self._settings = settings
        self._is_served = is_served
        self._awaited: dict[str, float] = {}
        """Since when a job's model is to be served."""
        self._places = 0
        """Jobs that this look may still start."""

    async def run(self) -> None:
        """Look for jobs and work on them, until cancelled; trainers go on then."""
        tidied_at = -TIDY_EVERY_S
        while True:
            await asyncio.to_thread(self.look)
            if time.monotonic() - tidied_at >= TIDY_EVERY_S:
                await asyncio.to_thread(self.tidy)
                tidied_at = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Bring every job of this home one step further, the oldest first."""
        jobs = self._store.open()
        if self._store.is_shared:
            for job in self._store.without_file(jobs):
                self._validate(job)  # no gateway has its file, so that any may say so
            # Another gateway's on the same server has its file, and works on it.
            jobs = [job for job in jobs if self._is_here(job)]
        self._places = self._settings().at_once - sum(job.is_attached for job in jobs)
        for job in jobs:
            try:
                self._advance(job)
            except (HeadraceError, SQLAlchemyError, OSError, msgspec.MsgspecError) as error:
                # One that breaks must not keep those behind it from being run.
                _log.exception("%s: this look at it failed", job.id)
                self._after_trouble(job, error)

    def tidy(self) -> None:
        """Delete what ended fine-tunes of this home need no more, whoever made or ended them."""
        before = self._store.clock() - self._settings().retention_days * DAY_S
        try:
            self._trainer.tidy(before)
            for made in self._trainer.broken_off():
                self._tidy(made, before)
        except (HeadraceError, OSError, msgspec.MsgspecError):
            _log.exception("deleting what fine-tunes left broke off; another try in a minute")

    def _tidy(self, made: Job, before: float) -> None:
        """See to one that does not know that its job has ended: none of its own processes ended it."""
        try:
            job = self._store.get(made.spec.metadata.get("job", ""), None)
        except NotFound:
            return  # made by the command line
        if job.training != made.id or job.is_attached:
            return
        if job.status == "cancelled":
            self._trainer.cancel(made.id)
        elif job.status == "failed":
            is_old = (job.finished_at or before) < before
            self._trainer.clear(made.id) if is_old else self._trainer.drop(made.id)

    def _is_here(self, job: TuningJob) -> bool:
        if job.training is not None:
            return (self._home / FOLDER / job.training).exists()
        return self._files.is_here(job.training_file)

    def _after_trouble(self, job: TuningJob, error: Exception) -> None:
        """Fail a job for which nobody trains; of another it is not known, so look again."""
        if isinstance(error, SQLAlchemyError):
            return
        is_gone = isinstance(error, NotFound)  # its folder or its adapter
        if is_gone or not self._store.get(job.id, None).is_attached:
            self._fail(job, TuningError(code="internal_error", message=str(error)))

    def _advance(self, job: TuningJob) -> None:
        if job.is_attached and job.status in ("paused", "cancelled", "failed"):
            self._let_go(job)
        elif job.status == "validating_files":
            self._validate(job)
        elif job.status == "queued":
            self._start(job)
        elif job.status == "running":
            self._watch(job)

    # Before

    def _validate(self, job: TuningJob) -> None:
        error = self._wrong_with(job, job.training_file, "training_file")
        if error is None and job.validation_file is not None:
            error = self._wrong_with(job, job.validation_file, "validation_file")
        if error is not None:
            self._fail(job, error)
            return
        self._move(job, "queued", "Files validated, moving job to queued state")

    def _wrong_with(self, job: TuningJob, file_id: str, param: str) -> TuningError | None:
        """What a file's rows have against it. All are read, and none is kept."""
        problems: list[str] = []
        wrong = rows = 0
        try:
            file = self._files.get(file_id, job.key_id)
            for number, line in enumerate(self._files.lines(file), 1):
                if not line.strip():
                    continue
                rows += 1
                why = _why_not(line, job)
                wrong += why is not None
                if why is not None and len(problems) < MOST_SHOWN:
                    problems.append(f"line {number}: {why}")
        except (NotFound, DatasetUnreadable) as error:
            return TuningError(code=f"invalid_{param}", message=error.message, param=param)
        if wrong:
            more = f"; and {wrong - len(problems):,} more" if wrong > len(problems) else ""
            return TuningError(
                code=f"invalid_{param}",
                message=f"{wrong:,} of {rows:,} rows cannot be used: {'; '.join(problems)}{more}",
                param=param,
            )
        if not rows:
            return TuningError(code=f"invalid_{param}", message="the file is empty", param=param)
        return None

    def _start(self, job: TuningJob) -> None:
        settings = self._settings()
        # One that was paused and resumed at once has its place still.
        if not settings.enabled or (self._places <= 0 and not job.is_attached):
            return
        if job.training is None:
            made = self._trainer.create(training_of(job))
            job = self._store.change(
                job.id, lambda now: msgspec.structs.replace(now, training=made.id)
            )
        assert job.training is not None
        # Attached before it runs: should this process die in between, its successor looks.
        now = self._move(job, "running", "Fine-tuning job started", is_attached=True)
        if now.status != "running":
            return
        self._places -= not job.is_attached
        # Somebody's kill has spared it, or it has ended: the next look finds it again.
        with suppress(TrainingBusy, TrainingInvalid):
            self._give_way(self._trainer.start(job.training), settings)

    def _give_way(self, pid: int, settings: TuningSettings) -> None:
        """Live traffic goes first. Before it has threads: they take after it."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, settings.niceness)

    # While it trains

    def _watch(self, job: TuningJob) -> None:
        assert job.training is not None
        state = self._trainer.state(job.training)
        if state.status == "succeeded" and state.result is not None:
            self._succeed(job, state.result)
        elif state.status == "failed" and state.error is not None:
            self._fail(job, _error_of(state.error))
        elif state.status == "cancelled":
            self._move(job, "cancelled", "The training was cancelled", is_attached=False)
        elif state.status in ("stopped", "queued"):
            self._restart(job, state)

    def _restart(self, job: TuningJob, state: JobState) -> None:
        """Go on from the last checkpoint: the trainer was killed."""
        assert job.training is not None
        restarts = job.restarts + 1 if state.step <= job.reached else 1
        if restarts > MOST_RESTARTS:
            self._fail(
                job,
                TuningError(
                    code="training_failed",
                    message=f"the trainer was killed {restarts} times at step {state.step}; the "
                    "system's log may say who did (out of memory?)",
                ),
            )
            return

        try:
            pid = self._trainer.start(job.training)
        except (TrainingBusy, TrainingInvalid):
            return  # as where it is started first
        self._give_way(pid, self._settings())

        def going_on(now: TuningJob) -> TuningJob:
            if now.status != "running":
                return now
            words = f"The training broke off; it goes on from step {_kept_step(state)}"
            said = Said(at=self._store.clock(), message=words, level="warn")
            return msgspec.structs.replace(now.told(said), restarts=restarts, reached=state.step)

        self._store.change(job.id, going_on)

    def _let_go(self, job: TuningJob) -> None:
        """End the process of a job that is not to be trained any more, or not now."""
        assert job.training is not None
        state = self._trainer.state(job.training)
        if state.status == "running":
            if job.status == "paused":
                self._trainer.stop(job.training)
            else:
                self._trainer.cancel(job.training)
            return
        # It was stopped after it had been served, and before it had succeeded.
        withdraw_tuned(self._home, job.name)
        self._awaited.pop(job.id, None)
        if job.status == "cancelled" and state.status not in ("succeeded", "cancelled"):
            self._trainer.cancel(job.training)
        self._store.change(job.id, lambda now: msgspec.structs.replace(now, is_attached=False))

    # After

    def _succeed(self, job: TuningJob, result: Result) -> None:
        """Write its result file, then serve what was made; each may be done again after a kill."""
        adapter = AdapterStore(self._home).get(result.digest)
        files = job.result_files or [self._result_file(job)]
        kept = self._store.change(
            job.id, lambda now: msgspec.structs.replace(now, result_files=files)
        )
        if kept.status != "running":
            return
        made = f"New fine-tuned model created: {job.name}"
        if adapter.gguf is None:
            made = (
                f"The adapter {result.digest} is kept; its architecture has no GGUF form to serve"
            )
        else:
            serve_tuned(
                self._home,
                Tuned(
                    name=job.name,
                    base=job.model,
                    digest=result.digest,
                    created_at=self._store.clock(),
                    key_id=job.key_id,
                    team=job.team,
                ),
            )
            # Who sees that it has succeeded may ask it at once.
            since = self._awaited.setdefault(job.id, self._store.clock())
            if not self._is_served(job.name):
                if self._store.clock() - since < SERVED_WITHIN_S:
                    return
                made += "; it does not answer yet: the service's log says why"
        self._awaited.pop(job.id, None)
        self._move(
            job,
            "succeeded",
            made,
            "The job has successfully completed",
            fine_tuned_model=job.name,
            trained_tokens=result.trained_tokens,
            is_attached=False,
        )

    def _result_file(self, job: TuningJob) -> str:
        name = f"step_metrics_{job.id}.csv"
        known, _ = self._files.page(job.key_id, purpose="fine-tune-results")
        for each in known:
            if each.name == name:
                return each.id
        writer = self._files.new(name, "fine-tune-results", job.key_id)
        try:
            writer.write(csv_of(losses_of(job, self._home)))
            return writer.close().id
        except BaseException:
            writer.abandon()
            raise

    def _fail(self, job: TuningJob, error: TuningError) -> None:
        if job.training is not None:
            withdraw_tuned(self._home, job.name)  # it may have been served before its adapter went
            self._awaited.pop(job.id, None)
            with suppress(NotFound):  # its folder is gone
                self._trainer.drop(job.training)  # a job that has failed cannot be resumed
        self._move(job, "failed", error.message, error=error, is_attached=False)

    def _move(
        self, job: TuningJob, status: TuningStatus, *said: str, **changes: object
    ) -> TuningJob:
        """Change a job, unless its owner has meanwhile."""

        def moved(now: TuningJob) -> TuningJob:
            if now.status != job.status:
                # Whatever the owner wants, somebody must see to the process, and to what is served.
                attached = now.is_attached or bool(changes.get("is_attached"))
                return msgspec.structs.replace(now, is_attached=attached)
            return now.moved(status, self._store.clock(), *said, **changes)

        changed = self._store.change(job.id, moved)
        if changed.status == status:
            _log.info("%s is %s", job.id, status)
        return changed


def training_of(job: TuningJob) -> FineTune:
    """What the trainer is to do for a job."""
    return FineTune(
        base=job.base,
        training=f"upload:{job.training_file}",
        validation=None if job.validation_file is None else f"upload:{job.validation_file}",
        method=job.method,
        parameters=msgspec.convert(job.parameters, Hyperparameters),
        seed=job.seed,
        suffix=job.suffix or "",
        metadata={"job": job.id, "key_id": job.key_id},
    )


def _why_not(line: bytes, job: TuningJob) -> str | None:
    """Why a row cannot be used."""
    try:
        example = parse_row(line)
    except RowInvalid as invalid:
        return f"{invalid.what} ({invalid.fix})" if invalid.fix else invalid.what
    if example.kind in _KINDS[job.method]:
        return None
    wanted = "pairs of a preferred and another answer" if job.method == "dpo" else "answers"
    return f"the method {job.method!r} learns from {wanted}"


def _error_of(failure: Failure) -> TuningError:
    hint = f" ({failure.hint})" if failure.hint else ""
    shown = "; ".join(failure.problems[:MOST_SHOWN])
    param = failure.param or ("training_file" if failure.problems else None)
    return TuningError(
        code=failure.code,
        message=f"{failure.message}{hint}{': ' if shown else ''}{shown}",
        param=param,
    )


def _kept_step(state: JobState) -> int:
    return state.checkpoints[-1].step if state.checkpoints else 0
