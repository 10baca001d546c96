"""What is minimised: the two methods.

`supervised`: cross-entropy of the learned tokens. Only their positions go through the model's
head, which in small models is a third of the work.

`dpo`: Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a Reward
Model", 2023: −log σ(β((log π(c) − log π(r)) − (log π₀(c) − log π₀(r)))), π₀ being the base.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from headrace.training.process.batch import IGNORED, Batch, batch_of
from headrace.training.render import Pair, Tokens

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Sum", "log_probabilities", "pair_loss", "token_loss"]


@dataclass(slots=True)
class Sum:
    """Losses added up."""

    loss: torch.Tensor
    """Sum over `count`."""
    count: int
    """Learned tokens, or pairs."""
    right: int
    """Tokens that the model would have said, or pairs whose better answer it prefers."""
    tokens: int
    """Read."""


def token_loss(
    model: "nn.Module", rows: Sequence[Sequence[Tokens]], device: torch.device, pad: int
) -> Sum:
    """Of rows of sequences."""
    batch = batch_of(rows, device, pad)
    logits, labels = _learned(model, batch)
    loss = functional.cross_entropy(logits, labels, reduction="sum")
    right = int((logits.argmax(-1) == labels).sum())
    return Sum(loss, labels.numel(), right, batch.tokens)


def _learned(model: "nn.Module", batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (learned, vocabulary) in float32 and labels (learned) of all learned positions."""
    wanted = batch.labels != IGNORED  # (rows, tokens)
    columns = wanted.any(0).nonzero().squeeze(-1)  # (kept,): learned in any row
    inputs = {"input_ids": batch.ids, "logits_to_keep": columns, "use_cache": False}
    if batch.attention is not None and not bool(batch.attention.all()):
        inputs["attention_mask"] = batch.attention
    if batch.positions is not None:
        inputs["position_ids"] = batch.positions
    logits = model(**inputs).logits  # (rows, kept, vocabulary)
    kept = wanted[:, columns]
    return logits[kept].float(), batch.labels[:, columns][kept]


def log_probabilities(
    model: "nn.Module", sides: Sequence[Tokens], device: torch.device, pad: int
) -> tuple[torch.Tensor, int]:
    """Of each whole answer (rows,), and the tokens that were read."""
    batch = batch_of([[each] for each in sides], device, pad)
    logits, labels = _learned(model, batch)
    each = -functional.cross_entropy(logits, labels, reduction="none")  # (learned,)
    rows = (batch.labels != IGNORED).nonzero()[:, 0]
    sums = torch.zeros(len(sides), device=device).index_add(0, rows, each)
    return sums, batch.tokens


def pair_loss(
    model: "nn.Module",
    pairs: Sequence[Pair],
    reference: torch.Tensor,
    beta: float,
    device: torch.device,
    pad: int,
) -> Sum:
    """Of pairs.

    Args:
        reference: (pairs,) log π₀(c) − log π₀(r).
    """
    sides = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    values, tokens = log_probabilities(model, sides, device, pad)
    margin = values[: len(pairs)] - values[len(pairs) :] - reference  # (pairs,)
    loss = -functional.logsigmoid(beta * margin).sum()
    return Sum(loss, len(pairs), int((margin > 0).sum()), tokens)
