"""Consents: nothing is allowed that was not given, and a withdrawal ends what comes after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidRequest, NotFound
from headrace.privacy.consent import Consent, ConsentStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database

pytestmark = pytest.mark.engines


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    database = Database.open(tmp_path / "state.db")
    yield Vault.open(database, tmp_path)
    database.close()


@pytest.fixture
def store(vault: Vault, clock: Clock) -> ConsentStore:
    return ConsentStore(vault._database, vault, clock=clock)


def test_a_consent_holds_for_its_purpose_alone(store: ConsentStore, vault: Vault) -> None:
    given_one = store.give("ann", "training", evidence="form 7")
    assert set(store.holding("training")) == {vault.subject_id("ann")}
    assert store.holding("analytics") == {}
    assert store.get(given_one.id) == given_one
    assert store.of("ann") == [given_one]
    assert store.of("bob") == []


def test_a_withdrawal_ends_it_and_is_kept(store: ConsentStore, clock: Clock) -> None:
    store.give("ann", "training")
    clock.now = 2_000.0
    assert store.withdraw("ann", "training") == 1
    assert store.holding("training") == {}
    assert len(store.holding("training", at=1_500.0)) == 1
    assert store.withdraw("ann", "training") == 0
    clock.now = 3_000.0
    store.give("ann", "training")
    assert len(store.holding("training")) == 1
    assert [each.withdrawn_at for each in store.of("ann")] == [None, 2_000.0]


def test_it_may_end_by_itself(store: ConsentStore, clock: Clock) -> None:
    store.give("ann", "training", until=1_100.0)
    assert store.holding("training")
    clock.now = 1_100.0
    assert store.holding("training") == {}
    with pytest.raises(InvalidRequest, match="ended already"):
        store.give("ann", "training", until=1_000.0)


def test_what_there_is_not_is_refused(store: ConsentStore) -> None:
    for call in (store.give, store.withdraw):
        with pytest.raises(InvalidRequest, match="no purpose 'selling'"):
            call("ann", "selling")
    with pytest.raises(NotFound):
        store.get("none")


def test_what_it_rests_on_goes_with_the_person(
    store: ConsentStore, vault: Vault, tmp_path: Path
) -> None:
    store.give("ann", "training", evidence="signed by Ann Miller")
    assert all(b"Ann Miller" not in each.read_bytes() for each in tmp_path.glob("state.db*"))
    vault.destroy("ann")
    assert [each.evidence for each in store.of("ann")] == [""]


@given(
    given_at=st.floats(0, 100),
    until=st.none() | st.floats(0, 100),
    withdrawn=st.none() | st.floats(0, 100),
    at=st.floats(0, 100),
)
def test_it_holds_from_when_it_was_given_to_its_first_end(
    given_at: float, until: float | None, withdrawn: float | None, at: float
) -> None:
    consent = Consent(
        id="c", subject="s", purpose="training", given_at=given_at, until=until,
        withdrawn_at=withdrawn,
    )  # fmt: skip
    end = min(100.1, *(each for each in (until, withdrawn) if each is not None), 100.1)
    assert consent.holds(at) == (given_at <= at < end)


def test_another_process_forgets_a_destroyed_key(vault: Vault, tmp_path: Path) -> None:
    other = Vault(vault._database, vault._master)
    vault.unlock_now("ann")
    vault.unlock_now("bob")
    sealed = vault.seal("ann", "secret")
    assert vault.drop_destroyed() == 0
    other.destroy("ann")
    assert vault.unseal_if_kept("ann", sealed) == "secret"
    assert vault.drop_destroyed() == 1
    assert vault.unseal_if_kept("ann", sealed) is None
    assert vault.is_unlocked("bob")
    assert vault.drop_destroyed() == 0
