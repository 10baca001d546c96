"""A recipe on another base model, and the two results side by side.

Both are held against the same held-out examples. A loss per token says little between two
tokenizers, so it is given per byte of the answers as well (natural logarithm); and how many answers
come out exactly, greedily, each from its base with its adapter.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from headrace.models.store import ModelStore
from headrace.training.ask import Question, answers
from headrace.training.base import find_base
from headrace.training.data import Row, Sources, read_data
from headrace.training.errors import TrainingInvalid
from headrace.training.folder import RESULT, read_job, read_state
from headrace.training.job import FineTune, Job, Result
from headrace.training.prepare import words_for

__all__ = ["Comparison", "compared", "exact_matches", "ported"]

MOST_ASKED = 200
"""Held-out examples that are asked; each takes some seconds on a laptop."""
_SPARE_TOKENS = 16


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One base with its adapter."""

    base: str
    digest: str
    loss_per_token: float | None
    loss_per_byte: float | None
    exact: int | None
    """Held-out answers that came out as they are written; None where the base is no GGUF file."""
    examples: int
    """Held-out examples that were asked."""
    wall_s: float


def ported(job: Job, base: str) -> FineTune:
    """The same fine-tune on another base.

    Raises:
        TrainingInvalid: nothing is held out, or it is the same base.
    """
    spec = job.spec
    if base == spec.base:
        raise TrainingInvalid(f"{base} is the base that it was trained on", hint="name another")
    if spec.validation is None and not spec.validation_share:
        raise TrainingInvalid(
            f"the fine-tune {job.id} holds nothing out, so two bases cannot be compared",
            hint="train it with a validation file, or --set validation_share=0.1, first",
        )
    return msgspec.structs.replace(spec, base=base)


async def compared(*folders: Path) -> list[Comparison]:
    """The results of finished jobs.

    Raises:
        TrainingInvalid: one has no result.
    """
    found: list[Comparison] = []
    for folder in folders:
        job, result = read_job(folder), read_state(folder).result
        if result is None:
            raise TrainingInvalid(f"the fine-tune {job.id} has no result", hint="finish it first")
        exact, asked = await exact_matches(folder, job, result)
        per_byte = None
        if result.valid_loss is not None and result.held_out_bytes:
            per_byte = result.valid_loss * result.held_out_tokens / result.held_out_bytes
        found.append(
            Comparison(
                base=result.base,
                digest=result.digest,
                loss_per_token=result.valid_loss,
                loss_per_byte=per_byte,
                exact=exact,
                examples=asked,
                wall_s=result.wall_s,
            )
        )
    return found


async def exact_matches(folder: Path, job: Job, result: Result) -> tuple[int | None, int]:
    """How many held-out answers come out exactly, and how many were asked."""
    root, home = Path(job.root), Path(job.home)
    base = find_base(job.spec.base, ModelStore(home / "models", root=root), root)
    weights, adapter = base.path, folder / RESULT / (result.gguf or "")
    if result.gguf is None:
        if result.merged is None:
            return None, 0
        weights = folder / RESULT / result.merged
    _, held_out = read_data(
        Sources(root, home), job.spec.training, job.spec.validation, job.spec.validation_share
    )
    rows = held_out.rows[:MOST_ASKED] if held_out is not None else []
    given = await answers(weights, adapter if result.gguf else None, _questions(job, rows))
    wanted = [_answer(row) for row in rows]
    return sum(a.strip() == b.strip() for a, b in zip(given, wanted, strict=True)), len(rows)


def _questions(job: Job, rows: Sequence[Row]) -> list[Question]:
    words = words_for(job)
    questions: list[Question] = []
    for row in rows:
        example = row.example
        asked = example.messages if example.kind == "preference" else example.messages[:-1]
        # A token is rarely less than a byte: the longest answer that could still be right.
        room = len(_answer(row).encode()) + _SPARE_TOKENS
        language = example.metadata.get("language")
        around = words(asked, language if isinstance(language, str) else None)
        questions.append(Question(around, room))
    return questions


def _answer(row: Row) -> str:
    example = row.example
    last = example.chosen if example.kind == "preference" else example.messages
    return last[-1].text()
