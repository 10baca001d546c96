"""`headrace prompts list`, `show` and `history`: which templates and versions there are."""

import click

from headrace.cli.command import Command, json_option
from headrace.cli.prompts.desk import Desk
from headrace.cli.suggest import complete_prompts
from headrace.cli.terminal import print_json, print_table, printable
from headrace.config.node import shown_path
from headrace.console.figure import as_moment
from headrace.errors import NotFound
from headrace.prompts.library import builtin_source
from headrace.prompts.source import source_of

__all__ = ["history", "list_prompts", "show"]


@click.command("list", cls=Command)
@json_option
def list_prompts(as_json: bool) -> None:
    """List the templates: the service's own and the built-in ones."""
    with Desk.open() as desk:
        rows = [_listed(desk, name) for name in desk.library.names()]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["NAME", "VERSION", "~TAGS", "TASK", "LANGUAGES", ">TESTS", "FROM", "~DESCRIPTION"],
        [
            [
                str(row["name"]),
                str(row["digest"]).removeprefix("sha256:")[:12],
                " ".join(map(str, _list(row["tags"]))),
                str(row["task"]),
                " ".join(map(str, _list(row["languages"]))),
                str(row["tests"]),
                str(row["from"]),
                str(row["description"]),
            ]
            for row in rows
        ],
    )


@click.command(cls=Command)
@click.argument("reference", metavar="NAME[@VERSION]", shell_complete=complete_prompts)
@json_option
def show(reference: str, as_json: bool) -> None:
    """Print a template as a file: with its comments as it is now, in plain form as it was."""
    with Desk.open() as desk:
        template = desk.template(reference)
        path = desk.library.path(template.name)
    now = reference == template.name
    if now and path is not None:
        text = path.read_text("utf-8")
    elif "@" not in reference:
        text = builtin_source(template.name)
    else:
        text = source_of(template.file)
    if as_json:
        print_json(
            {
                "name": template.name,
                "digest": template.digest,
                "description": template.description,
                "variables": template.file.variables,
                "source": text,
            }
        )
        return
    click.echo(printable(text, lines=True).rstrip("\n"))


@click.command(cls=Command)
@click.argument("name", metavar="NAME", shell_complete=complete_prompts)
@json_option
def history(name: str, as_json: bool) -> None:
    """List the versions of a template, oldest first, and the moves of its tags."""
    with Desk.open() as desk:
        versions = desk.store.versions(name) if desk.store is not None else []
        moves = desk.store.history(name) if desk.store is not None else []
        if not versions:
            desk.library.get(name)
            raise NotFound(
                f"no version of {name!r} is kept here yet",
                hint="versions are kept when the service runs, and by `headrace prompts test`",
            )
        known = desk.library.names()
        current = desk.library.get(name).digest if name in known else ""
    if as_json:
        print_json(
            {
                "versions": [
                    {
                        "version": f"v{each.number}",
                        "digest": each.digest,
                        "created_at": each.created_at,
                        "tags": each.tags,
                        "is_current": each.digest == current,
                    }
                    for each in versions
                ],
                "tags": [
                    {"tag": each.tag, "digest": each.digest or None, "at": each.at}
                    for each in moves
                ],
            }
        )
        return
    print_table(
        ["VERSION", "DIGEST", "FIRST SEEN", "TAGS"],
        [
            [
                f"v{each.number}",
                each.digest.removeprefix("sha256:")[:12],
                as_moment(each.created_at),
                " ".join([*each.tags, *(["(current)"] if each.digest == current else [])]),
            ]
            for each in versions
        ],
    )
    numbers = {each.digest: f"v{each.number}" for each in versions}
    for move in moves:
        to = numbers.get(move.digest, "nothing")
        click.echo(f"{as_moment(move.at)}  {printable(move.tag)} -> {to}")


def _listed(desk: Desk, name: str) -> dict[str, object]:
    template = desk.library.get(name)
    path = desk.library.path(name)
    versions = desk.store.versions(name) if desk.store is not None else []
    tags = [tag for each in versions for tag in each.tags]
    scenario = template.file.scenario
    return {
        "name": name,
        "digest": template.digest,
        "tags": tags,
        "versions": len(versions),
        "task": scenario.task,
        "languages": scenario.languages,
        "tests": len(template.file.tests),
        "from": "built in" if path is None else shown_path(path),
        "description": template.description,
    }


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
