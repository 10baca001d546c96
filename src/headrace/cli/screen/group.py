"""The commands under `headrace screen`, each imported when it is called."""

import click

from headrace.cli.lazy import Lazy, LazyGroup

__all__ = ["screen"]

_HERE = "headrace.cli.screen"

COMMANDS: dict[str, Lazy] = {
    "run": Lazy(
        f"{_HERE}.run", "run", "Show what is found in TEXT and what a policy does about it."
    ),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def screen() -> None:
    """See, test and rehearse what the service's policies do, and review what they held back."""
