"""Before anything is trained: every example read, checked, rendered, and found short enough.

All that is wrong is found in one go and reported with its line; training begins with none of it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from headrace.prompts.library import PromptLibrary
from headrace.training.data import Data, Row, Sources, overlaps, read_data
from headrace.training.errors import BadRows, TrainingInvalid
from headrace.training.job import FineTune, Job
from headrace.training.private import check_private
from headrace.training.render import Pair, Tokens, Words, render_pair, render_supervised, words_of
from headrace.training.tongue import Tongue, TongueError

__all__ = ["Examples", "Prepared", "prepare", "read_examples", "read_rows", "words_for"]

MOST_PROBLEMS = 100
AT_ONCE = 64
"""Rows rendered between two looks at the clock."""

T = TypeVar("T")


@dataclass(slots=True)
class Prepared:
    """What is trained on."""

    data: Data
    held_out: Data | None
    max_tokens: int
    train: list[Tokens] = field(default_factory=list)
    """Of `supervised`; else empty."""
    valid: list[Tokens] = field(default_factory=list)
    train_pairs: list[Pair] = field(default_factory=list)
    """Of `dpo`; else empty."""
    valid_pairs: list[Pair] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    held_out_bytes: int = 0
    """UTF-8 bytes of the held-out answers."""
    problems: list[str] = field(default_factory=list)
    """Rows that were left out because the job says to train on the others."""


@dataclass(slots=True)
class Examples:
    """What a job's references name."""

    data: Data
    held_out: Data | None
    problems: list[str]
    """Rows that were left out."""


def read_examples(job: Job, sources: Sources) -> Examples:
    """The examples of a job.

    Raises:
        BadRows: rows cannot be used and the job does not say to train on the others.
        TrainingInvalid: there is nothing to train on, or too much of what a suite asks.
    """
    spec = job.spec
    check_private(spec)
    data, held_out = read_data(sources, spec.training, spec.validation, spec.validation_share)
    problems = [*data.problems, *(held_out.problems if held_out is not None else ())]
    for each in (data, held_out):
        if each is not None:
            _keep_kind(spec, each, problems)
    if problems and not spec.skip_wrong:
        raise BadRows(
            f"{len(problems):,} rows cannot be trained on, so nothing was trained",
            hint="mend them, or train on the others: --skip-wrong (`skip_wrong: true`)",
            problems=problems[:MOST_PROBLEMS],
        )
    if not data.rows:
        raise TrainingInvalid(
            f"{data.reference}: there is no example to train on",
            hint='a row such as {"prompt": "…", "completion": "…"} a line; `headrace data check FILE`',
        )
    if held_out is not None and not held_out.rows:
        raise TrainingInvalid(
            f"{held_out.reference}: there is no example to hold out",
            hint="give a larger share, a file of its own, or none",
        )
    suites = [Path(job.root) / each for each in spec.evaluations]
    leaks = overlaps(data.rows, suites) if suites else []
    if leaks and not spec.keep_overlap:
        raise BadRows(
            f"{len(leaks):,} rows give away what a suite asks, whose score would be worth nothing",
            hint="take them out, or train all the same: --keep-overlap (`keep_overlap: true`)",
            problems=leaks[:MOST_PROBLEMS],
        )
    return Examples(data, held_out, problems)


def read_rows(data: Data) -> list[Row]:
    """The rows that can be used.

    Raises:
        BadRows: none can.
    """
    if not data.rows:
        raise BadRows(
            f"{data.reference}: there is no row that can be used",
            hint="`headrace data check FILE` says what is wrong with each",
            problems=data.problems[:MOST_PROBLEMS],
        )
    return data.rows


def _keep_kind(spec: FineTune, data: Data, problems: list[str]) -> None:
    """Take out the rows that the method cannot learn from."""
    wants_pairs = spec.method == "dpo"
    kept: list[Row] = []
    for row in data.rows:
        if (row.example.kind == "preference") == wants_pairs:
            kept.append(row)
        elif wants_pairs:
            problems.append(f"{row.where}: it has one answer (dpo learns from chosen and rejected)")
        else:
            problems.append(f"{row.where}: it is a preference (train it with method: dpo)")
    data.rows = kept


async def prepare(
    job: Job,
    examples: Examples,
    tongue: Tongue,
    context_tokens: int,
    say: Callable[[str], None] = lambda text: None,
) -> Prepared:
    """The job's examples as tokens.

    Args:
        examples: of `read_examples`.
        context_tokens: what the base model takes.
        say: told how far it is.

    Raises:
        BadRows: rows are too long, or the chat template cannot write them.
        TrainingInvalid: nothing is left to train on.
    """
    spec = job.spec
    data, held_out = examples.data, examples.held_out
    asked = spec.parameters.max_tokens or min(context_tokens, 2048)
    if asked > context_tokens:
        raise TrainingInvalid(
            f"max_tokens is {asked:,}, and the model's context {context_tokens:,}",
            hint=f"set max_tokens to {context_tokens} or less",
        )
    prepared = Prepared(data, held_out, asked, problems=examples.problems)
    words = await asyncio.to_thread(words_for, job)
    if len(data.rows) == 1:
        prepared.warnings.append(
            "there is one example: it will be learned by heart, and nothing in general"
        )
    render = _Rendering(prepared, spec, tongue, words, say)
    await render.all(data.rows, prepared.train, prepared.train_pairs)
    if held_out is not None:
        await render.all(held_out.rows, prepared.valid, prepared.valid_pairs)
        prepared.held_out_bytes = sum(_answer_bytes(each) for each in held_out.rows)
    render.settle()
    return prepared


def _answer_bytes(row: Row) -> int:
    """Of what is learned of a row."""
    untrained = row.example.untrained
    return sum(
        len(each.text().encode())
        for at, each in enumerate(row.example.messages)
        if each.role == "assistant" and at not in untrained
    )


def words_for(job: Job) -> Words:
    """What puts the words of the job's prompt template around messages."""
    spec = job.spec
    template = None
    if spec.template:
        template = PromptLibrary.load(Path(job.root), {}).get(spec.template)
    today = datetime.fromtimestamp(job.created_at, UTC).strftime("%Y-%m-%d")
    return words_of(template, spec.template_variables, today)


class _Rendering:
    """Renders rows and keeps to the length."""

    def __init__(
        self,
        prepared: Prepared,
        spec: FineTune,
        tongue: Tongue,
        words: Words,
        say: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._spec = spec
        self._tongue = tongue
        self._words = words
        self._say = say
        self._too_long: list[str] = []
        self._refused: list[str] = []
        self._cut = 0

    async def all(self, rows: Sequence[Row], found: list[Tokens], pairs: list[Pair]) -> None:
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            if self._spec.method == "dpo":
                for pair in await self._each(part, self._pair):
                    sides = (self._fitting(pair.chosen), self._fitting(pair.rejected))
                    if all(sides):
                        pairs.append(pair)
            else:
                for sequences in await self._each(part, self._supervised):
                    found += filter(self._fitting, sequences)
            if start:
                self._say(f"rendered {start + len(part):,} of {len(rows):,} examples")

    async def _each(
        self, rows: Sequence[Row], render: Callable[[Row], Coroutine[None, None, T]]
    ) -> list[T]:
        results = await asyncio.gather(*map(render, rows), return_exceptions=True)
        done: list[T] = []
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, TongueError):
                self._refused.append(f"{row.where}: {result}")
            elif isinstance(result, BaseException):
                raise result
            else:
                done.append(result)
        return done

    async def _supervised(self, row: Row) -> list[Tokens]:
        return await render_supervised(row.example, row.where, self._tongue, self._words)

    async def _pair(self, row: Row) -> Pair:
        return await render_pair(row.example, row.where, self._tongue, self._words)

    def _fitting(self, tokens: Tokens) -> bool:
        """Whether it may be trained on; shortens it where that is asked for."""
        over = len(tokens.ids) - self._prepared.max_tokens
        if over <= 0:
            return True
        where = f"{tokens.where}: {len(tokens.ids):,} tokens, {over:,} too many"
        # What is learned stays whole: only what stands before the first answer may be cut.
        if self._spec.parameters.too_long == "truncate" and over < tokens.spans[0][0]:
            tokens.ids = tokens.ids[over:]
            tokens.spans = [(start - over, end - over) for start, end in tokens.spans]
            self._cut += 1
            return True
        self._too_long.append(where)
        return False

    def settle(self) -> None:
        """Refuse, or note, what could not be rendered or is too long."""
        prepared, parameters = self._prepared, self._spec.parameters
        if self._refused and not self._spec.skip_wrong:
            raise BadRows(
                f"{len(self._refused):,} rows cannot be written by the model's chat template",
                hint="mend them, or train on the others: --skip-wrong",
                problems=self._refused[:MOST_PROBLEMS],
            )
        if self._too_long and parameters.too_long != "skip":
            raise BadRows(
                f"{len(self._too_long):,} examples are longer than {prepared.max_tokens:,} tokens",
                hint="raise max_tokens, or say what to do: too_long: truncate, or skip",
                problems=self._too_long[:MOST_PROBLEMS],
            )
        prepared.problems += self._refused
        if self._too_long:
            prepared.warnings.append(f"{len(self._too_long):,} examples are too long and left out")
            prepared.problems += self._too_long
        if self._cut:
            prepared.warnings.append(f"{self._cut:,} examples were cut at their beginning")
        if not (prepared.train or prepared.train_pairs):
            raise TrainingInvalid(
                "no example is left to train on", hint="raise max_tokens, or shorten the examples"
            )
