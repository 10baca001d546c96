"""What an epoch goes over, and the loss of a part of it: one class a method."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch

from headrace.training.job import FineTune
from headrace.training.plan import packed
from headrace.training.prepare import Prepared
from headrace.training.process.loss import Sum, log_probabilities, pair_loss, token_loss
from headrace.training.render import Pair, Tokens

if TYPE_CHECKING:
    from torch import nn

__all__ = ["PreferenceTask", "SupervisedTask", "Task", "task_of"]


class Task(Protocol):
    """The rows of a training, by number."""

    rows: int
    held_out: int
    longest: int
    """Tokens of the longest row."""
    learned: int
    """Most learned tokens of a row."""
    tokens: int
    """Tokens of an epoch."""

    def begin(self, model: "nn.Module") -> None:
        """Compute what depends on the base alone. The model is still the base."""
        ...

    def weight(self, rows: Sequence[int]) -> int:
        """What the sum of the losses is divided by."""
        ...

    def loss(self, model: "nn.Module", rows: Sequence[int], *, held_out: bool = False) -> Sum: ...


class SupervisedTask:
    """Sequences, or rows of several."""

    def __init__(self, prepared: Prepared, spec: FineTune, device: torch.device, pad: int) -> None:
        self._device, self._pad = device, pad
        self._train = [[each] for each in prepared.train]
        self._valid = [[each] for each in prepared.valid]
        if spec.parameters.packing:
            self._train = _packed(prepared.train, prepared.max_tokens)
        self.rows, self.held_out = len(self._train), len(self._valid)
        widths = [sum(len(each.ids) for each in row) for row in self._train + self._valid]
        self.longest = max(widths)
        self.learned = max(self._learned(row) for row in self._train + self._valid)
        self.tokens = sum(widths[: self.rows])

    @staticmethod
    def _learned(row: Sequence[Tokens]) -> int:
        return sum(each.learned for each in row)

    def begin(self, model: "nn.Module") -> None:
        """Nothing."""

    def weight(self, rows: Sequence[int]) -> int:
        return sum(self._learned(self._train[each]) for each in rows)

    def loss(self, model: "nn.Module", rows: Sequence[int], *, held_out: bool = False) -> Sum:
        source = self._valid if held_out else self._train
        return token_loss(model, [source[each] for each in rows], self._device, self._pad)


def _packed(sequences: Sequence[Tokens], width: int) -> list[list[Tokens]]:
    rows = packed([len(each.ids) for each in sequences], width)
    return [[sequences[at] for at in row] for row in rows]


class PreferenceTask:
    """Pairs, and what the base thinks of them."""

    def __init__(self, prepared: Prepared, spec: FineTune, device: torch.device, pad: int) -> None:
        self._device, self._pad = device, pad
        self._beta = spec.parameters.dpo_beta
        self._train, self._valid = prepared.train_pairs, prepared.valid_pairs
        self._references = torch.zeros(0)
        self._valid_references = torch.zeros(0)
        self.rows, self.held_out = len(self._train), len(self._valid)
        sides = [
            side for pair in self._train + self._valid for side in (pair.chosen, pair.rejected)
        ]
        self.longest = max(len(each.ids) for each in sides)
        self.learned = max(each.learned for each in sides)
        self.tokens = sum(len(each.ids) for each in sides[: 2 * self.rows])

    def begin(self, model: "nn.Module") -> None:
        """The base's own preference for each pair."""
        self._references = self._preferred(model, self._train)
        self._valid_references = self._preferred(model, self._valid)

    def _preferred(self, model: "nn.Module", pairs: Sequence[Pair]) -> torch.Tensor:
        found = torch.zeros(len(pairs), device=self._device)
        model.eval()
        with torch.no_grad():
            for at, pair in enumerate(pairs):
                sides = [pair.chosen, pair.rejected]
                values, _ = log_probabilities(model, sides, self._device, self._pad)
                found[at] = values[0] - values[1]
        return found

    def weight(self, rows: Sequence[int]) -> int:
        return len(rows)

    def loss(self, model: "nn.Module", rows: Sequence[int], *, held_out: bool = False) -> Sum:
        source = self._valid if held_out else self._train
        references = self._valid_references if held_out else self._references
        pairs = [source[each] for each in rows]
        chosen = references[torch.tensor(rows, device=self._device)]
        return pair_loss(model, pairs, chosen, self._beta, self._device, self._pad)


def task_of(prepared: Prepared, spec: FineTune, device: torch.device, pad: int) -> Task:
    """The task of the job's method."""
    kind = PreferenceTask if spec.method == "dpo" else SupervisedTask
    return kind(prepared, spec, device, pad)
