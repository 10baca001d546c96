"""Private training of a dataset is paid from the privacy budget of its people, before the first step.

What was paid stands in the ledger under the job and the secret of its noise, so that a start that
goes on pays nothing again. A job that fails or is cancelled gets back what its steps did not tell;
one that is paused or killed may go on, and stays paid in full.
"""

import contextlib
from pathlib import Path

from msgspec.structs import replace

from headrace.training.data import Data
from headrace.training.folder import CANCEL
from headrace.training.job import Job
from headrace.training.private import Payment
from headrace.training.process.checkpoint import Progress
from headrace.training.process.loop import Interrupted, Loop
from headrace.training.process.noise import PrivateGradients

__all__ = ["run_paid"]


def run_paid(
    loop: Loop, job: Job, folder: Path, data: Data, private: PrivateGradients | None
) -> Progress:
    """Train.

    Args:
        data: its guarantee is made to say what is told of its people with this training.

    Raises:
        BudgetSpent: more would be told of them than may be; no step was taken.
        Interrupted, TrainingFailed: as `Loop.run`.
    """
    payment = None if private is None else Payment.of(job, data, private.key)
    if private is None or payment is None:
        return loop.run()
    payment.charge(private.reached(private.plan.total_steps))
    if data.guarantee is not None:
        data.guarantee = replace(data.guarantee, spent=payment.ledger.spent())
    try:
        return loop.run()
    except BaseException as error:
        steps = loop.steps
        is_paused = isinstance(error, Interrupted) and not (folder / CANCEL).exists()
        if steps is not None and not is_paused:
            with contextlib.suppress(OSError):  # a full disk: it stays paid in full
                payment.settle(private.reached(steps) if steps else None)
        raise
