"""`headrace data from-traces`: examples from what was really asked, of people who allow it."""

import os
import time
from collections.abc import Callable, Iterable, Iterator

import click
from sqlalchemy import select

from headrace.cli.command import Command, json_option
from headrace.cli.data.anonymise import Names
from headrace.cli.data.place import described
from headrace.cli.place import Place
from headrace.cli.release.stage import Duration
from headrace.cli.terminal import print_json, printable
from headrace.datasets.anonymise import Fields, anonymise
from headrace.datasets.anonymity import Goal
from headrace.datasets.example import Example
from headrace.datasets.guarantee import of_anonymity
from headrace.datasets.harvest import Harvest, Wanted, harvest
from headrace.datasets.store import Added, DatasetStore
from headrace.privacy.consent import ConsentStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import feedback
from headrace.telemetry.feedback import corrections
from headrace.telemetry.store import TraceStore
from headrace.telemetry.trace import Trace

__all__ = ["QUASI", "from_traces", "harvested"]

PAGE = 500
QUASI = ("language", "release")
"""What an example of a turn has beside its texts."""


@click.command("from-traces", cls=Command)
@click.argument("name")
@click.option("--since", "since_s", type=Duration(), default="30d", show_default=True)
@click.option("--rated", type=click.Choice(["good"]), help="Only answers that were rated so.")
@click.option("--corrected", is_flag=True, help="Only answers that somebody has corrected.")
@click.option(
    "--pairs", is_flag=True, help="Preference pairs: each correction before what was answered."
)
@click.option("--model", help="Only of this model.")
@click.option("--language", metavar="CODE", help="Only in this language: en, zh.")
@click.option("--template", help="Only by this prompt template.")
@click.option(
    "--policy", default="default", show_default=True, help="What is masked, by its rules."
)
@click.option(
    "--k",
    type=click.IntRange(min=2),
    help="Anonymise: so many people must look alike by --quasi. NAME holds these turns alone then.",
)
@click.option(
    "--quasi",
    type=Names(),
    default=QUASI,
    help=f"Fields of the metadata that --k is about. [default: {','.join(QUASI)}]",
)
@click.option(
    "--suppress",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the examples that may be left out for --k.",
)
@json_option
def from_traces(
    name: str,
    since_s: float,
    rated: str | None,
    corrected: bool,
    pairs: bool,
    model: str | None,
    language: str | None,
    template: str | None,
    policy: str,
    k: int | None,
    quasi: tuple[str, ...],
    suppress: float,
    as_json: bool,
) -> None:
    """Add examples made of traces to the dataset NAME.

    Only of people whose consent for training holds now (`headrace consent give`). Where somebody
    has corrected the answer (`correction` of a rating), the correction is learned. What the policy
    finds is masked for good before it is written; each example keeps its trace, person and
    consent, and goes with the person when they are erased.
    """
    wanted = Wanted(
        least_score=1 if rated == "good" else None,
        model=model,
        language=language,
        template=template,
        only_corrected=corrected,
        as_pairs=pairs,
    )
    with Place.here().database() as database:
        added, report, people = harvested(
            Place.here(),
            database,
            name,
            since_s,
            wanted,
            policy,
            anonymous=None
            if k is None
            else (Fields(quasi=quasi), Goal(k=k, most_suppressed=suppress)),
        )
    anonymity = added.version.manifest.anonymity
    if as_json:
        print_json(
            {
                **described(added.version),
                "looked_at": report.looked_at,
                "taken": report.taken,
                "added": added.rows,
                "left_out": dict(report.left_out),
                "masked": dict(report.masked),
                "people": people,
                "anonymity": anonymity,
            }
        )
        return
    click.echo(f"{report.looked_at:,} turns looked at, {report.taken:,} taken, {added.rows:,} new")
    for reason, count in report.left_out.most_common():
        click.echo(f"  {count:>8,} {reason}")
    for kind, count in report.masked.most_common():
        click.echo(f"  {count:>8,} × {kind} masked")
    if anonymity is not None:
        for each in of_anonymity(anonymity):
            click.echo(printable(each))
    version = added.version
    click.echo(f"{version.reference}: {version.rows:,} rows, {version.digest[:19]}…")


def harvested(
    place: Place,
    database: Database,
    name: str,
    since_s: float,
    wanted: Wanted,
    policy: str,
    *,
    anonymous: tuple[Fields, Goal] | None = None,
) -> tuple[Added, Harvest, int]:
    """Add what is wanted of the turns of the last `since_s` seconds to a dataset.

    Args:
        anonymous: how far the people of the examples must look alike; the new version holds these
            examples alone then.

    Returns: what adding came to, what became of the turns, and how many people allow it.
    """
    report = Harvest()
    vault = Vault.open(database, place.home, environ=os.environ)
    held = ConsentStore(database, vault).holding("training")
    turns = _turns(TraceStore(database, vault), time.time() - since_s, set(held))
    examples = harvest(
        turns,
        {subject: each.id for subject, each in held.items()},
        _scores(database),
        corrections(database, vault, set(held)),
        _masker(place, policy),
        wanted,
        report,
    )
    store = DatasetStore(database, vault, place.home)
    what = f"traces of the last {since_s / 86_400:g} days"
    if anonymous is None:
        return store.add(name, examples, what=what), report, len(held)
    # Once each, and before anyone is counted: an example that came twice is written once.
    once: dict[str, Example] = {}
    for each in examples:
        once.setdefault(each.id, each)
    fields, goal = anonymous
    added = anonymise(store, name, once.values, fields, goal, source=what)
    return added, report, len(held)


def _turns(traces: TraceStore, since: float, people: set[str]) -> Iterator[Trace]:
    """Chats since then, newest first; texts are only read of people who allow it."""
    before: str | None = None
    while page := traces.list(limit=PAGE, before=before):
        for each in page:
            if each.started_at < since:
                return
            if each.operation == "chat":
                yield traces.get(each.id) if each.subject in people else each
        before = page[-1].id


def _scores(database: Database) -> dict[str, int]:
    """The last rating of each trace."""
    query = select(feedback.c.trace_id, feedback.c.score).order_by(feedback.c.id)
    with database.read() as connection:
        return {row.trace_id: row.score for row in connection.execute(query)}


def _masker(place: Place, name: str) -> Callable[[str], tuple[str, Iterable[str]]]:
    """A text with everything masked that the policy masks or blocks in prompts."""
    from headrace.screening.match import find_matches, merge
    from headrace.screening.placeholder import placeholder_name
    from headrace.screening.policy import PolicyLibrary

    rules = PolicyLibrary.load(place.root, os.environ).get(name).input

    def mask(text: str) -> tuple[str, list[str]]:
        found = merge(find_matches(text, 0, rules.acting, rules))
        parts: list[str] = []
        at = 0
        for match in found:
            parts += (text[at : match.start], f"[{placeholder_name(match.kind)}]")
            at = match.end
        return "".join((*parts, text[at:])), [match.kind for match in found]

    return mask
