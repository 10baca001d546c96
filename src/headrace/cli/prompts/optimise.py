"""`headrace prompts optimise`: a template made better by what can be measured, or left as it is."""

import asyncio
import contextlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.suggest import complete_models, complete_prompts
from headrace.cli.terminal import print_json, printable
from headrace.config.node import shown_path
from headrace.errors import ConfigError, InvalidRequest
from headrace.prompts.candidate import INSTRUCTIONS, candidates
from headrace.prompts.labelled import Labelled, labelled_tests, read_labelled
from headrace.prompts.reader import is_template_name
from headrace.prompts.source import source_of
from headrace.prompts.template import PromptTemplate

if TYPE_CHECKING:
    from headrace.evaluation.statistic import Difference, Estimate
    from headrace.pipeline.optimise import Asked, Found, Split

__all__ = ["optimise"]

TESTS = "tests"


@dataclass(frozen=True, slots=True)
class _Wanted:
    model: str | None
    most: int
    seed: int
    instructions: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What there is to say."""

    found: "Found"
    parts: "Split"
    before: "Estimate"
    after: "Estimate"
    difference: "Difference"
    tried: int
    asked: int
    written: Path | None


@click.command(cls=Command)
@click.argument("reference", metavar="NAME[@VERSION]", shell_complete=complete_prompts)
@click.option(
    "--with",
    "source",
    metavar="tests|FILE.jsonl",
    default=TESTS,
    show_default=True,
    help="Cases: the template's own tests, or a file with one a line.",
)
@click.option(
    "--candidates",
    "most",
    type=click.IntRange(2, 200),
    default=16,
    show_default=True,
    help="Most versions that are tried.",
)
@click.option(
    "--instructions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A text file of sentences to try behind the system prompt, one a line.",
)
@click.option("--model", shell_complete=complete_models, help="The model to ask.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides every lot.")
@click.option("--to", metavar="NAME", help="The new template's name; else NAME.v2, NAME.v3, ….")
@json_option
def optimise(
    reference: str,
    source: str,
    most: int,
    instructions: Path | None,
    model: str | None,
    seed: int,
    to: str | None,
    as_json: bool,
) -> None:
    """Look for a better version of a template, and write it beside the old one.

    Examples and instructions are tried on part of the cases, by successive halving. The winner and
    the template as it is are then asked the held-out cases, once. Only a version that does better
    there is written, to a new file; none is ever overwritten. What was asked is kept, so that a
    run that was broken off goes on where it was.
    """
    from headrace.pipeline.optimise import split

    wanted = _Wanted(model, most, seed, _read_instructions(instructions))
    with Desk.open(keep=True) as desk:
        base = desk.template(reference)
        path = _free(desk.place.root / "prompts", base.name, to)
        cases = labelled_tests(base.file.tests) if source == TESTS else read_labelled(Path(source))
        _check_variables(base, cases)
        parts = split(cases, seed=seed)
        with FetchProgress() as fetching, RowProgress(base.name) as progress:
            outcome = asyncio.run(_run(desk, base, parts, wanted, fetching, progress, path))
    if as_json:
        print_json(_plain(base, outcome))
    else:
        _print(base, outcome)


async def _run(
    desk: Desk,
    base: PromptTemplate,
    parts: "Split",
    wanted: _Wanted,
    fetching: FetchProgress,
    progress: RowProgress,
    path: Path,
) -> _Outcome:
    from headrace.evaluation.statistic import estimate, paired
    from headrace.pipeline.optimise import Asked
    from headrace.pipeline.optimise import optimise as search
    from headrace.pipeline.trial import try_case
    from headrace.prompts.file import PromptTest

    tried = candidates(
        base,
        parts.pool,
        most=wanted.most,
        seed=wanted.seed,
        instructions=wanted.instructions or INSTRUCTIONS,
    )
    async with desk.platform(fetching.report) as platform:
        fetching.close()
        service = platform.service
        model = service.models.get(wanted.model).name

        async def ask(template: PromptTemplate, test: PromptTest) -> Asked:
            trial = await try_case(
                service, LOCAL, template, test, model=wanted.model, whatever_it_requires=True
            )
            return Asked(float(trial.outcome == "passed"), trial.prompt_tokens)

        with _kept(desk.place.made().home / "optimise" / f"{base.name}.jsonl") as scores:
            known = len(scores)
            found = await search(
                tried,
                parts,
                ask,
                release=f"{service.release} {model}",
                scores=scores,
                report=progress.report,
            )
            asked = len(scores) - known
    difference = paired(found.before, found.after, seed=wanted.seed)
    outcome = _Outcome(
        found,
        parts,
        estimate(found.before, seed=wanted.seed),
        estimate(found.after, seed=wanted.seed),
        difference,
        len(tried),
        asked,
        path if difference.estimate.mean > 0 else None,
    )
    if outcome.written is not None:
        _write(outcome.written, base, outcome)
    return outcome


class _Row(msgspec.Struct):
    key: str
    score: float
    prompt_tokens: int


class _Kept(dict[str, "Asked"]):
    """Scores that are written down as they come."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def __setitem__(self, key: str, value: "Asked") -> None:
        super().__setitem__(key, value)
        row = _Row(key, value.score, value.prompt_tokens)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[MutableMapping[str, "Asked"]]:
    """What earlier runs have asked: figures under digests, no words of anybody's."""
    from headrace.pipeline.optimise import Asked

    path.parent.mkdir(mode=0o700, exist_ok=True)
    scores = _Kept(path)
    decode = msgspec.json.Decoder(_Row).decode
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(msgspec.DecodeError):  # half a line, of a run that was killed
            row = decode(line)
            dict.__setitem__(scores, row.key, Asked(row.score, row.prompt_tokens))
    yield scores


def _read_instructions(path: Path | None) -> tuple[dict[str, str], ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown_path(path)} cannot be read: {error}") from None
    found = tuple({"default": line.strip()} for line in lines if line.strip())
    if not found:
        raise ConfigError(f"{shown_path(path)} is empty", hint="write one sentence a line")
    return found


def _check_variables(base: PromptTemplate, cases: list[Labelled]) -> None:
    """Raises InvalidRequest for the first case that the template cannot take at all."""
    for at, case in enumerate(cases, 1):
        try:
            base.variables.fill(case.test.variables, {})
        except InvalidRequest as error:
            raise InvalidRequest(f"case {at}: {error.message}", hint=error.hint) from None


def _free(folder: Path, name: str, to: str | None) -> Path:
    """A file that is not there yet.

    Raises:
        InvalidRequest, ConfigError: the name that was asked for cannot be, or is taken.
    """
    if to is not None:
        if not is_template_name(to):
            raise InvalidRequest(f"{to!r} cannot name a template")
        if (folder / f"{to}.yaml").exists():
            raise ConfigError(
                f"{shown_path(folder / to)}.yaml is there already", hint="choose another --to"
            )
        return folder / f"{to}.yaml"
    stem = name.rpartition(".v")[0] if name.rpartition(".v")[2].isdigit() else name
    number = 2
    while (folder / f"{stem}.v{number}.yaml").exists():
        number += 1
    return folder / f"{stem}.v{number}.yaml"


def _write(path: Path, base: PromptTemplate, outcome: _Outcome) -> None:
    change = outcome.found.winner.change
    head = (
        f"# By `headrace prompts optimise` from {base.version}: {change}.\n"
        f"# Held out ({outcome.before.count} cases): {_shown(outcome.before)} before, "
        f"{_shown(outcome.after)} after.\n"
    )
    file = msgspec.structs.replace(outcome.found.winner.template.file, name="")
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as opened:
            opened.write(head + source_of(file))
    except OSError as error:
        raise ConfigError(f"{shown_path(path)} cannot be written: {error.strerror}") from error


def _shown(value: "Estimate") -> str:
    return f"{value.mean:.2f} ({value.low:.2f} to {value.high:.2f})"


def _print(base: PromptTemplate, outcome: _Outcome) -> None:
    parts, found = outcome.parts, outcome.found
    click.echo(
        f"{outcome.tried} candidates; {len(parts.search)} cases to search with, "
        f"{len(parts.pool)} to show as examples, {len(parts.held_out)} held out; "
        f"{outcome.asked} answers"
    )
    for at, each in enumerate(found.rounds, 1):
        click.echo(
            f"round {at}: {each.candidates} candidates, {each.cases} cases, best {each.best:.2f}"
        )
    if not found.winner.change:
        click.echo(f"nothing did better than {base.version}; nothing is written")
        click.echo(f"held out: {_shown(outcome.before)}")
        return
    change = outcome.difference
    click.echo(printable(f"best: {found.winner.change}"))
    click.echo(f"held out, before: {_shown(outcome.before)}")
    click.echo(f"held out, after:  {_shown(outcome.after)}")
    click.echo(f"difference:       {_shown(change.estimate)}, p = {change.p_value:.3f}")
    if outcome.written is None:
        click.echo("no better on the held-out cases; nothing is written")
    else:
        click.echo(f"wrote {shown_path(outcome.written)}")
        click.echo(f"compare: headrace prompts diff {base.name} {outcome.written.stem}", err=True)


def _plain(base: PromptTemplate, outcome: _Outcome) -> dict[str, object]:
    found = outcome.found
    return {
        "template": base.version,
        "winner": found.winner.template.digest,
        "change": found.winner.change,
        "rounds": [msgspec.to_builtins(each) for each in found.rounds],
        "cases": {
            "search": len(outcome.parts.search),
            "pool": len(outcome.parts.pool),
            "held_out": len(outcome.parts.held_out),
        },
        "answers": outcome.asked,
        "before": msgspec.to_builtins(outcome.before),
        "after": msgspec.to_builtins(outcome.after),
        "difference": {
            **msgspec.to_builtins(outcome.difference.estimate),
            "p_value": outcome.difference.p_value,
        },
        "written": None if outcome.written is None else shown_path(outcome.written),
    }
