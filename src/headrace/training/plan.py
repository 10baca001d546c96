"""The numbers of a fine-tune, once its data is known: what the job leaves open is decided here."""

import math
from collections.abc import Sequence

import msgspec

from headrace.training.errors import TrainingInvalid
from headrace.training.job import FineTune, Schedule
from headrace.training.private import FEWEST_IN_A_STEP

__all__ = ["MOST_CHECKPOINTS", "Plan", "learning_rate_at", "packed", "plan_of"]

WANTED_STEPS = 60
"""At least so many updates, or little is learned; LoRA on 40 facts repeats them after about 50."""
FEWEST_EPOCHS, MOST_EPOCHS = 3, 25
LARGE = 1000
MOST_CHECKPOINTS = 200
"""In a run, but for those of a better held-out loss: each is a copy of what is trained."""
_LEARNING_RATES = {
    ("supervised", "lora"): 1e-3,
    ("supervised", "qlora"): 2e-4,
    ("supervised", "full"): 2e-5,
    ("dpo", "lora"): 1e-4,
    ("dpo", "qlora"): 5e-5,
    ("dpo", "full"): 5e-6,
}
"""For small models; larger ones want less (`learning_rate`)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the training goes, step by step."""

    rows: int
    """Sequences (or packed rows, or pairs) of an epoch."""
    batch_size: int
    micro_batch_size: int
    epochs: int
    steps_per_epoch: int
    total_steps: int
    learning_rate: float
    schedule: Schedule
    warmup_steps: int
    evaluate_every: int | None
    """None: nothing is held out."""
    checkpoint_every: int
    """At least so much that there are `MOST_CHECKPOINTS`."""


def plan_of(spec: FineTune, rows: int, *, has_held_out: bool) -> Plan:
    """
    Args:
        rows: what is trained on in an epoch; of private training, people.

    Raises:
        TrainingInvalid: settings that contradict each other.
    """
    asked = spec.parameters
    usual = 4 if rows < LARGE else 8
    if spec.privacy is not None:
        usual = max(FEWEST_IN_A_STEP, rows // 8)
    batch_size = min(asked.batch_size or usual, rows)
    per_epoch = math.ceil(rows / batch_size)
    if asked.epochs is None and asked.max_steps is not None:
        epochs = math.ceil(asked.max_steps / per_epoch)
    else:
        wanted = math.ceil(WANTED_STEPS / per_epoch)
        epochs = asked.epochs or max(FEWEST_EPOCHS, min(MOST_EPOCHS, wanted))
    total = min(per_epoch * epochs, asked.max_steps or per_epoch * epochs)
    if asked.early_stopping_patience is not None and not has_held_out:
        raise TrainingInvalid(
            "early stopping looks at held-out examples, and there are none",
            hint="name a validation file, or set validation_share: 0.1",
        )
    rate = asked.learning_rate or _LEARNING_RATES[spec.method, spec.tuning]
    return Plan(
        rows=rows,
        batch_size=batch_size,
        micro_batch_size=min(asked.micro_batch_size or batch_size, batch_size),
        epochs=epochs,
        steps_per_epoch=per_epoch,
        total_steps=total,
        learning_rate=rate * asked.learning_rate_multiplier,
        schedule=asked.schedule,
        warmup_steps=min(math.ceil(total * asked.warmup_ratio), total - 1),
        evaluate_every=(asked.evaluate_every or per_epoch) if has_held_out else None,
        checkpoint_every=max(
            asked.checkpoint_every or per_epoch, math.ceil(total / MOST_CHECKPOINTS)
        ),
    )


def learning_rate_at(plan: Plan, step: int) -> float:
    """Of a step, from 1. A function of the step alone, so that a resumed run has the same."""
    if step <= plan.warmup_steps:
        return plan.learning_rate * step / (plan.warmup_steps + 1)
    if plan.schedule == "constant":
        return plan.learning_rate
    done = (step - 1 - plan.warmup_steps) / max(1, plan.total_steps - plan.warmup_steps)
    if plan.schedule == "linear":
        return plan.learning_rate * (1.0 - done)
    return plan.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def packed(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Which sequences share a row of `width` tokens: best fit, the longest first.

    Source: Ding et al., "Fewer Truncations Improve Language Modeling", 2024 (best-fit packing).
    """
    rooms: list[int] = []
    rows: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        fitting = [i for i, room in enumerate(rooms) if room >= lengths[at]]
        if fitting:
            row = min(fitting, key=lambda i: (rooms[i], i))
            rows[row].append(at)
            rooms[row] -= lengths[at]
        else:
            rows.append([at])
            rooms.append(width - lengths[at])
    return rows
