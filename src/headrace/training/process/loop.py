"""The training loop, top to bottom: batches, loss, update, evaluation, checkpoint, stop."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from headrace.training.energy import EnergyMeter
from headrace.training.errors import TrainingFailed
from headrace.training.folder import CHECKPOINTS, EventSink
from headrace.training.job import FineTune
from headrace.training.plan import Plan, learning_rate_at
from headrace.training.process.batch import rows_of
from headrace.training.process.checkpoint import Progress, load_weights, restore, save
from headrace.training.process.loss import Sum
from headrace.training.process.noise import PrivateGradients
from headrace.training.process.peers import Alone, Peers
from headrace.training.process.task import Task

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Interrupted", "Loop", "measure"]

MOST_EVENTS = 2000
"""Of a run with its numbers: half for steps, a quarter each for evaluations and checkpoints. Each
kind is told one by one up to its share and evenly thinned out beyond, so that none crowds out
another."""
PACE_STEPS = 10
"""Steps that the tokens per second are the mean of."""


class Interrupted(Exception):
    """It was asked to end; what was done is in a checkpoint."""


class Loop:
    """One training, from wherever it was to its end."""

    def __init__(
        self,
        model: "nn.Module",
        task: Task,
        spec: FineTune,
        plan: Plan,
        folder: Path,
        log: EventSink,
        asked_to_end: Callable[[], bool],
        private: PrivateGradients | None = None,
        peers: Peers | None = None,
        kept: Callable[[Path, Progress], None] = lambda path, progress: None,
    ) -> None:
        """
        Args:
            peers: who else takes part; their `Loop`s are made alike.
            kept: told of each checkpoint, by the first of the peers.
        """
        self._model, self._task, self._spec, self._plan = model, task, spec, plan
        self._folder, self._log, self._asked_to_end = folder, log, asked_to_end
        self._private = private
        self._peers = peers or Alone()
        self._kept = kept
        self._is_full = spec.tuning == "full"
        self._trained = [each for each in model.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained,
            lr=plan.learning_rate,
            weight_decay=spec.parameters.weight_decay,
            fused=True,
        )
        self._progress = Progress()
        self._is_restored = False
        self._paces: list[tuple[int, float]] = []
        self._told: dict[str, int] = {}
        self._began = 0.0
        self._wall_before = 0.0

    def run(self) -> Progress:
        """Train; gives how it ended. The model has the weights that are wanted then.

        Raises:
            Interrupted: it was asked to end; there is a checkpoint of the last step.
            TrainingFailed: the loss is no number any more.
        """
        restored = restore(self._folder, self._model, self._optimizer, is_full=self._is_full)
        self._progress = restored or Progress()
        self._is_restored = True
        self._wall_before, self._began = self._progress.wall_s, time.monotonic()
        done, total = self._progress.step, self._plan.total_steps
        words = f"training, from step {done} of {total}" if done else f"training, {total} steps"
        self._log.add(
            "phase",
            words,
            {"phase": "training", "from_step": done, "step": done, "total_steps": total},
        )
        with EnergyMeter() as meter:
            energy_before = self._progress.energy_wh
            while self._progress.step < total and not self._is_patience_over():
                self._step()
                used = meter.used_wh()
                if used is not None and self._peers.size == 1:
                    self._progress.energy_wh = (energy_before or 0.0) + used
                self._after_step()
        if self._spec.parameters.early_stopping_patience is not None:
            self._take_best()
        return self._progress

    @property
    def steps(self) -> int | None:
        """Taken in all, by earlier starts too; None before `run` knows."""
        return self._progress.step if self._is_restored else None

    def _step(self) -> None:
        progress, plan, parameters = self._progress, self._plan, self._spec.parameters
        started = time.monotonic()
        step = progress.step + 1
        # Dropout too is a function of seed and step.
        torch.manual_seed(self._spec.seed * 1_000_003 + step + self._peers.rank * 2**40)
        self._model.train()
        loss, accuracy, tokens = self._gradients(step)
        norm = float(torch.nn.utils.clip_grad_norm_(self._trained, parameters.max_grad_norm))
        if not (math.isfinite(loss or 0.0) and math.isfinite(norm)):
            raise _not_a_number(step, plan)
        rate = learning_rate_at(plan, step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        progress.step, progress.tokens = step, progress.tokens + tokens
        progress.train_loss, progress.train_accuracy = loss, accuracy
        self._paces = [*self._paces[-PACE_STEPS + 1 :], (tokens, time.monotonic() - started)]
        self._report(rate)

    def _gradients(self, step: int) -> tuple[float | None, float | None, int]:
        """Leave a step's gradient in the parameters; gives loss and accuracy, which nobody may know
        where training is private, and the tokens that were read."""
        if self._private is not None:
            return None, None, self._private.take(self._model, step, self._task.weight, self._loss)
        plan = self._plan
        rows: Sequence[int] = rows_of(plan, self._spec.seed, step)
        weight = self._task.weight(rows)
        rows = self._peers.share(rows)
        loss, right, counted, tokens = 0.0, 0, 0, 0
        for start in range(0, len(rows), plan.micro_batch_size):
            part = self._loss(rows[start : start + plan.micro_batch_size])
            (part.loss / weight).backward()
            loss += float(part.loss.detach()) / weight
            right, counted, tokens = right + part.right, counted + part.count, tokens + part.tokens
        self._peers.add_gradients(self._trained)
        loss, *sums = self._peers.add((loss, right, counted, tokens))
        right, counted, tokens = map(int, sums)
        return loss, right / counted, tokens

    def _loss(self, rows: Sequence[int]) -> Sum:
        with _mixed(self._model):
            return self._task.loss(self._model, rows)

    def _report(self, rate: float) -> None:
        progress, total = self._progress, self._plan.total_steps
        if not self._is_told("step", MOST_EVENTS // 2):
            return
        seconds = sum(each for _, each in self._paces)
        loss = ""
        if progress.train_loss is not None:
            loss = f": training loss={progress.train_loss:.4f}"
        self._log.add(
            "metrics",
            f"step {progress.step}/{total}{loss}",
            {
                "step": progress.step,
                "total_steps": total,
                "epoch": progress.step / self._plan.steps_per_epoch,
                "train_loss": progress.train_loss,
                "train_mean_token_accuracy": progress.train_accuracy,
                "learning_rate": rate,
                "tokens": progress.tokens,
                "tokens_per_s": sum(count for count, _ in self._paces) / max(seconds, 1e-9),
                "seconds_per_step": seconds / len(self._paces),
            },
        )

    def _is_told(self, kind: str, most: int) -> bool:
        """Whether this step's event of a kind is written: the first of each of `most` stretches."""
        step, total = self._progress.step, self._plan.total_steps
        stretch = step // math.ceil(total / most)
        if self._told.get(kind) == stretch and step != total:
            return False
        self._told[kind] = stretch
        return True

    def _after_step(self) -> None:
        """Evaluate, keep a checkpoint, and end, each when its time has come."""
        progress, plan = self._progress, self._plan
        is_last = progress.step == plan.total_steps
        is_better = False
        if plan.evaluate_every is not None and (
            progress.step % plan.evaluate_every == 0 or is_last
        ):
            is_better = self._evaluate()
        is_stopping = self._peers.add((self._asked_to_end(),))[0] > 0
        if progress.step % plan.checkpoint_every == 0 or is_last or is_better or is_stopping:
            self._keep()
        if is_stopping and not is_last:
            raise Interrupted

    def _evaluate(self) -> bool:
        """Whether it was the best so far."""
        progress = self._progress
        self._model.eval()
        loss, right, counted = 0.0, 0, 0
        with torch.no_grad(), _mixed(self._model):
            rows = self._peers.share(range(self._task.held_out))
            for start in range(0, len(rows), self._plan.micro_batch_size):
                some = rows[start : start + self._plan.micro_batch_size]
                part = self._task.loss(self._model, some, held_out=True)
                loss, right = loss + float(part.loss), right + part.right
                counted += part.count
        loss, *sums = self._peers.add((loss, right, counted))
        right, counted = map(int, sums)
        progress.valid_loss, progress.valid_accuracy = loss / counted, right / counted
        is_better = progress.best_loss is None or progress.valid_loss < progress.best_loss
        if is_better:
            progress.best_loss, progress.best_step = progress.valid_loss, progress.step
        progress.since_best = 0 if is_better else progress.since_best + 1
        if not self._is_told("evaluation", MOST_EVENTS // 4):
            return is_better
        self._log.add(
            "metrics",
            f"step {progress.step}/{self._plan.total_steps}: "
            f"validation loss={progress.valid_loss:.4f}",
            {
                "step": progress.step,
                "total_steps": self._plan.total_steps,
                "valid_loss": progress.valid_loss,
                "valid_mean_token_accuracy": progress.valid_accuracy,
            },
        )
        return is_better

    def _keep(self) -> None:
        progress = self._progress
        progress.wall_s = self._wall_before + time.monotonic() - self._began
        if self._peers.rank != 0:
            return
        path = save(
            self._folder,
            self._model,
            self._optimizer,
            progress,
            is_full=self._is_full,
            keep=self._spec.parameters.keep_checkpoints,
        )
        self._kept(path, progress)
        if self._is_told("checkpoint", MOST_EVENTS // 4):
            data = {"step": progress.step, "train_loss": progress.train_loss}
            self._log.add("checkpoint", f"checkpoint of step {progress.step}", dict(data))

    def _is_patience_over(self) -> bool:
        patience = self._spec.parameters.early_stopping_patience
        return patience is not None and self._progress.since_best >= patience

    def _take_best(self) -> None:
        progress = self._progress
        if progress.best_step in (0, progress.step) or self._peers.rank != 0:
            return
        load_weights(
            self._model,
            self._folder / CHECKPOINTS / f"step-{progress.best_step}",
            is_full=self._is_full,
        )
        progress.valid_loss = progress.best_loss
        self._log.add(
            "message",
            f"took the weights of step {progress.best_step}, the best on held-out examples",
            {"step": progress.best_step, "valid_loss": progress.best_loss},
        )


def measure(model: "nn.Module", task: Task, plan: Plan, rows: Sequence[int]) -> float:
    """Seconds that one token takes, from one part of a step, after one to warm up.

    Changes nothing: gradients are thrown away, and each step seeds its own dropout.
    """
    part = rows[: plan.micro_batch_size]
    seconds = 0.0
    tokens = 1
    model.train()
    for _ in range(2):
        started = time.monotonic()
        with _mixed(model):
            found = task.loss(model, part)
        found.loss.backward()
        seconds, tokens = time.monotonic() - started, found.tokens
        model.zero_grad(set_to_none=True)
    return seconds / tokens


def _mixed(model: "nn.Module") -> contextlib.AbstractContextManager[None]:
    """bfloat16 for products on a GPU that has it; else nothing."""
    device = next(model.parameters()).device
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        mixed: contextlib.AbstractContextManager[None] = torch.autocast("cuda", torch.bfloat16)
        return mixed
    return contextlib.nullcontext()


def _not_a_number(step: int, plan: Plan) -> TrainingFailed:
    return TrainingFailed(
        f"the loss is no number any more at step {step} of {plan.total_steps}: "
        f"the updates were too large (learning rate {plan.learning_rate:g})",
        hint=f"set learning_rate to {plan.learning_rate / 10:g} and start anew; nothing was kept of "
        "this step",
    )
