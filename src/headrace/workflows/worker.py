"""The process that runs workflows while a service does: `python -m headrace.workflows.worker`.

It reads where from its standard input, and ends when that closes: with the service, however that
ends. What it leaves is taken over by whoever comes next.
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

__all__ = ["Orders"]

LOOK_EVERY_S = 2.0

_log = logging.getLogger(__name__)


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """The line that it reads."""

    root: str
    home: str
    database: str
    """An SQLAlchemy URL: never an argument, which every user of the machine could read."""
    look_every_s: float = LOOK_EVERY_S


def main() -> None:
    """Run what is due and what waits, until told to end."""
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)-7s workflows: %(message)s",
    )
    logging.getLogger("headrace").setLevel(logging.INFO)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    threading.Thread(target=_end_with_parent, args=(ending,), daemon=True).start()
    _work(orders, ending)


def _work(orders: Orders, ending: threading.Event) -> None:
    from headrace.storage.database import Database
    from headrace.workflows.engine import open_engine
    from headrace.workflows.occasion import Occasions
    from headrace.workflows.step import Place

    place = Place(root=Path(orders.root), home=Path(orders.home), environ=dict(os.environ))
    database = Database.open(orders.database)
    try:
        with open_engine(database, place) as engine:
            occasions = Occasions(engine.store, place)
            while not ending.is_set():
                for run in occasions.look():
                    _log.info("%s runs: %s", run.workflow, run.trigger)
                ending.wait(orders.look_every_s)
    finally:
        database.close()


def _end_with_parent(ending: threading.Event) -> None:
    # Not by `sys.stdin`: the interpreter could not end while a thread holds it.
    while os.read(0, 1024):
        pass
    ending.set()


if __name__ == "__main__":
    main()
