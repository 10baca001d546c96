"""What can go wrong in an evaluation.

HeadraceError
├── ScorerFailed     a scorer raised, or gave what is no score
└── JudgeUndecided   a judge gave no verdict that can be read
"""

from headrace.errors import HeadraceError

__all__ = ["JudgeUndecided", "ScorerFailed"]


class ScorerFailed(HeadraceError):
    """A scorer raised, or gave something that is no finite number."""

    code = "scorer_failed"


class JudgeUndecided(HeadraceError):
    """The model that judges said nothing that could be read as a verdict."""

    code = "judge_undecided"
