"""The commands under `headrace screen`, each imported when it is called."""

import click

from headrace.cli.lazy import Lazy, LazyGroup

__all__ = ["screen"]

_HERE = "headrace.cli.screen"

COMMANDS: dict[str, Lazy] = {
    "bias": Lazy(
        f"{_HERE}.bias",
        "bias",
        "Ask the same about people of different groups, and test whether the answers differ.",
    ),
    "run": Lazy(
        f"{_HERE}.run",
        "run",
        "Show what is found in TEXT and what a policy does about it. `-` reads standard input.",
    ),
    "test": Lazy(
        f"{_HERE}.test",
        "test",
        "Run the cases of policies: of FILES and folders, or of policies/. Exits with 1 if one fails.",
    ),
    "replay": Lazy(
        f"{_HERE}.replay",
        "replay",
        "Report what a policy would do about recent turns, beside what was done. Nothing is sent.",
    ),
    "review": Lazy(
        f"{_HERE}.review", "review", "List, read and decide what policies gave to a person."
    ),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def screen() -> None:
    """See, test and rehearse what the service's policies do, and review what they held back."""
