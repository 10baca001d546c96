"""Differentially private training: what is asked for, what was reached, and by whose account.

The unit is the person with all their examples (an example without a subject is one of its own): with
or without them, every adapter that could come out has nearly the same chance. Abadi et al., "Deep
Learning with Differential Privacy", 2016: gradients of a person are clipped, and noise is added to
their sum; who takes part in a step is drawn anew each time. The account (Rényi) is Opacus'.

Not covered: how many people, examples and tokens there are, which job and card say exactly; and the
lowest bits of the noise, which are those of floating-point numbers. Imports no PyTorch.

What is trained of a dataset is paid from its privacy budget, beside the figures published of it.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from headrace.privacy.budget import Ledger
from headrace.training.errors import TrainingInvalid, TrainingUnavailable

if TYPE_CHECKING:
    from headrace.training.data import Data
    from headrace.training.job import FineTune, Job

__all__ = ["FEWEST_IN_A_STEP", "Payment", "Privacy", "Reached", "check_budget", "check_private"]

FEWEST_IN_A_STEP = 16
"""People, by default: fewer drown in the noise."""


class Privacy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`privacy:` of a recipe."""

    epsilon: Annotated[float, Meta(gt=0, le=1000)]
    """The most; what is reached is at most 0.01 less."""
    delta: Annotated[float, Meta(gt=0, lt=0.01)] = 1e-5
    """Should be well below one in the number of people."""
    max_grad_norm: Annotated[float, Meta(gt=0)] = 1.0
    """What one person may add to a step's gradient, as its length."""
    budget: Annotated[float, Meta(gt=0)] | None = None
    """The most ε that may ever be told of a dataset's people. Absent: what is set, or 1."""
    budget_delta: Annotated[float, Meta(ge=0, le=0.01)] | None = None
    """The same of δ. Absent: what is set, or 1e-6."""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """What holds of the adapter."""

    epsilon: float
    delta: float
    max_grad_norm: float
    noise_multiplier: float
    """Standard deviation of the noise, in `max_grad_norm`."""
    sample_rate: float
    """The chance of a person to take part in a step."""
    steps: int
    people: int
    measured_by: str


def check_private(spec: "FineTune") -> None:
    """
    Raises:
        TrainingInvalid: settings that would break the promise.
        TrainingUnavailable: Opacus is not installed.
    """
    if spec.privacy is None:
        return
    if spec.validation is not None or spec.validation_share:
        raise TrainingInvalid(
            "the loss on held-out examples is exact, and tells of the people in them",
            hint="leave out validation and validation_share, or privacy",
        )
    if spec.tuning == "full" or spec.parameters.packing:
        raise TrainingInvalid(
            "privacy goes with lora or qlora, and without packing",
            hint="the gradients of each person are kept apart, which needs rows of their own",
        )
    if importlib.util.find_spec("opacus") is None:
        raise TrainingUnavailable(
            "private training needs the package opacus", hint="pip install 'headrace[train]'"
        )


def check_budget(spec: "FineTune", data: "Data") -> None:
    """
    Raises:
        BudgetSpent: the dataset's people may not be told so much more of.
    """
    privacy, ledger = spec.privacy, data.ledger
    if privacy is None or ledger is None:
        return
    most = ledger.budget(privacy.budget, privacy.budget_delta)
    ledger.check(privacy.epsilon, privacy.delta, most)


@dataclass(frozen=True, slots=True)
class Payment:
    """What one job owes the budget of the people that it learns from.

    A start that goes on has the secret of the noise that was drawn before, and is the same debt; one
    that begins anew, after that was deleted, tells of the people once more.
    """

    ledger: Ledger
    privacy: Privacy
    what: str
    key: str

    @classmethod
    def of(cls, job: "Job", data: "Data", secret: bytes) -> "Payment | None":
        """None: the data is no dataset, so nobody knows what else was told of its people."""
        if data.ledger is None or job.spec.privacy is None:
            return None
        key = f"{job.id} {hashlib.sha256(secret).hexdigest()[:16]}"
        return cls(data.ledger, job.spec.privacy, f"{data.reference}: fine-tune {job.id}", key)

    def charge(self, promised: Reached) -> None:
        """Before the first step.

        Raises:
            BudgetSpent: it is more than is left; nothing may be trained.
        """
        most = self.ledger.budget(self.privacy.budget, self.privacy.budget_delta)
        self.ledger.charge(promised.epsilon, promised.delta, self.what, most, key=self.key)

    def settle(self, spent: Reached | None) -> None:
        """At an end. None: no step was taken."""
        epsilon, delta = (spent.epsilon, spent.delta) if spent is not None else (0.0, 0.0)
        self.ledger.settle(self.key, epsilon, delta)
