"""The review queue: kept like traces, decided with a reason, and no decision is lost or changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from headrace.errors import InvalidRequest, NotFound
from headrace.privacy.vault import Vault
from headrace.screening.review import ReviewStore, review_handlers
from headrace.storage.database import Database
from headrace.storage.tables import review_decisions
from headrace.telemetry.escalation import REVIEW, Escalation
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.recorder import TraceRecorder
from headrace.telemetry.trace import Trace

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
    assert store.verify() is None


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


def test_a_decision_that_was_changed_or_taken_out_is_noticed(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    escalate(database, vault)
    (entry,) = store.list()
    for _ in range(3):
        store.decide(entry.id, "allow", "Yes.", who="ann")
    with database.write() as connection:
        changed = update(review_decisions).where(review_decisions.c.number == 2)
        connection.execute(changed.values(who="eve"))
    assert store.verify() == 2
    with database.write() as connection:
        connection.execute(delete(review_decisions).where(review_decisions.c.number == 2))
    assert store.verify() == 2


def test_who_is_erased_leaves_nothing_to_read(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    escalate(database, vault)
    (entry,) = store.list()
    store.decide(entry.id, "refuse", "She is rude.", who="bob")
    vault.destroy("ann")
    found = store.get(entry.id)
    assert found.text == found.decisions[0].reason == ""
    assert store.verify() is None
    assert store.decide(entry.id, "allow", "Gone anyway.", who="bob").decision == "allow"


def test_where_texts_are_not_kept_entries_have_none(
    database: Database, vault: Vault, store: ReviewStore
) -> None:
    escalate(database, vault, content=False)
    assert store.get(store.list()[0].id).text == ""
