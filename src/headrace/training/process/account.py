"""The account of private training: Opacus', which knows how Rényi divergences of steps add up."""

from importlib.metadata import version

from opacus.accountants import RDPAccountant
from opacus.accountants.utils import get_noise_multiplier

from headrace.training.errors import TrainingInvalid
from headrace.training.private import Privacy, Reached

__all__ = ["noise_of", "reached"]

_ORDERS = [1 + each / 10 for each in range(1, 100)] + [*range(12, 64), 80, 128, 256, 512]
"""Of the Rényi divergences that ε is the least of: Opacus' own, and some for small ε."""


def noise_of(privacy: Privacy, sample_rate: float, steps: int) -> float:
    """The noise multiplier with which so many steps reach the ε that is asked for.

    Raises:
        TrainingInvalid: no noise would do.
    """
    try:
        found = get_noise_multiplier(
            target_epsilon=privacy.epsilon,
            target_delta=privacy.delta,
            sample_rate=sample_rate,
            steps=steps,
            accountant="rdp",
            # Within 0.01 of a small ε would be half of it.
            epsilon_tolerance=min(0.01, privacy.epsilon / 50),
            alphas=_ORDERS,
        )
    except ValueError as error:
        raise TrainingInvalid(
            f"ε = {privacy.epsilon:g} with δ = {privacy.delta:g} cannot be reached: {error}",
            hint="a larger epsilon, fewer steps (max_steps), or more people",
        ) from error
    return float(found)


def reached(privacy: Privacy, noise: float, sample_rate: float, steps: int, people: int) -> Reached:
    """What so many steps with that noise come to."""
    accountant = RDPAccountant()
    accountant.history = [(noise, sample_rate, steps)]
    return Reached(
        epsilon=float(accountant.get_epsilon(delta=privacy.delta, alphas=_ORDERS)),
        delta=privacy.delta,
        max_grad_norm=privacy.max_grad_norm,
        noise_multiplier=noise,
        sample_rate=sample_rate,
        steps=steps,
        people=people,
        measured_by=f"opacus {version('opacus')} (RDP)",
    )
