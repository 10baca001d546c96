"""The durable engine: DBOS remembers how far each run is, and which process may go on with it.

One engine a process. It begins runs that wait, ends those that somebody cancels, and takes over
those of processes that will never come back. Importing DBOS takes a second: only where runs run.
"""

import asyncio
import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy
from dbos import DBOS, DBOSConfig, SetWorkflowID, error
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from headrace.errors import HeadraceError
from headrace.storage.database import Database
from headrace.workflows.claim import Claim, RunLost
from headrace.workflows.drive import Active, Drive
from headrace.workflows.lease import Lease
from headrace.workflows.run import Run
from headrace.workflows.state import RunStatus
from headrace.workflows.step import Place, StepRunner
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import kept_workflow

__all__ = ["CONNECTIONS", "DBOS_FILE", "Engine", "open_engine"]

DBOS_FILE = "engine.db"
"""DBOS's own database, in the home's folder `workflows`, where ours is SQLite."""
VERSION = "headrace-1"
"""Of what a run is for DBOS: raised when one that began before could not go on."""
QUEUE_EVERY_S = 0.1
LOOK_EVERY_S = 0.2
TAKE_OVER_EVERY_S = 2.0
SETTLE_S = 3.0
_BUSY_S = 30.0
CONNECTIONS = 5
"""Of DBOS to PostgreSQL, beside the one on which it listens. Each is held for one short transaction,
but for those of its locks: 480 steps in six queues, 16 at a time each, took as long with 2 as with 20.
"""

_log = logging.getLogger(__name__)
_current: "Engine | None" = None
"""The engine of this process: DBOS is one of a kind, too."""


class Engine:
    """See the module. Made by `open_engine`."""

    def __init__(self, database: Database, place: Place, lease: Lease, *, only: str | None) -> None:
        self.store = RunStore(database)
        self.lease = lease
        self._place = place
        self._only = only
        self._active: dict[str, Active] = {}
        self._submitted: set[tuple[str, int]] = set()
        self._ended: list[str] = []
        """Runs, as DBOS knows them, that have ended here and that it need not remember."""
        self._idle: set[tuple[str, int]] = set()
        """Runs of this process that nothing in it worked on when it looked last."""
        self._closing = threading.Event()
        self.launched = False
        self._looking = threading.Thread(target=self._look, name="workflow-engine", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._looking.start()
        self.launched = True

    def close(self) -> None:
        """Stop at once: what is under way is left for whoever comes next."""
        self._closing.set()
        for each in list(self._active.values()):
            each.lose()
        if self._looking.ident is not None:
            self._looking.join()

    def settle(self) -> None:
        """Let DBOS note, and then forget, what has just ended."""
        until = time.monotonic() + SETTLE_S
        self.forget_ended()
        while self._ended and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S / 4)
            self.forget_ended()

    def leaves_nothing(self) -> bool:
        """Whether no run is this process's, so that nobody has to take anything over."""
        mine = DBOS.list_workflows(status="PENDING", executor_id=self.lease.id, limit=1)
        return not self._active and not mine

    # ---- from the thread that looks after everything

    def _look(self) -> None:
        waited = TAKE_OVER_EVERY_S
        failing = False
        while not self._closing.wait(LOOK_EVERY_S):
            waited += LOOK_EVERY_S
            try:
                self._end_cancelled()
                self._submit_queued()
                if waited >= TAKE_OVER_EVERY_S:
                    waited = 0.0
                    self._end_lost()
                    self._take_over()
                    self._begin_idle_again()
                    self.forget_ended()
                failing = False
            except (SQLAlchemyError, HeadraceError, error.DBOSException):
                if not failing:
                    _log.exception("runs are not looked after for the moment")
                failing = True

    def _end_cancelled(self) -> None:
        active = dict(self._active)
        for run_id in self.store.cancelling(list(active)) if active else ():
            active[run_id].stopping.set()

    def _end_lost(self) -> None:
        """What was taken over: two processes must not be at the same steps for long."""
        active = dict(self._active)
        claims = [each.claim for each in active.values()]
        for run_id in self.store.lost(claims) if claims else ():
            active[run_id].lose()

    def _submit_queued(self) -> None:
        for run in self.store.runs(statuses=("queued",), oldest_first=True):
            mark = (run.id, run.attempt)
            if mark in self._submitted or (self._only is not None and run.id != self._only):
                continue
            self.submit(run)
            self._submitted.add(mark)

    def submit(self, run: Run) -> None:
        """Put a run into its queue. Doing it again, from anywhere, changes nothing."""
        try:
            workflow = kept_workflow(run.workflow, run.text, self._place.environ, self._place.root)
        except HeadraceError as wrong:
            self._refuse(run, wrong.message)
            return
        queue = workflow.queue
        DBOS.register_queue(
            queue.name,
            global_concurrency=queue.concurrency,
            polling_interval_sec=QUEUE_EVERY_S,
            on_conflict="always_update",
        )
        with SetWorkflowID(_engine_id(run)):
            DBOS.enqueue_workflow(queue.name, _run_in_engine, run.id)

    def _refuse(self, run: Run, why: str) -> None:
        """End a run that cannot even begin."""
        claimed = self.store.claim(run.id, self.lease.id)
        if claimed is not None:
            self.store.finish(claimed[0], "failed", why)

    def _take_over(self) -> None:
        """Let runs go on whose executor will never come back."""
        for executor in self.lease.dead():
            found = DBOS._recover_pending_workflows([executor])  # noqa: SLF001 - the only way
            if found:
                _log.warning("%d runs are taken over from the executor %s", len(found), executor)
            self.lease.forget(executor)

    def forget_ended(self) -> None:
        """Delete what DBOS kept of runs that have ended: our tables have all that is asked for."""
        if not self._ended:
            return
        found = DBOS.list_workflows(
            workflow_ids=list(self._ended), status=["SUCCESS", "ERROR"], load_input=False,
            load_output=False,
        )  # fmt: skip
        gone = [each.workflow_id for each in found]
        if gone:
            DBOS.delete_workflows(gone)
            self._ended = [each for each in self._ended if each not in gone]

    def _begin_idle_again(self) -> None:
        """Runs whose end could not be noted, the database being sick, are taken up again."""
        idle: set[tuple[str, int]] = set()
        for run in self.store.runs(statuses=("running",), oldest_first=True):
            if run.executor == self.lease.id and run.id not in self._active:
                idle.add((run.id, run.epoch))
                if (run.id, run.epoch) in self._idle:
                    # What DBOS knows as the run until now may hold a place of its queue.
                    DBOS.cancel_workflow(_engine_id(run))
                    self.store.begin_again(run)
        self._idle = idle

    # ---- from DBOS's event loop

    async def work(self, run_id: str) -> str:
        """Do a run, from wherever it is, to its end."""
        # Whoever begins something must be noted, or nobody would take it over.
        await asyncio.to_thread(self.lease.renew)
        claimed = await asyncio.to_thread(self.store.claim, run_id, self.lease.id)
        if claimed is None:
            return "ended"
        claim, run = claimed
        if (before := self._active.get(run_id)) is not None:
            before.lose()  # taken from this process as if it were dead, and come back to it
        active = Active(claim)
        self._active[run_id] = active
        try:
            status, why = await self._driven(claim, run, active)
            await asyncio.to_thread(self.store.finish, claim, status, why)
            self._ended.append(_engine_id(run))
        except RunLost:
            # DBOS then lets this execution wait for what the run's new owner makes of it.
            raise error.DBOSWorkflowConflictIDError(_engine_id(run)) from None
        finally:
            if self._active.get(run_id) is active:
                del self._active[run_id]
        return status

    async def _driven(self, claim: Claim, run: Run, active: Active) -> tuple[RunStatus, str]:
        try:
            return await Drive(self.runner(claim, run, active), run, active, self.store).through()
        except (RunLost, error.DBOSException):
            raise
        except HeadraceError as wrong:
            return "failed", wrong.message
        except Exception as wrong:
            if self._closing.is_set():
                raise RunLost(run.id) from wrong
            _log.exception("the run %s broke off", run.id)
            return "failed", f"{type(wrong).__name__}: {wrong}"

    def runner(self, claim: Claim, run: Run, active: Active) -> StepRunner:
        """What does the steps of a run."""
        workflow = kept_workflow(run.workflow, run.text, self._place.environ, self._place.root)
        return StepRunner(
            workflow,
            run,
            claim,
            workflow.plan(run.variables),
            self.store,
            self._place,
            stopping=active.stopping,
            lost=active.lost,
            closing=self._closing,
            living=self.lease.living,
        )


@DBOS.workflow(name="headrace.run", max_recovery_attempts=None)
async def _run_in_engine(run_id: str) -> str:
    assert _current is not None
    return await _current.work(run_id)


@contextmanager
def open_engine(
    database: Database, place: Place, *, only: str | None = None, lease: Lease | None = None
) -> Iterator[Engine]:
    """An engine that works until the end of the block.

    Args:
        only: the one run to begin; absent: all that wait.
    """
    global _current  # noqa: PLW0603
    assert _current is None, "this process has an engine already"
    with lease or Lease(database, place.home) as held:
        _current = engine = Engine(database, place, held, only=only)
        try:
            _log_to_this_console()
            DBOS(config=_config(database, place.home, held.id))
            if only is not None:
                run = engine.store.get(only)
                workflow = kept_workflow(run.workflow, run.text, place.environ, place.root)
                DBOS.listen_queues([workflow.queue.name])
            DBOS.launch()
            engine.start()
            yield engine
        finally:
            engine.close()
            is_free = False
            if engine.launched:
                # A sick database: the row stays, and whoever comes next looks after it.
                with suppress(SQLAlchemyError, error.DBOSException):
                    engine.settle()
                    is_free = engine.leaves_nothing()
            DBOS.destroy()
            _current = None
            if is_free:
                held.forget(held.id)


def _engine_id(run: Run) -> str:
    """The run as DBOS knows it: begun again after its end, it is another one there."""
    return run.id if run.attempt == 1 else f"{run.id}.{run.attempt}"


def _log_to_this_console() -> None:
    """DBOS logs to what was standard error when it was imported, which may be closed by now."""
    for handler in logging.getLogger("dbos").handlers:
        if type(handler) is logging.StreamHandler:
            handler.stream = sys.stderr


def _config(database: Database, home: Path, executor: str) -> DBOSConfig:
    config: DBOSConfig = {
        "name": "headrace",
        "executor_id": executor,
        "application_version": VERSION,
        "log_level": "ERROR",
        "console_log_level": "ERROR",
        "notification_listener_polling_interval_sec": 1.0,
    }
    url = database.engine.url
    if url.get_backend_name() == "sqlite":
        file = home / "workflows" / DBOS_FILE
        config["system_database_url"] = f"sqlite:///{file}"
        config["system_database_engine"] = _sqlite(file)
    else:
        config["sys_db_pool_size"] = CONNECTIONS
        config["system_database_url"] = url.set(drivername="postgresql").render_as_string(
            hide_password=False
        )
    return config


def _sqlite(file: Path) -> sqlalchemy.Engine:
    """In WAL mode: eight times the steps a second of what DBOS would make (measured)."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = sqlalchemy.create_engine(f"sqlite:///{file}", connect_args={"timeout": _BUSY_S})

    @event.listens_for(engine, "connect")
    def configure(dbapi: object, entry: object) -> None:
        del entry
        assert isinstance(dbapi, sqlite3.Connection)
        dbapi.isolation_level = "IMMEDIATE"
        for pragma in (
            f"busy_timeout = {int(_BUSY_S * 1000)}",
            "journal_mode = WAL",
            # As our own database: a commit survives kill -9.
            "synchronous = NORMAL",
            "foreign_keys = ON",
        ):
            dbapi.execute(f"PRAGMA {pragma}").close()

    return engine
