"""Batches: which examples a step takes, and their tensors. A function of seed and step alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from headrace.training.plan import Plan
from headrace.training.render import Tokens

__all__ = ["Batch", "batch_of", "order_of", "rows_of"]

IGNORED = -100
"""The label of a position that is not learned, as PyTorch's cross-entropy has it."""


@dataclass(slots=True)
class Batch:
    """What the model is given at once."""

    ids: torch.Tensor
    """(rows, tokens), int64, filled up to the right."""
    labels: torch.Tensor
    """(rows, tokens): at each position the token that should come next, or IGNORED."""
    attention: torch.Tensor | None
    """(rows, tokens): 1 where there is a token. None for packed rows."""
    positions: torch.Tensor | None
    """(rows, tokens): of packed rows, beginning anew with each sequence."""
    tokens: int
    """Without what was filled up."""


@lru_cache(maxsize=2)
def order_of(seed: int, epoch: int, rows: int) -> Sequence[int]:
    """The order of an epoch (from 0)."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return tuple(torch.randperm(rows, generator=generator).tolist())


def rows_of(plan: Plan, seed: int, step: int) -> list[int]:
    """Which rows step `step` (from 1) takes."""
    epoch, at = divmod(step - 1, plan.steps_per_epoch)
    order = order_of(seed, epoch, plan.rows)
    return list(order[at * plan.batch_size : (at + 1) * plan.batch_size])


def batch_of(rows: Sequence[Sequence[Tokens]], device: torch.device, pad: int) -> Batch:
    """
    Args:
        rows: of each row its sequences: one, or several where they are packed.
        pad: token to fill up with; nothing looks at it.
    """
    is_packed = any(len(row) > 1 for row in rows)
    width = max(sum(len(each.ids) for each in row) for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    attention = torch.zeros((len(rows), width), dtype=torch.long)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    count = 0
    for at, row in enumerate(rows):
        start = 0
        for sequence in row:
            length = len(sequence.ids)
            values = torch.tensor(sequence.ids, dtype=torch.long)
            ids[at, start : start + length] = values
            for begin, end in sequence.spans:
                # The model says at each position what comes next, so labels stand one earlier.
                first = max(begin, 1)
                labels[at, start + first - 1 : start + end - 1] = values[first:end]
            positions[at, start : start + length] = torch.arange(length)
            attention[at, start : start + length] = 1
            start += length
        # Filled-up places are a sequence of their own, which nothing learns from.
        positions[at, start:] = torch.arange(width - start)
        count += start
    return Batch(
        ids=ids.to(device),
        labels=labels.to(device),
        attention=None if is_packed else attention.to(device),
        positions=positions.to(device) if is_packed else None,
        tokens=count,
    )
