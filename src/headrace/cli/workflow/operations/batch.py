"""`batch`: a file of requests, answered beside live traffic."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from headrace.cli.batch import answered
from headrace.cli.place import Place
from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["BatchOperation"]


class BatchSettings(Settings, frozen=True):
    """What is asked."""

    requests: str
    """A JSONL file in OpenAI's batch format, below the folder or as `{{ inputs.NAME }}`."""
    failures: float = 1.0
    """Share of the rows that may fail; more, and the step does."""


class BatchOperation(Operation):
    """Answers every request of a file once, in order; killed, it goes on where it was."""

    Settings = BatchSettings
    returns: ClassVar[tuple[str, ...]] = ("batch", "rows", "completed", "failed", "tokens")
    writes: ClassVar[Mapping[str, str]] = {"results": "results.jsonl", "errors": "errors.jsonl"}
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, BatchSettings)
        place = Place(context.root, context.home)
        out, errors = context.folder / "results.jsonl", context.folder / "errors.jsonl"
        ended = answered(
            context.root / settings.requests, place, context.database(), out, errors,
            known=context.remembered(), created=context.remember,
        )  # fmt: skip
        for path in (out, errors):
            path.touch()
        counts = ended.counts
        if ended.status != "completed" or counts.failed > settings.failures * counts.total:
            problem = f": {ended.problems[0].message}" if ended.problems else ""
            raise StepFailed(
                f"the batch {ended.id} is {ended.status}, {counts.failed:,} of {counts.total:,} "
                f"rows failed{problem}"
            )
        return {
            "batch": ended.id,
            "rows": counts.total,
            "completed": counts.completed,
            "failed": counts.failed,
            "tokens": ended.prompt_tokens + ended.completion_tokens,
        }
