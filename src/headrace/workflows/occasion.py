"""Runs that nobody asks for: at the times of a schedule, and when something has changed.

Any number of processes may look: each moment of an occasion is a row that only one of them can
insert, together with the run that it makes. What an occasion was seen at first makes no run: it is
what later moments are compared with.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from headrace.errors import HeadraceError
from headrace.workflows.file import ScheduleFile, TriggerFile
from headrace.workflows.run import Run
from headrace.workflows.schedule import MOST_CAUGHT_UP, times_between
from headrace.workflows.step import Place
from headrace.workflows.store import RunStore
from headrace.workflows.trigger import Look, look_of
from headrace.workflows.workflow import Workflow, read_workflow, workflow_paths

__all__ = ["Occasions", "upcoming"]

MISSED_AFTER_S = 120.0
"""A time that is later than this was missed; `catch_up` says what happens to it."""

_log = logging.getLogger(__name__)


class Occasions:
    """Looks at the schedules and triggers of a folder's workflows."""

    def __init__(
        self, store: RunStore, place: Place, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._place = place
        self._clock = clock
        self._files: dict[Path, tuple[float, Workflow | None]] = {}
        self._failing: set[str] = set()

    def workflows(self) -> Iterator[Workflow]:
        """Those that run by themselves; one whose file is wrong is left out, and logged once."""
        for path in workflow_paths(self._place.root).values():
            try:
                changed_at = path.stat().st_mtime
                known = self._files.get(path)
                if known is None or known[0] != changed_at:
                    self._files[path] = (changed_at, None)
                    found = read_workflow(path, self._place.environ, self._place.root)
                    known = self._files[path] = (changed_at, found)
            except OSError:
                continue  # deleted as we looked
            except HeadraceError as error:
                _log.error("it does not run by itself: %s", error.message)
                continue
            if known[1] is not None and known[1].runs_by_itself:
                yield known[1]

    def look(self) -> list[Run]:
        """Make the runs that are due."""
        made: list[Run] = []
        for workflow in self.workflows():
            for schedule in workflow.file.schedule:
                made += self._tried(workflow, partial(self._scheduled, workflow, schedule))
            for trigger in workflow.file.triggers:
                made += self._tried(workflow, partial(self._triggered, workflow, trigger))
        return made

    def _tried(self, workflow: Workflow, look: Callable[[], list[Run]]) -> list[Run]:
        """What fails for one occasion must not keep others from their runs."""
        try:
            found = look()
        except (HeadraceError, SQLAlchemyError, OSError) as error:
            if workflow.name not in self._failing:
                _log.error("%s does not run by itself: %s", workflow.name, error)
            self._failing.add(workflow.name)
            return []
        self._failing.discard(workflow.name)
        return found

    def _scheduled(self, workflow: Workflow, schedule: ScheduleFile) -> list[Run]:
        occasion = f"schedule {schedule.cron} {schedule.timezone}"
        now = datetime.fromtimestamp(self._clock(), UTC)
        last = self._store.last_moment(workflow.name, occasion)
        if last is None:
            self._store.tick(workflow.name, occasion, _moment(now))
            return []
        since = datetime.fromisoformat(last)
        due = list(times_between(schedule, since, now))[-MOST_CAUGHT_UP:]
        late = now - timedelta(seconds=MISSED_AFTER_S)
        missed = [each for each in due if each < late]
        if schedule.catch_up == "last":
            passed, wanted = due[:-1], due[-1:]
        elif schedule.catch_up == "skip":
            passed, wanted = missed, due[len(missed) :]
        else:
            passed, wanted = [], due
        for each in passed:
            self._store.tick(workflow.name, occasion, _moment(each))
        runs = (
            self._store.create_once(
                workflow,
                dict(schedule.variables),
                occasion=occasion,
                moment=_moment(each),
                who="schedule",
            )
            for each in wanted
        )
        return [each for each in runs if each is not None]

    def _triggered(self, workflow: Workflow, trigger: TriggerFile) -> list[Run]:
        look: Look = look_of(trigger)
        occasion = look.occasion
        last = self._store.last_moment(workflow.name, occasion)
        found = look.moment(self._store.database, self._place, last)
        if found is None or found == last:
            return []
        if last is None:
            self._store.tick(workflow.name, occasion, found)
            return []
        if not look.concerns(self._place, last, found):
            self._store.tick(workflow.name, occasion, found)
            return []
        run = self._store.create_once(
            workflow, dict(trigger.variables), occasion=occasion, moment=found, who="trigger"
        )
        return [] if run is None else [run]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def upcoming(schedule: ScheduleFile, now: datetime, count: int) -> list[datetime]:
    """The next times of a schedule, a year ahead at most."""
    return list(islice(times_between(schedule, now, now + timedelta(days=366)), count))
