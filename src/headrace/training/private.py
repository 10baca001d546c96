"""Differentially private training: what is asked for, what was reached, and by whose account.

The unit is the person with all their examples (an example without a subject is one of its own): with
or without them, every adapter that could come out has nearly the same chance. Abadi et al., "Deep
Learning with Differential Privacy", 2016: gradients of a person are clipped, and noise is added to
their sum; who takes part in a step is drawn anew each time. The account (Rényi) is Opacus'.

Not covered: how many people, examples and tokens there are, which job and card say exactly; and the
lowest bits of the noise, which are those of floating-point numbers. Imports no PyTorch.
"""

import importlib.util
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from headrace.training.errors import TrainingInvalid, TrainingUnavailable

if TYPE_CHECKING:
    from headrace.training.job import FineTune

__all__ = ["FEWEST_IN_A_STEP", "Privacy", "Reached", "check_private"]

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
