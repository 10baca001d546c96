"""API keys: who shows a secret is known until the key is revoked, and the secret is nowhere."""

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from sqlalchemy import create_engine, text

from headrace.access.keys import ADMIN_KEY_FILE, KeyStore
from headrace.access.principal import Principal, RoleName
from headrace.errors import InvalidRequest, NotFound
from headrace.storage.database import Database
from headrace.storage.migrations.upgrade import alembic_config

pytestmark = pytest.mark.engines


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "state.db")
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> KeyStore:
    return KeyStore.open(database)


def test_a_secret_tells_who_shows_it(store: KeyStore) -> None:
    secret, key = store.create("notebook", "user")
    principal = store.authenticate(secret)
    assert principal is not None
    assert (principal.key_id, principal.name, principal.role) == (key.id, "notebook", "user")
    assert not principal.is_admin
    assert store.get(key.id) == principal


def test_a_key_belongs_to_the_team_it_was_made_for(store: KeyStore, database: Database) -> None:
    secret, key = store.create("notebook", "user", team="研究")
    for each in (store, KeyStore.open(database)):
        principal = each.authenticate(secret)
        assert principal is not None
        assert principal.team == "研究"
    assert store.list()[0].team == key.team == "研究"
    assert store.create("other", "user")[1].team == ""


@pytest.mark.parametrize("team", [" x", "x ", "x" * 101, "line\nbreak"])
def test_a_teams_name_must_be_printable(store: KeyStore, team: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.create("k", "user", team=team)
    assert caught.value.param == "team"
    assert store.list() == []


@pytest.mark.sqlite
def test_keys_from_before_there_were_teams_belong_to_none(tmp_path: Path) -> None:
    secret = "hr-" + "x" * 43
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        row = {"id": "1", "digest": hashlib.sha256(secret.encode()).hexdigest()}
        connection.execute(
            text(
                "INSERT INTO api_keys (id, name, role, digest, hint, created_at)"
                " VALUES (:id, 'old', 'user', :digest, 'xxxx', 0)"
            ),
            row,
        )
    engine.dispose()
    database = Database.open(tmp_path / "old.db")
    principal = KeyStore.open(database).authenticate(secret)
    database.close()
    assert principal == Principal("1", "old", "user", "")


def test_a_secret_has_256_bits_in_a_form_that_scanners_know(store: KeyStore) -> None:
    secrets = {store.create("k", "user")[0] for _ in range(5)}
    assert len(secrets) == 5
    for secret in secrets:
        prefix, _, rest = secret.partition("-")
        assert (prefix, len(rest)) == ("hr", 43)
        assert rest.isascii()
        assert rest.isalnum()


@pytest.mark.parametrize("shown", ["", "hr-", "hr-" + "x" * 43, "\ud800", "钥匙", "x" * 10_000])
def test_what_is_no_secret_is_nobodys(store: KeyStore, shown: str) -> None:
    store.create("k", "user")
    assert store.authenticate(shown) is None


def test_a_secret_is_stored_nowhere(store: KeyStore, tmp_path: Path) -> None:
    secret, key = store.create("k", "user")
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in stored
    assert secret[3:].encode() not in stored
    assert key.hint == secret[-4:]


def test_revoking_counts_at_once_and_for_good(store: KeyStore, database: Database) -> None:
    secret, key = store.create("k", "user")
    revoked = store.revoke(key.id)
    assert revoked.revoked_at is not None
    assert store.authenticate(secret) is None
    assert store.get(key.id) is None
    assert store.revoke(key.id) == revoked
    assert KeyStore.open(database).authenticate(secret) is None


def test_a_key_is_named_by_an_unmistakable_part_of_its_id(store: KeyStore) -> None:
    keys = [store.create("k", "user")[1] for _ in range(2)]
    with pytest.raises(NotFound, match="2 keys match"):
        store.revoke(keys[0].id[:4])
    assert store.revoke(keys[0].id[-12:]).id == keys[0].id


@pytest.mark.parametrize("key_id", ["", "nothing"])
def test_revoking_an_unknown_key_says_which_there_are(store: KeyStore, key_id: str) -> None:
    store.create("k", "user")
    with pytest.raises(NotFound) as caught:
        store.revoke(key_id)
    assert caught.value.hint


def test_what_another_process_did_takes_effect_at_the_next_refresh(
    store: KeyStore, database: Database
) -> None:
    command_line = KeyStore.open(database)
    secret, key = command_line.create("made elsewhere", "user")
    assert store.authenticate(secret) is None
    assert store.refresh()
    assert store.authenticate(secret) is not None
    command_line.revoke(key.id)
    assert store.refresh()
    assert store.authenticate(secret) is None
    assert not store.refresh()


def test_many_may_make_keys_at_once(store: KeyStore) -> None:
    made: list[str] = []

    def make() -> None:
        made.extend(store.create("k", "user")[0] for _ in range(5))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 20
    assert all(store.authenticate(secret) for secret in made)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "tab\there", "line\nbreak"])
def test_a_name_must_be_printable(store: KeyStore, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.create(name, "user")
    assert caught.value.param == "name"
    assert store.list() == []


def test_a_name_may_be_chinese(store: KeyStore) -> None:
    assert store.create("笔记本", "user")[1].name == "笔记本"


def test_the_first_start_makes_an_admin_key_and_keeps_it(store: KeyStore, tmp_path: Path) -> None:
    secret = store.ensure_admin(tmp_path)
    assert secret is not None
    file = tmp_path / ADMIN_KEY_FILE
    assert file.read_text() == secret + "\n"
    assert file.stat().st_mode & 0o777 == 0o600
    principal = store.authenticate(secret)
    assert principal is not None
    assert principal.is_admin


def test_later_starts_make_no_other(store: KeyStore, tmp_path: Path) -> None:
    secret = store.ensure_admin(tmp_path)
    assert store.ensure_admin(tmp_path) is None
    assert (tmp_path / ADMIN_KEY_FILE).read_text() == f"{secret}\n"
    assert len(store.list()) == 1


def test_a_user_key_is_no_reason_to_do_without_an_admin(store: KeyStore, tmp_path: Path) -> None:
    store.create("k", "user")
    assert store.ensure_admin(tmp_path) is not None


def test_nobody_is_locked_out_when_the_last_admin_key_is_revoked(
    store: KeyStore, tmp_path: Path
) -> None:
    first = store.ensure_admin(tmp_path)
    store.revoke(store.list()[0].id)
    second = store.ensure_admin(tmp_path)
    assert second is not None
    assert second != first
    assert (tmp_path / ADMIN_KEY_FILE).read_text() == second + "\n"


def test_no_admin_key_is_made_whose_secret_nobody_has(store: KeyStore, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        store.ensure_admin(tmp_path / "nowhere")
    assert store.list() == []


class Keys(RuleBasedStateMachine):
    """Two processes' views of the keys against a dictionary."""

    secrets = Bundle("secrets")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database.open(Path(self.folder.name) / "state.db")
        self.server = KeyStore.open(self.database)
        self.command_line = KeyStore.open(self.database)
        self.roles: dict[str, RoleName] = {}
        self.ids: dict[str, str] = {}
        self.revoked: set[str] = set()

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(target=secrets, role=st.sampled_from(["admin", "user"]), elsewhere=st.booleans())
    def create(self, role: RoleName, elsewhere: bool) -> str:
        store = self.command_line if elsewhere else self.server
        secret, key = store.create("a key", role)
        self.roles[secret], self.ids[secret] = role, key.id
        return secret

    @rule(target=secrets, secret=secrets, elsewhere=st.booleans())
    def revoke(self, secret: str, elsewhere: bool) -> object:
        (self.command_line if elsewhere else self.server).revoke(self.ids[secret])
        self.revoked.add(secret)
        return multiple()

    @invariant()
    def after_a_refresh_exactly_the_living_keys_count(self) -> None:
        self.server.refresh()
        for secret, role in self.roles.items():
            found = self.server.authenticate(secret)
            assert (found is not None) == (secret not in self.revoked)
            assert found is None or (found.key_id, found.role) == (self.ids[secret], role)
        listed = {key.id: key.revoked_at is not None for key in self.server.list()}
        assert listed == {self.ids[each]: each in self.revoked for each in self.roles}


TestKeys = Keys.TestCase
TestKeys.settings = settings(deadline=None, max_examples=15, stateful_step_count=12)
