"""`headrace prompts test`: a template's tests, on the real model, through the whole pipeline."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.progress import FetchProgress
from headrace.cli.prompts.desk import LOCAL, Desk
from headrace.cli.prompts.junit import junit_xml
from headrace.cli.suggest import complete_models, complete_prompts
from headrace.cli.terminal import print_json, printable
from headrace.console.figure import as_seconds
from headrace.pipeline.trial import Trial
from headrace.prompts.template import PromptTemplate

__all__ = ["test"]

FAILED = 1
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which tests, and of whom."""

    model: str | None
    case: str
    """Part of a test's name; empty: any."""
    skip_none: bool


@click.command(cls=Command)
@click.argument(
    "references", metavar="[NAME[@VERSION]]...", nargs=-1, shell_complete=complete_prompts
)
@click.option("--model", shell_complete=complete_models, help="The model to ask.")
@click.option("--case", help="Only tests whose name contains this.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report as JUnit XML to this file.",
)
@click.option("--builtin", is_flag=True, help="Test the built-in templates too.")
@click.option("--all", "skip_none", is_flag=True, help="Skip nothing, whatever a test requires.")
@json_option
@click.pass_context
def test(
    context: click.Context,
    references: tuple[str, ...],
    model: str | None,
    case: str | None,
    junit: Path | None,
    builtin: bool,
    skip_none: bool,
    as_json: bool,
) -> None:
    """Run the tests of templates: the service's own, or those named. Exits with 1 if one fails.

    Each test is a turn through the pipeline of headrace.yaml, at temperature 0 with one seed; no
    answer is taken from a cache or put into one. Tests that ask for more than the model is are
    skipped, and said to be; --all asks them all the same, as for a model that no catalogue knows.
    """
    wanted = _Wanted(model, (case or "").casefold(), skip_none)
    with Desk.open(keep=True) as desk:
        chosen = references or _all(desk, builtin=builtin)
        templates = [desk.template(each) for each in chosen]
        with FetchProgress() as progress:
            trials = asyncio.run(_run(desk, templates, wanted, progress, quiet=as_json))
    if junit is not None:
        junit.write_bytes(junit_xml(trials))
    if as_json:
        print_json([msgspec.to_builtins(each) for each in trials])
    else:
        counts = {
            outcome: sum(each.outcome == outcome for each in trials)
            for outcome in ("passed", "failed", "error", "skipped")
        }
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        click.echo(told or "no tests", err=True)
    context.exit(FAILED if any(each.outcome in ("failed", "error") for each in trials) else 0)


def _all(desk: Desk, *, builtin: bool) -> list[str]:
    names = desk.library.names()
    return [name for name in names if builtin or desk.library.path(name) is not None]


async def _run(
    desk: Desk,
    templates: list[PromptTemplate],
    wanted: _Wanted,
    progress: FetchProgress,
    *,
    quiet: bool,
) -> list[Trial]:
    from headrace.pipeline.trial import try_case

    trials: list[Trial] = []
    async with desk.platform(progress.report) as platform:
        progress.close()
        platform.service.models.get(wanted.model)
        for template in templates:
            for each in template.file.tests:
                if wanted.case not in each.name.casefold():
                    continue
                trial = await try_case(
                    platform.service,
                    LOCAL,
                    template,
                    each,
                    model=wanted.model,
                    whatever_it_requires=wanted.skip_none,
                )
                trials.append(trial)
                if not quiet:
                    _print(trial)
    return trials


def _print(trial: Trial) -> None:
    took = f"  {as_seconds(trial.seconds)}" if trial.seconds else ""
    colour = {"passed": "green", "failed": "red", "error": "red"}.get(trial.outcome)
    click.secho(f"{trial.outcome:<8}", fg=colour, nl=False)
    click.echo(printable(f"{trial.template}  {trial.name}{took}"))
    for reason in trial.reasons:
        click.echo(printable(f"         {reason}"))
    if trial.outcome == "failed":
        text = " ".join(trial.answer.split())
        click.echo(printable(f"         it said: {text[:_SHOWN]}"))
