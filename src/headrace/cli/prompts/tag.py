"""`headrace prompts tag`: releasing a version under a name that services and requests can use."""

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import who
from headrace.cli.prompts.desk import Desk
from headrace.cli.suggest import complete_prompts
from headrace.cli.terminal import print_json, printable
from headrace.prompts.store import TAGS_FILE

__all__ = ["tag"]


@click.command(cls=Command)
@click.argument("name", metavar="NAME", shell_complete=complete_prompts)
@click.argument("version")
@click.argument("label", metavar="TAG")
@click.option("--remove", is_flag=True, help="Take the tag off that version instead.")
@click.option("--why", default="", metavar="TEXT", help="For the audit log.")
@json_option
def tag(name: str, version: str, label: str, remove: bool, why: str, as_json: bool) -> None:
    """Put TAG on a VERSION: `current` (the file as it is), v3, another tag, or a digest.

    From then on `template: NAME@TAG` means that version, whatever happens to the file. A running
    service takes it over within a second or two. Who moved what when: `headrace prompts history`.
    """
    with Desk.open(keep=True) as desk:
        assert desk.store is not None
        wanted = desk.library.get(name).digest if version == "current" else version
        found = desk.store.find(name, wanted)
        if remove:
            if label not in found.tags:
                raise click.UsageError(f"v{found.number} does not have the tag {label!r}")
            before = desk.store.untag(name, label, who=who(), why=why)
        else:
            before = desk.store.tag(found, label, who=who(), why=why)
        (desk.place.home / TAGS_FILE).touch()
    if as_json:
        print_json(
            {
                "name": name,
                "tag": label,
                "version": None if remove else f"v{found.number}",
                "digest": None if remove else found.digest,
                "before": None if before is None else f"v{before.number}",
            }
        )
        return
    was = "" if before is None else f" (was v{before.number})"
    to = "nothing" if remove else f"v{found.number}, {found.label}"
    click.echo(printable(f"{name}@{label} is {to}{was}"))
