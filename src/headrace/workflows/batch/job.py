"""A batch: its state, and how it may change. Shapes and words are those of OpenAI's Batch API."""

from typing import Final, Literal, TypeAlias

import msgspec

__all__ = ["ENDED", "ENDPOINTS", "Batch", "BatchProblem", "BatchStatus", "Counts", "Endpoint"]

BatchStatus: TypeAlias = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]
Endpoint: TypeAlias = Literal[
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"
]
ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
)
ENDED: Final[frozenset[BatchStatus]] = frozenset(("failed", "completed", "expired", "cancelled"))


class Counts(msgspec.Struct, frozen=True):
    """Rows by what became of them."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class BatchProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a batch was not begun."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch. Times are seconds since the epoch."""

    id: str
    key_id: str
    """Whose it is, and whose limits its rows count against."""
    endpoint: Endpoint
    input_file_id: str
    completion_window: str
    created_at: float
    expires_at: float
    """What is not answered by then is not answered any more."""
    status: BatchStatus = "validating"
    counts: Counts = Counts()
    output_file_id: str | None = None
    error_file_id: str | None = None
    problems: list[BatchProblem] = []
    metadata: dict[str, str] | None = None
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def moved(self, status: BatchStatus, now: float, **changes: object) -> "Batch":
        """The batch in another state, with the time at which it got there."""
        at = {} if status == "validating" else {f"{status}_at": now}
        return msgspec.structs.replace(self, status=status, **at, **changes)
