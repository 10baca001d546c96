"""What can go wrong with keys and sealed text.

HeadraceError
├── MasterKeyUnusable   the master key is missing, malformed, or not this database's
├── SealBroken          sealed data was changed, or belongs to another subject
├── SubjectLocked       a text was to be sealed before its subject was unlocked
├── SubjectErased       the subject's key was destroyed: the text can never be read again
├── BudgetSpent         more is asked of a privacy budget than is left of it
└── PrivacyUnavailable  a library that measures or makes guarantees is not installed
"""

from typing import TYPE_CHECKING, Self

from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.privacy.budget import Budget, Spent

__all__ = [
    "BudgetSpent",
    "MasterKeyUnusable",
    "PrivacyUnavailable",
    "SealBroken",
    "SubjectErased",
    "SubjectLocked",
]


class MasterKeyUnusable(HeadraceError):
    """The master key (file or variable) is missing, malformed, or another database's."""

    code = "master_key_unusable"


class SealBroken(HeadraceError):
    """Sealed data fails its check: it was changed on disk, or is another subject's."""

    code = "seal_broken"


class SubjectLocked(HeadraceError):
    """`seal` was called for a subject whose key is not in memory: `unlock` it first."""

    code = "subject_locked"


class SubjectErased(HeadraceError):
    """The subject has no key (any more), so nothing sealed under it can be read."""

    code = "subject_erased"


class BudgetSpent(HeadraceError):
    """A publication would tell more of these people than may be told; nothing was published."""

    code = "privacy_budget_spent"

    @classmethod
    def asked(cls, epsilon: float, delta: float, before: "Spent | None", budget: "Budget") -> Self:
        left_epsilon = budget.epsilon - (before.epsilon if before is not None else 0.0)
        left_delta = budget.delta - (before.delta if before is not None else 0.0)
        return cls(
            f"ε = {epsilon:g} and δ = {delta:g} are asked for, and ε = {max(left_epsilon, 0.0):g} and "
            f"δ = {max(left_delta, 0.0):g} are left of the budget of ε = {budget.epsilon:g} and "
            f"δ = {budget.delta:g}",
            hint="ask for less, or use what was published already: it costs nothing to read it again"
            if before is not None
            else "the budget is set once, by what is published first: ask for less, or set another "
            "(budget, budget_delta)",
        )

    @classmethod
    def unknown(cls, path: str, why: str) -> Self:
        return cls(
            f"the ledger {path} was changed, so nothing is known to be left: {why}",
            hint="restore it from your backup",
        )

    @classmethod
    def fixed(cls, budget: "Budget", asked: "Budget") -> Self:
        return cls(
            f"the budget is ε = {budget.epsilon:g} and δ = {budget.delta:g} since the first "
            f"publication, not ε = {asked.epsilon:g} and δ = {asked.delta:g}",
            hint="leave the budget out; it cannot be changed, since what was told cannot be taken back",
        )


class PrivacyUnavailable(HeadraceError):
    """What measures k and l, or adds noise, is not installed."""

    code = "privacy_unavailable"

    @classmethod
    def lacking(cls, package: str) -> Self:
        return cls(f"guarantees need the package {package}", hint="pip install 'headrace[privacy]'")
