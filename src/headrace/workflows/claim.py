"""Who may say what comes of a run: the executor that took it last."""

from typing import cast

import msgspec
from sqlalchemy import ColumnElement, Connection, Insert, Table, select

from headrace.storage.database import insert_or_ignore
from headrace.storage.tables import workflow_runs

__all__ = ["Claim", "RunLost", "check_claim", "held", "inserted"]


class RunLost(Exception):
    """The run belongs to another executor now: what this one knows of it does not count any more."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An executor's right to say what comes of a run."""

    run_id: str
    executor: str
    epoch: int


def held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a run still is an executor's."""
    c = workflow_runs.c
    return (c.id == claim.run_id, c.executor == claim.executor, c.epoch == claim.epoch)


def check_claim(connection: Connection, claim: Claim) -> None:
    """Raises RunLost when the run is another's; else it stays this one's to the transaction's end."""
    query = select(workflow_runs.c.id).where(*held(claim))
    if connection.dialect.name != "sqlite":
        query = query.with_for_update()
    if connection.execute(query).first() is None:
        raise RunLost(claim.run_id)


def inserted(connection: Connection, table: Table, values: dict[str, object]) -> bool:
    """Insert a row unless there is one of its key; whether it was inserted.

    Asked by RETURNING: the count of rows that drivers give is not always one.
    """
    statement = cast("Insert", insert_or_ignore(connection, table)).values(values)
    return connection.execute(statement.returning(table.c.run_id)).first() is not None
