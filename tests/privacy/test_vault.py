"""The vault: what is sealed comes back for its subject, and for nobody else."""

import asyncio
import base64
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from headrace.privacy.errors import MasterKeyUnusable, SealBroken, SubjectErased, SubjectLocked
from headrace.privacy.master import MASTER_KEY_VARIABLE
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import meta, subject_keys

pytestmark = pytest.mark.engines

# The vault keeps nothing of an example but two subjects' keys.
one_vault = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
GIVEN = base64.b64encode(bytes(range(32))).decode()
texts = st.text(st.characters(), max_size=300)


@one_vault
@given(text=texts)
def test_a_sealed_text_comes_back(vault: Vault, text: str) -> None:
    vault.unlock_now("ada")
    assert vault.unseal("ada", vault.seal("ada", text)) == text


@one_vault
@given(text=texts, data=st.data())
def test_a_changed_bit_breaks_the_seal(vault: Vault, text: str, data: st.DataObject) -> None:
    vault.unlock_now("ada")
    sealed = bytearray(vault.seal("ada", text))
    at = data.draw(st.integers(0, len(sealed) - 1), label="changed byte")
    sealed[at] ^= data.draw(st.integers(1, 255), label="bits")
    with pytest.raises(SealBroken):
        vault.unseal("ada", bytes(sealed))


@one_vault
@given(text=texts, data=st.data())
def test_a_shortened_text_breaks_the_seal(vault: Vault, text: str, data: st.DataObject) -> None:
    vault.unlock_now("ada")
    sealed = vault.seal("ada", text)
    cut = data.draw(st.integers(0, len(sealed) - 1), label="kept bytes")
    with pytest.raises(SealBroken):
        vault.unseal("ada", sealed[:cut])


@one_vault
@given(text=texts)
def test_another_subject_cannot_open_it(vault: Vault, text: str) -> None:
    vault.unlock_now("ada")
    vault.unlock_now("bob")
    with pytest.raises(SealBroken):
        vault.unseal("bob", vault.seal("ada", text))


def test_the_same_text_is_never_sealed_the_same(vault: Vault) -> None:
    vault.unlock_now("ada")
    assert len({vault.seal("ada", "twice") for _ in range(100)}) == 100


def test_nothing_is_sealed_before_the_subject_is_unlocked(vault: Vault) -> None:
    assert vault.seal_if_unlocked("ada", "text") is None
    with pytest.raises(SubjectLocked):
        vault.seal("ada", "text")


async def test_unlock_makes_a_key_once(vault: Vault, database: Database) -> None:
    await asyncio.gather(*(vault.unlock("ada") for _ in range(8)))
    with database.read() as connection:
        assert connection.execute(select(subject_keys.c.subject)).scalars().all() == [
            vault.subject_id("ada")
        ]


def test_a_subject_goes_by_its_name_or_its_id(vault: Vault) -> None:
    vault.unlock_now("ada")
    subject_id = vault.subject_id("ada")
    assert vault.subject_id(subject_id) == subject_id
    assert vault.unseal(subject_id, vault.seal("ada", "text")) == "text"
    assert vault.unseal("ada", vault.seal(subject_id, "text")) == "text"


def test_a_later_process_opens_what_an_earlier_one_sealed(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vault.unlock_now("李雷")
    sealed = vault.seal("李雷", "我的地址")
    assert Vault.open(database, tmp_path).unseal("李雷", sealed) == "我的地址"


def test_two_processes_that_meet_a_subject_together_agree_on_its_key(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vaults = [vault, *(Vault.open(database, tmp_path) for _ in range(3))]
    threads = [threading.Thread(target=each.unlock_now, args=("ada",)) for each in vaults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed = vaults[0].seal("ada", "text")
    assert [each.unseal("ada", sealed) for each in vaults] == ["text"] * 4


def test_an_erased_subject_is_unreadable_for_good(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vault.unlock_now("ada")
    sealed = vault.seal("ada", "text")
    assert vault.destroy("ada")
    assert not vault.destroy("ada")
    assert vault.unseal_if_kept("ada", sealed) is None
    with pytest.raises(SubjectErased):
        vault.unseal("ada", sealed)
    assert vault.seal_if_unlocked("ada", "more") is None
    # Should the person come back they get a new key, and the old texts stay closed.
    vault.unlock_now("ada")
    assert vault.unseal("ada", vault.seal("ada", "new")) == "new"
    with pytest.raises(SealBroken):
        vault.unseal("ada", sealed)
    with pytest.raises(SealBroken):
        Vault.open(database, tmp_path).unseal("ada", sealed)


def test_erasing_one_subject_leaves_the_others(vault: Vault) -> None:
    for name in ("ada", "bob"):
        vault.unlock_now(name)
    sealed = vault.seal("bob", "text")
    vault.destroy("ada")
    assert vault.unseal("bob", sealed) == "text"


@pytest.mark.sqlite
def test_a_destroyed_key_is_gone_from_the_files(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vault.unlock_now("ada")
    with database.read() as connection:
        wrapped = bytes(connection.execute(select(subject_keys.c.wrapped_key)).scalar_one())
    database.checkpoint()
    assert wrapped in (tmp_path / "state.db").read_bytes()
    vault.destroy("ada")
    for path in tmp_path.glob("state.db*"):
        assert wrapped not in path.read_bytes(), path.name


@pytest.mark.sqlite
def test_names_and_keys_are_nowhere_in_clear(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vault.unlock_now("ada.lovelace@example.com")
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert b"lovelace" not in stored
    assert vault.subject_id("ada.lovelace@example.com").encode() in stored


def test_subjects_beyond_the_cache_are_read_again(database: Database, tmp_path: Path) -> None:
    Vault.open(database, tmp_path)
    master = Vault.open(database, tmp_path)._master
    vault = Vault(database, master, cached_subjects=2)
    for name in ("a", "b", "c"):
        vault.unlock_now(name)
    assert vault.seal_if_unlocked("a", "text") is None
    vault.unlock_now("a")
    assert vault.unseal("a", vault.seal("a", "text")) == "text"


async def test_a_subject_in_use_stays_in_memory(database: Database, tmp_path: Path) -> None:
    master = Vault.open(database, tmp_path)._master
    vault = Vault(database, master, cached_subjects=2)
    for name in ("a", "b", "a", "c"):
        await vault.unlock(name)
    assert vault.seal_if_unlocked("a", "text") is not None
    assert vault.seal_if_unlocked("b", "text") is None


def test_a_lost_master_key_is_said_and_not_replaced(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vault.unlock_now("ada")
    (tmp_path / "master.key").unlink()
    with pytest.raises(MasterKeyUnusable, match="cannot be read"):
        Vault.open(database, tmp_path)
    assert not (tmp_path / "master.key").exists()


def test_another_databases_master_key_is_refused(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    strange = Database.open(other / "state.db")
    Vault.open(strange, other)
    strange.close()
    (tmp_path / "master.key").write_bytes((other / "master.key").read_bytes())
    with pytest.raises(MasterKeyUnusable, match="not the key that this database"):
        Vault.open(database, tmp_path)


def test_a_key_from_the_environment_is_used_and_never_written(
    database: Database, tmp_path: Path
) -> None:
    vault = Vault.open(database, tmp_path, environ={MASTER_KEY_VARIABLE: GIVEN})
    vault.unlock_now("ada")
    sealed = vault.seal("ada", "text")
    again = Vault.open(database, tmp_path, environ={MASTER_KEY_VARIABLE: f"{GIVEN}\n"})
    assert again.unseal("ada", sealed) == "text"
    with pytest.raises(MasterKeyUnusable, match="cannot be read") as caught:
        Vault.open(database, tmp_path)
    assert MASTER_KEY_VARIABLE in caught.value.hint
    assert not (tmp_path / "master.key").exists()
    for path in tmp_path.iterdir():
        assert GIVEN.encode() not in path.read_bytes()
        assert base64.b64decode(GIVEN) not in path.read_bytes()


def test_a_key_from_the_environment_wins_over_the_file(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vault.unlock_now("ada")
    sealed = vault.seal("ada", "text")
    path = tmp_path / "master.key"
    right = path.read_text()
    with pytest.raises(MasterKeyUnusable, match="HEADRACE_MASTER_KEY is not the key") as caught:
        Vault.open(database, tmp_path, environ={MASTER_KEY_VARIABLE: GIVEN})
    assert f"unset it to use {path}" in caught.value.hint
    path.write_text(GIVEN)
    opened = Vault.open(database, tmp_path, environ={MASTER_KEY_VARIABLE: right})
    assert opened.unseal("ada", sealed) == "text"


def test_subject_keys_without_a_check_are_refused(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    vault.unlock_now("ada")
    with database.write() as connection:
        connection.execute(delete(meta))
    with pytest.raises(MasterKeyUnusable, match="no check"):
        Vault.open(database, tmp_path)


def test_a_wrapped_key_cannot_be_passed_to_another_subject(
    vault: Vault, database: Database, tmp_path: Path
) -> None:
    for name in ("ada", "bob"):
        vault.unlock_now(name)
    key = subject_keys.c.wrapped_key
    with database.write() as connection:
        wrapped = connection.execute(
            select(key).where(subject_keys.c.subject == vault.subject_id("ada"))
        ).scalar_one()
        connection.execute(
            update(subject_keys)
            .where(subject_keys.c.subject == vault.subject_id("bob"))
            .values(wrapped_key=wrapped)
        )
    with pytest.raises(SealBroken):
        Vault.open(database, tmp_path).unlock_now("bob")
