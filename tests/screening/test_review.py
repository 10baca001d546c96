"""The review queue: kept like traces, decided with a reason, and no decision is lost or changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from headrace.access.audit import AuditLog
from headrace.errors import InvalidRequest, NotFound
from headrace.privacy.vault import Vault
from headrace.screening.review import ReviewStore, _digest, _said, review_handlers
from headrace.storage.database import Database
from headrace.storage.tables import meta, review_decisions
from headrace.telemetry.escalation import REVIEW, Escalation
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.trace import Trace

SEAL = "review_decisions_seal"
TEXT = "I will file a lawsuit about the wheel"


class Straight:
    """A writer that writes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, kind: str, payload: bytes) -> bool:
        if kind == REVIEW:
            for _ in range(2):  # after a crash a record may come again
                with self._database.write() as connection:
                    review_handlers()[REVIEW](connection, [payload])
        return True

    async def flush(self) -> None: ...


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def vault(database: Database, tmp_path: Path) -> Vault:
    return Vault.open(database, tmp_path, environ={})


@pytest.fixture
def store(database: Database, vault: Vault) -> ReviewStore:
    return ReviewStore(database, vault, clock=iter(range(1, 1000)).__next__)


def escalate(database: Database, vault: Vault, *, content: bool = True) -> str:
    vault.unlock_now("ann")
    recorder = TraceRecorder(Straight(database), vault, Metrics(), content=content)
    trace = Trace(subject="ann", key_id="k", model="m", language="en")
    recorder.escalate(
        trace,
        Escalation(
            policy="shop@sha256:0",
            side="input",
            kind="term.legal",
            detector="term",
            score=1.0,
            withheld=False,
            text=TEXT,
        ),
    )
    return trace.id


def test_an_entry_is_read_with_its_text_and_stored_without(
    database: Database, vault: Vault, store: ReviewStore, tmp_path: Path
) -> None:
    trace = escalate(database, vault)
    (entry,) = store.list()
    assert (entry.trace_id, entry.kind, entry.text, entry.subject) == (
        trace, "term.legal", "", vault.subject_id("ann"),
    )  # fmt: skip
    assert store.get(entry.id).text == TEXT
    assert store.open_count() == 1
    database.checkpoint()
    assert all(b"lawsuit" not in each.read_bytes() for each in tmp_path.iterdir())


def test_the_last_decision_counts_and_every_one_stays(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    escalate(database, vault)
    (entry,) = store.list()
    store.decide(entry.id[-8:], "allow", "An empty threat.", who="ann")
    decided = store.decide(entry.id, "refuse", "Not empty.", who="bob")
    assert decided.decision == "refuse"
    assert [(each.who, each.decision, each.reason) for each in decided.decisions] == [
        ("ann", "allow", "An empty threat."),
        ("bob", "refuse", "Not empty."),
    ]
    assert store.list() == []
    assert [each.id for each in store.list(decided=True)] == [entry.id]
    noted = AuditLog(database, lambda: vault.audit_secret).list()[::-1]
    assert [(each.who, each.target, each.evidence["decision"]) for each in noted] == [
        ("ann", entry.id, "allow"),
        ("bob", entry.id, "refuse"),
    ]
    assert "empty" not in str(noted)  # the reason is about a person
    assert store.verify().wrong is None


@pytest.mark.parametrize(
    ("decision", "reason", "wrong"),
    [
        ("perhaps", "x", "a decision is one of"),
        ("allow", "  ", "needs a reason"),
        ("allow", "x" * 10_001, "10,000"),
    ],
)
def test_a_decision_needs_a_reason(
    database: Database, vault: Vault, store: ReviewStore, decision: str, reason: str, wrong: str
) -> None:
    escalate(database, vault)
    with pytest.raises(InvalidRequest, match=wrong):
        store.decide(store.list()[0].id, decision, reason, who="ann")
    with pytest.raises(NotFound):
        store.decide("nothing", "allow", "x", who="ann")


def decided(database: Database, vault: Vault, store: ReviewStore, times: int = 3) -> str:
    escalate(database, vault)
    (entry,) = store.list()
    for _ in range(times):
        store.decide(entry.id, "allow", "Yes.", who="ann")
    return entry.id


def test_a_decision_that_was_changed_or_taken_out_is_noticed(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    decided(database, vault, store)
    assert (store.verify().rows, store.verify().wrong) == (3, None)
    with database.write() as connection:
        changed = update(review_decisions).where(review_decisions.c.number == 2)
        connection.execute(changed.values(who="eve"))
    assert store.verify().wrong == 2
    with database.write() as connection:
        connection.execute(delete(review_decisions).where(review_decisions.c.number == 2))
    assert store.verify().wrong == 2


@pytest.mark.parametrize("seal", ["left", "gone", "of fewer"])
@pytest.mark.parametrize("left", [0, 1, 2])
def test_decisions_that_were_cut_off_are_missed_also_after_the_next_one(
    database: Database, vault: Vault, store: ReviewStore, seal: str, left: int
) -> None:
    entry = decided(database, vault, store)
    with database.write() as connection:
        cut = delete(review_decisions).where(review_decisions.c.number > left)
        connection.execute(cut)
        if seal != "left":
            connection.execute(delete(meta).where(meta.c.name == SEAL))
        if seal == "of fewer":
            forged = {"rows": left, "head": store.verify().head, "code": "00" * 32}
            row = {"name": SEAL, "value": json.dumps(forged)}
            connection.execute(insert(meta), row)
    assert store.verify().wrong == left + 1
    store.decide(entry, "refuse", "No.", who="eve")
    assert store.verify().wrong == left + 1


def test_who_has_no_key_cannot_write_a_decision(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    decided(database, vault, store, times=2)
    query = select(review_decisions).order_by(review_decisions.c.number)
    with database.read() as connection:
        first, second = connection.execute(query).mappings().all()
    # What the chain was before there was a key, which anybody can compute.
    forged = {**second, "who": "eve"}
    forged["digest"] = _digest(first["digest"], _said(forged))
    with database.write() as connection:
        changed = update(review_decisions).where(review_decisions.c.number == 2)
        connection.execute(changed.values(forged))
    assert store.verify().wrong == 2


def test_decisions_from_before_the_key_are_counted_apart(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    entry = decided(database, vault, store, times=2)
    before = ""
    with database.write() as connection:
        connection.execute(delete(meta).where(meta.c.name == SEAL))
        query = select(review_decisions).order_by(review_decisions.c.number)
        for row in connection.execute(query).mappings().all():
            before = _digest(before, _said(dict(row)))
            this = update(review_decisions).where(review_decisions.c.number == row["number"])
            connection.execute(this.values(digest=before))
    assert (store.verify().wrong, store.verify().unkeyed) == (None, 2)
    store.decide(entry, "allow", "Yes.", who="ann")
    checked = store.verify()
    assert (checked.rows, checked.wrong, checked.unkeyed) == (3, None, 2)


def test_who_is_erased_leaves_nothing_to_read(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    escalate(database, vault)
    (entry,) = store.list()
    store.decide(entry.id, "refuse", "She is rude.", who="bob")
    vault.destroy("ann")
    found = store.get(entry.id)
    assert found.text == found.decisions[0].reason == ""
    assert store.verify().wrong is None
    assert store.decide(entry.id, "allow", "Gone anyway.", who="bob").decision == "allow"


def test_where_texts_are_not_kept_entries_have_none(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    escalate(database, vault, content=False)
    assert store.get(store.list()[0].id).text == ""
