"""Runs and their answers in the database, sealed under a key of the suite."""

import hashlib
import time
from collections.abc import Callable

import msgspec
from sqlalchemy import delete, insert, select

from headrace.errors import NotFound, did_you_mean
from headrace.evaluation.drift.live import LIVE
from headrace.evaluation.run import Run
from headrace.ids import new_id
from headrace.privacy.vault import Vault
from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.tables import evaluation_answers, evaluation_runs

__all__ = ["AnswerCache", "KeptRun", "RunStore"]


class KeptRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that ended."""

    id: str
    created_at: float
    run: Run


class AnswerCache:
    """The kept answers and scores of one suite. Reads and writes the database: not for an event loop."""

    def __init__(
        self, database: Database, vault: Vault, suite: str, *, fresh: bool = False
    ) -> None:
        """
        Args:
            fresh: what was kept before is replaced, not read.
        """
        self._fresh = fresh
        self._database = database
        self._vault = vault
        self._subject = _subject(suite)
        vault.unlock_now(self._subject)

    def get(self, key: str) -> bytes | None:
        if self._fresh:
            return None
        table = evaluation_answers
        with self._database.read() as connection:
            row = connection.execute(
                select(table.c.answer_sealed).where(table.c.key == self._key(key))
            ).first()
        if row is None:
            return None
        return self._vault.unseal_bytes_if_kept(self._subject, row[0])

    def put(self, key: str, data: bytes) -> None:
        sealed = self._vault.seal_bytes(self._subject, data)
        row = {"key": self._key(key), "answer_sealed": sealed, "created_at": time.time()}
        with self._database.write() as connection:
            if self._fresh:
                table = evaluation_answers
                connection.execute(delete(table).where(table.c.key == row["key"]))
            connection.execute(insert_or_ignore(connection, evaluation_answers), row)

    def _key(self, key: str) -> str:
        # With the suite: its answers open with its own key only.
        return hashlib.sha256(f"{self._subject}\n{key}".encode()).hexdigest()


class RunStore:
    """Runs that ended. Reads and writes the database: not for an event loop."""

    def __init__(
        self, database: Database, vault: Vault, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    def keep(self, run: Run) -> KeptRun:
        kept = KeptRun(id=f"run-{new_id()}", created_at=self._clock(), run=run)
        self._vault.unlock_now(_subject(run.suite))
        row = {
            "id": kept.id,
            "suite": run.suite,
            "created_at": kept.created_at,
            "run_sealed": self._vault.seal_bytes(_subject(run.suite), msgspec.json.encode(run)),
        }
        with self._database.write() as connection:
            connection.execute(insert(evaluation_runs), row)
        return kept

    def get(self, run_id: str, *, suite: str | None = None) -> KeptRun:
        """
        Args:
            suite: whose run it must be.

        Raises:
            NotFound: there is none; the hint names the nearest.
        """
        found = self._select(evaluation_runs.c.id, run_id, 1)
        if found and suite in (None, found[0].run.suite):
            return found[0]
        of = f" of the suite {suite!r}" if suite else ""
        query = select(evaluation_runs.c.id).order_by(evaluation_runs.c.id.desc()).limit(50)
        if suite:
            query = query.where(evaluation_runs.c.suite == suite)
        with self._database.read() as connection:
            known = list(connection.execute(query).scalars())
        raise NotFound(
            f"there is no run {run_id!r}{of}", hint=did_you_mean(run_id, known, kind="runs")
        )

    def of_suite(self, suite: str, *, limit: int = 50) -> list[KeptRun]:
        """The newest first."""
        return self._select(evaluation_runs.c.suite, suite, limit)

    def live(self, *, limit: int) -> list[KeptRun]:
        """Runs over real traffic, the newest first."""
        with self._database.read() as connection:
            suites = connection.execute(select(evaluation_runs.c.suite).distinct()).scalars().all()
        found = [each for suite in suites for each in self.of_suite(suite, limit=limit)]
        return [each for each in found if each.run.release == LIVE]

    def _select(self, column: object, value: str, limit: int) -> list[KeptRun]:
        table = evaluation_runs
        with self._database.read() as connection:
            rows = connection.execute(
                select(table).where(column == value).order_by(table.c.id.desc()).limit(limit)  # type: ignore[arg-type]  # a column compared is a clause
            ).all()
        found = []
        for row in rows:
            data = self._vault.unseal_bytes_if_kept(_subject(row.suite), row.run_sealed)
            if data is not None:
                run = msgspec.json.decode(data, type=Run)
                found.append(KeptRun(id=row.id, created_at=row.created_at, run=run))
        return found


def _subject(suite: str) -> str:
    return f"evaluation:{suite}"
