"""What the commands share: the trainer of the folder's service, and how a job looks."""

import msgspec

from headrace.cli.place import Place
from headrace.console.figure import as_moment
from headrace.errors import NotFound
from headrace.training.errors import BadRows, TrainingFailed
from headrace.training.job import Failure, Job, JobState
from headrace.training.trainer import Trainer

__all__ = ["described", "found_job", "raise_failure", "row_of", "trainer_of"]


def trainer_of(place: Place) -> Trainer:
    return Trainer(place.home, root=place.root)


def found_job(trainer: Trainer, wanted: str) -> Job:
    """The job of an id, or of any beginning or end of it that fits one; empty: the newest.

    Raises:
        NotFound: none fits, or several do.
    """
    jobs = trainer.jobs()
    fitting = [each for each in jobs if each.id.startswith(wanted) or each.id.endswith(wanted)]
    if not fitting:
        raise NotFound(f"there is no fine-tune {wanted!r}", hint="`headrace train list` shows all")
    if wanted and len(fitting) > 1:
        raise NotFound(f"{wanted!r} fits several fine-tunes", hint="write more of the id")
    return fitting[0]


def described(job: Job, state: JobState) -> dict[str, object]:
    """For machines."""
    return {
        "id": job.id,
        "created_at": job.created_at,
        "spec": msgspec.to_builtins(job.spec),
        **msgspec.to_builtins(state),
    }


def row_of(job: Job, state: JobState) -> list[str]:
    result = state.result
    loss = state.valid_loss if state.valid_loss is not None else state.train_loss
    total = "" if state.total_steps is None else f"/{state.total_steps}"
    return [
        job.id,
        state.status,
        f"{state.step}{total}",
        "" if loss is None else f"{loss:.4f}",
        as_moment(job.created_at),
        job.spec.training,
        "" if result is None else result.digest,
    ]


def raise_failure(failure: Failure) -> None:
    """The failure of a job as this command's own.

    Raises:
        BadRows, TrainingFailed: always; with the code that the job ended with.
    """
    if failure.problems:
        raise BadRows(failure.message, hint=failure.hint, problems=failure.problems)
    error = TrainingFailed(failure.message, hint=failure.hint)
    error.service_code = failure.code  # type: ignore[attr-defined]  # cli.failure looks for it
    raise error
