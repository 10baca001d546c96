"""The audit log: in it with the change or not at all, and nothing of it changed or cut off unseen."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from headrace.access.audit import AuditLog, Change, changing
from headrace.access.keys import KeyStore
from headrace.errors import HeadraceError
from headrace.storage.database import Database
from headrace.storage.tables import api_keys, audit_log, meta

KEY = b"k" * 32


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database.open(tmp_path_factory.mktemp("audit") / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def log(database: Database) -> AuditLog:
    return fresh(database)


def fresh(database: Database) -> AuditLog:
    with database.write() as connection:
        for table in (audit_log, api_keys):
            connection.execute(delete(table))
        connection.execute(delete(meta).where(meta.c.name == "audit_log_seal"))
    return AuditLog(database, lambda: KEY, clock=iter(range(1, 10_000)).__next__)


def change(number: int = 1) -> Change:
    return Change(
        who="ann",
        action="release.serve",
        target=f"sha256:{number}",
        why="更好",
        evidence={"n": number},
    )


def test_a_change_and_its_entry_are_there_together_or_not_at_all(
    database: Database, log: AuditLog
) -> None:
    keys = KeyStore(database, log)
    _, key = keys.create("ci", "admin", who="ann", why="for the builds")
    keys.revoke(key.id, who="bob", why="it leaked")
    keys.revoke(key.id, who="bob", why="again")  # changes nothing
    revoked, created = log.list()
    assert (created.who, created.action, created.target, created.why) == (
        "ann", "key.create", key.id, "for the builds",
    )  # fmt: skip
    assert created.evidence["role"] == "admin"
    assert (revoked.who, revoked.action, revoked.why) == ("bob", "key.revoke", "it leaked")
    with pytest.raises(ValueError, match="half-way"), log.write(change()) as connection:
        connection.execute(delete(api_keys))
        raise ValueError("half-way")
    assert len(log.list()) == 2
    assert len(keys.list()) == 1


def test_without_the_key_nothing_is_changed(database: Database) -> None:
    fresh(database)

    def missing() -> bytes:
        raise HeadraceError("the master key is missing")

    log = AuditLog(database, missing)
    with pytest.raises(HeadraceError):
        KeyStore(database, log).create("ci", "user", who="ann")
    assert KeyStore(database).list() == []
    assert log.list() == []  # reading needs none


def test_the_list_is_turned_over_and_chosen_from(log: AuditLog) -> None:
    for number in range(1, 6):
        log.record(change(number))
    assert [each.number for each in log.list(limit=2)] == [5, 4]
    assert [each.number for each in log.list(limit=2, before=4)] == [3, 2]
    assert len(log.list(action="release")) == 5
    assert log.list(action="key") == []
    assert log.list()[0].evidence == {"n": 5}
    log.record(msgspec.structs.replace(change(), who="Bob_1"))
    assert [each.number for each in log.list(who="bob_")] == [6]
    assert log.list(who="%") == []
    assert [each.number for each in log.list(since=2, until=4)] == [3, 2]


def test_where_no_log_is_kept_the_change_is_made(database: Database, log: AuditLog) -> None:
    with changing(database, None, change()) as connection:
        connection.execute(insert(meta), {"name": "x", "value": "y"})
    assert log.list() == []


_WAYS = ("at", "who", "action", "target", "why", "evidence", "code", "gone", "cut", "swapped")


@settings(max_examples=40)
@given(
    rows=st.integers(2, 5), at=st.integers(1, 5), way=st.sampled_from(_WAYS), unsealed=st.booleans()
)
def test_what_was_changed_is_found_and_stays_found(
    database: Database, rows: int, at: int, way: str, unsealed: bool
) -> None:
    log = fresh(database)
    for number in range(1, rows + 1):
        log.record(change(number))
    assert log.verify().wrong is None
    at = min(at, rows)
    with database.write() as connection:
        this = audit_log.c.number == at
        if way == "gone":
            connection.execute(delete(audit_log).where(this))
        elif way == "cut":
            connection.execute(delete(audit_log).where(audit_log.c.number >= at))
        elif way == "swapped":
            at = min(at, rows - 1)
            query = select(audit_log).where(audit_log.c.number.in_((at, at + 1)))
            one, two = connection.execute(query.order_by(audit_log.c.number)).mappings().all()
            for row, number in ((one, at + 1), (two, at)):
                where = audit_log.c.number == number
                values = {name: value for name, value in row.items() if name != "number"}
                connection.execute(update(audit_log).where(where).values(values))
        else:
            other = {"at": 0.5, "evidence": b"\xff"}.get(way, "other")
            connection.execute(update(audit_log).where(this).values({way: other}))
        if unsealed:
            connection.execute(delete(meta).where(meta.c.name == "audit_log_seal"))
    all_gone = way == "cut" and at == 1 and unsealed  # as if there had never been any
    assert log.verify().wrong == (None if all_gone else at)
    log.list()
    log.record(change())
    assert log.verify().wrong == (None if all_gone else at)


def test_another_key_proves_nothing(database: Database, log: AuditLog) -> None:
    log.record(change())
    assert AuditLog(database, lambda: b"x" * 32).verify().wrong == 1
