"""The gradient of a step that hides each person: drawn, clipped, summed, and drowned in noise.

Gradients are taken person by person, with a pass of its own each, and not per example by hooks:
that is slower, holds whatever the model's layers are, and makes the person the unit.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from headrace.training.data import Row
from headrace.training.job import FineTune
from headrace.training.leftover import NOISE_KEY
from headrace.training.plan import Plan
from headrace.training.prepare import Prepared
from headrace.training.private import Privacy, Reached
from headrace.training.process.loss import Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["PrivateGradients", "forget_key", "people_of", "private_of"]


def people_of(spec: FineTune, prepared: Prepared) -> list[list[int]]:
    """The rows of each person, as the task numbers them; none where training is not private."""
    if spec.privacy is None:
        return []
    subjects = {each.where: _person(each) for each in prepared.data.rows}
    places = [each.where for each in prepared.train or prepared.train_pairs]
    found: dict[str, list[int]] = {}
    for at, where in enumerate(places):
        found.setdefault(subjects[where], []).append(at)
    return list(found.values())


def _person(row: Row) -> str:
    subject = row.example.provenance.subject
    return f"subject {subject}" if subject else f"row {row.where}"


def _key(folder: Path) -> bytes:
    """The secret that a job's noise is drawn from: the same for all starts of it, so that a resumed
    run draws what it drew before."""
    path = folder / NOISE_KEY
    if not path.exists():
        part = folder / f".{NOISE_KEY}.part"
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    return path.read_bytes()


def forget_key(folder: Path) -> None:
    """There is a result: nobody needs it any more."""
    (folder / NOISE_KEY).unlink(missing_ok=True)


class _Random:
    """Numbers that nobody can guess without the key: AES in counter mode, a stream a step.

    PyTorch's own generator keeps 32 bits of its seed, which can be tried out.
    """

    def __init__(self, key: bytes, step: int) -> None:
        start = step.to_bytes(8, "big") + bytes(8)
        self._stream = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()

    def uniform(self, count: int) -> "NDArray[np.float64]":
        """Between 0 and 1, neither of them."""
        words = np.frombuffer(self._stream.update(bytes(8 * count)), dtype="<u8")
        numbers: NDArray[np.float64] = (words >> 11).astype(np.float64)
        return (numbers + 0.5) * 2.0**-53

    def normal(self, count: int) -> "NDArray[np.float64]":
        """Box and Muller, 1958."""
        half = (count + 1) // 2
        lengths = np.sqrt(-2.0 * np.log(self.uniform(half)))
        angles = 2.0 * np.pi * self.uniform(half)
        both = (lengths * np.cos(angles), lengths * np.sin(angles))
        return np.concatenate(both)[:count]


@dataclass(frozen=True, slots=True)
class PrivateGradients:
    """See the module."""

    privacy: Privacy
    people: Sequence[Sequence[int]]
    """The rows of each."""
    plan: Plan
    noise: float
    """Its standard deviation, in `max_grad_norm`."""
    key: bytes

    @property
    def sample_rate(self) -> float:
        return self.plan.batch_size / len(self.people)

    def reached(self, steps: int) -> Reached:
        """What holds after so many steps."""
        from headrace.training.process.account import reached

        return reached(self.privacy, self.noise, self.sample_rate, steps, len(self.people))

    def take(
        self,
        model: "nn.Module",
        step: int,
        weight: Callable[[Sequence[int]], int],
        loss: Callable[[Sequence[int]], Sum],
    ) -> int:
        """Leave a step's gradient in the parameters; gives the tokens that were read for it.

        Args:
            weight, loss: of rows, as the task has them.
        """
        random = _Random(self.key, step)
        drawn = random.uniform(len(self.people)) < self.sample_rate
        trained = [each for each in model.parameters() if each.requires_grad]
        sums = [torch.zeros_like(each) for each in trained]
        tokens = 0
        for at in np.flatnonzero(drawn).tolist():
            rows = self.people[at]
            model.zero_grad(set_to_none=True)
            for start in range(0, len(rows), self.plan.micro_batch_size):
                part = loss(rows[start : start + self.plan.micro_batch_size])
                (part.loss / weight(rows)).backward()
                tokens += part.tokens
            self._add_clipped([each.grad for each in trained], sums)
        for each, total in zip(trained, sums, strict=True):
            noise = torch.from_numpy(random.normal(total.numel())).reshape(total.shape)
            total.add_(noise.to(total), alpha=self.noise * self.privacy.max_grad_norm)
            # By how many are drawn in the mean: how many were is private.
            each.grad = total / self.plan.batch_size
        return tokens

    def _add_clipped(
        self, gradients: Sequence[torch.Tensor | None], sums: Sequence[torch.Tensor]
    ) -> None:
        squares = [float(each.double().pow(2).sum()) for each in gradients if each is not None]
        norm = math.sqrt(sum(squares))
        if not math.isfinite(norm):
            return  # nothing that can be bounded, so nothing of this person is learned
        share = min(1.0, self.privacy.max_grad_norm / max(norm, 1e-12))
        for gradient, total in zip(gradients, sums, strict=True):
            if gradient is not None:
                total.add_(gradient, alpha=share)


def private_of(
    spec: FineTune, people: Sequence[Sequence[int]], plan: Plan, folder: Path
) -> PrivateGradients | None:
    """How the steps of a job are taken; None: as usual.

    Raises:
        TrainingInvalid: the ε cannot be reached.
    """
    if spec.privacy is None:
        return None
    # Here, since importing Opacus takes as long as importing PyTorch.
    from headrace.training.process.account import noise_of

    noise = noise_of(spec.privacy, plan.batch_size / len(people), plan.total_steps)
    return PrivateGradients(spec.privacy, people, plan, noise, _key(folder))
