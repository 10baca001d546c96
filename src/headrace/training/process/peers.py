"""The processes that share a batch: one alone, or a group that adds its gradients up.

The loss of a step is a sum over rows divided by a number that everybody knows, so gradients are
added and not averaged: a group takes the very step that one process takes with the whole batch, up
to the order of the additions, also where the rows are unequal in length, or fewer than processes.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import distributed

__all__ = ["Alone", "Group", "Peers"]

BUCKET = 25_000_000 // 4
"""Numbers that are sent at once; PyTorch's own buckets have 25 MB."""


class Peers(Protocol):
    """Who else takes part in each step. All call the same methods in the same order."""

    rank: int
    """From 0, which tells, evaluates and keeps."""
    size: int

    def share(self, rows: Sequence[int]) -> Sequence[int]:
        """The rows that this process computes."""
        ...

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Make each gradient the sum over all processes."""
        ...

    def add(self, numbers: Sequence[float]) -> list[float]:
        """The sums over all processes."""
        ...


class Alone:
    """One process."""

    rank, size = 0, 1

    def share(self, rows: Sequence[int]) -> Sequence[int]:
        return rows

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Nothing."""

    def add(self, numbers: Sequence[float]) -> list[float]:
        return list(numbers)


class Group:
    """The default process group of `torch.distributed`, which somebody has set up."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self._device = device

    def share(self, rows: Sequence[int]) -> Sequence[int]:
        return rows[self.rank :: self.size]

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        bucket: list[torch.Tensor] = []
        for each in parameters:
            if each.grad is None:  # no row of this step is ours
                each.grad = torch.zeros_like(each)
            bucket.append(each.grad)
            if sum(grad.numel() for grad in bucket) >= BUCKET:
                _add(bucket)
                bucket = []
        if bucket:
            _add(bucket)

    def add(self, numbers: Sequence[float]) -> list[float]:
        # float64: counts of tokens stay exact.
        sums = torch.tensor(numbers, dtype=torch.float64, device=self._device)
        distributed.all_reduce(sums)
        return [float(each) for each in sums.tolist()]


def _add(bucket: Sequence[torch.Tensor]) -> None:
    flat = torch.cat([each.reshape(-1) for each in bucket])
    distributed.all_reduce(flat)
    at = 0
    for each in bucket:
        each.copy_(flat[at : at + each.numel()].view_as(each))
        at += each.numel()
