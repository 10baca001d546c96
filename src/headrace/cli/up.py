"""`headrace up`: run the service of this folder, and say where it is."""

import logging
import os
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from headrace import __version__
from headrace.cli.command import Command
from headrace.cli.place import Place

if TYPE_CHECKING:
    from headrace.server.run import Started

__all__ = ["up"]


MOST_WORKERS = 64


class WorkerCount(click.ParamType[int]):
    """A number of processes, or `auto`."""

    name = "N|auto"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if value == "auto":
            from headrace.models.embedded.cpu import usable_cpus

            return min(usable_cpus(), MOST_WORKERS)
        found: int = click.IntRange(1, MOST_WORKERS).convert(value, param, ctx)  # type: ignore[arg-type]  # it takes text
        return found


@click.command(cls=Command)
@click.option(
    "--host", help="Address to listen on, over `server.host`; 0.0.0.0 is every interface."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port, over `server.port`; 0 picks a free one."
)
@click.option(
    "--workers",
    type=WorkerCount(),
    default="1",
    show_default=True,
    help="Processes that answer, behind one port; `auto`: one for each CPU.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Once it answers, say so in one line of JSON."
)
def up(host: str | None, port: int | None, workers: int, as_json: bool) -> None:
    """Run the service of this folder until Ctrl-C or SIGTERM.

    Without a headrace.yaml the built-in assistant runs. The first start fetches the model's
    weights and prints an admin key. Editing the folder's files while it runs swaps the new
    configuration in, or keeps the old one and says why.
    """
    from headrace.cli.progress import FetchProgress
    from headrace.server.run import run

    _log_to_stderr()
    place = Place.here()
    with FetchProgress() as progress:

        def ready(started: "Started") -> None:
            progress.close()
            if as_json:
                click.echo(msgspec.json.encode(_described(started)))
            else:
                click.echo(_told(started))
            sys.stdout.flush()

        run(
            place.root,
            os.environ,
            host=host,
            port=port,
            progress=progress.report,
            ready=ready,
            workers=workers,
        )


def _log_to_stderr() -> None:
    """What happens while it runs, one line each; libraries only when something is wrong."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    logging.getLogger("headrace").setLevel(logging.INFO)


def _described(started: "Started") -> dict[str, object]:
    return {
        "url": started.url,
        "pid": os.getpid(),
        "home": str(started.home),
        "name": started.name,
        "release": started.release,
        "builtin": started.builtin,
        "admin_key": started.admin_secret,
        "workers": started.workers,
        "ready_s": round(started.ready_s, 3),
    }


def _told(started: "Started") -> str:
    ready = f"(ready in {started.ready_s:.1f} s)"
    if started.workers > 1:
        ready = f"with {started.workers} workers {ready}"
    lines = [
        f"headrace {__version__}: {started.name} answers on {started.url} {ready}",
        "",
        f"  chat page  {started.url}/",
        f"  API        {started.url}/v1  (OpenAI's; any OpenAI SDK)",
    ]
    if started.admin_secret is not None:
        lines.append(f"  admin key  {started.admin_secret}")
        lines.append(f"             (shown this once; kept in {started.home}/admin.key)")
    else:
        lines.append(f"  admin key  in {started.home}/admin.key")
    if started.builtin:
        lines += [
            "",
            "This is the built-in assistant; `headrace init` writes one to make your own.",
        ]
    if started.interrupted:
        lines += ["", f"{started.interrupted} turns were interrupted when it last ran; see"]
        lines.append("`headrace trace list --status interrupted`.")
    return "\n".join([*lines, "", "Ctrl-C stops it.", ""])
