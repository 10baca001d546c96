"""The trace of the turn that has just ended, which may still be on its way to the database."""

import time

import click

from headrace.cli.chat.partner import Partner, Reply
from headrace.cli.place import Place
from headrace.cli.terminal import console
from headrace.cli.unread import Unread
from headrace.cli.waterfall import print_trace
from headrace.errors import NotFound
from headrace.telemetry.store import TraceStore
from headrace.telemetry.trace import Trace

__all__ = ["show_last_trace"]

WRITTEN_WITHIN_S = 2.0
LOOK_EVERY_S = 0.05


def show_last_trace(last: Reply, partner: Partner, place: Place) -> None:
    """Print it, or say where it can be seen."""
    if not last.trace_id:
        click.echo("no question has been answered yet", err=True)
        return
    try:
        trace = _written(last.trace_id, place)
    except NotFound:
        # The service's state is elsewhere: on another machine, or in another home.
        where = f"{partner.url}/traces/{last.trace_id}" if partner.url else last.trace_id
        click.echo(f"the trace is not in {place.home}; see {where}", err=True)
    else:
        print_trace(console(), trace)


def _written(trace_id: str, place: Place) -> Trace:
    until = time.monotonic() + WRITTEN_WITHIN_S
    with place.database() as database:
        store = TraceStore(database, Unread())
        while True:
            try:
                return store.get(trace_id)
            except NotFound:
                if time.monotonic() > until:
                    raise
            time.sleep(LOOK_EVERY_S)
