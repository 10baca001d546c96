"""An eval and its runs. Shapes and words are those of OpenAI's Evals API."""

from typing import Final, Literal, TypeAlias

import msgspec

__all__ = [
    "ENDED", "Criterion", "Eval", "EvalRun", "ItemStatus", "OutputItem", "RunCounts", "RunStatus",
    "Usage",
]  # fmt: skip

Criterion: TypeAlias = dict[str, object]
"""As the client wrote it; criterion.py reads it."""
RunStatus: TypeAlias = Literal["queued", "in_progress", "completed", "canceled", "failed"]
ItemStatus: TypeAlias = Literal["pass", "fail", "error"]
ENDED: Final[frozenset[RunStatus]] = frozenset(("completed", "canceled", "failed"))


class Eval(msgspec.Struct, frozen=True, kw_only=True):
    """What answers are held against."""

    id: str
    key_id: str
    name: str
    created_at: float
    data_source_config: dict[str, object]
    testing_criteria: list[Criterion]
    metadata: dict[str, str] | None = None


class RunCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by what became of them."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    errored: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one model was asked in a run."""

    invocations: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(
            invocations=self.invocations + other.invocations,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )


class EvalRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an eval."""

    id: str
    eval_id: str
    key_id: str
    """Whose it is, and whose limits its calls count against."""
    name: str
    created_at: float
    data_source: dict[str, object]
    criteria: list[Criterion]
    """Those of the eval when the run was made."""
    status: RunStatus = "queued"
    counts: RunCounts = RunCounts()
    by_criterion: dict[str, tuple[int, int]] = {}
    """Passed and failed."""
    usage: dict[str, Usage] = {}
    metadata: dict[str, str] | None = None
    error_code: str = ""
    error_message: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def model(self) -> str:
        return str(self.data_source.get("model") or "")


class OutputItem(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one row."""

    number: int
    """From 0."""
    created_at: float
    status: ItemStatus
    item: dict[str, object]
    results: list[dict[str, object]]
    sample: dict[str, object]
    usage: dict[str, Usage] = {}
