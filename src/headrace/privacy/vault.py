"""The vault: text sealed with AES-256-GCM under a key per subject.

A subject's key is random, stored wrapped by the master key, and read into memory when the
subject is first seen (`unlock`); sealing is then a few microseconds without disk or database.
Destroying a subject's key makes everything sealed under it unreadable. A backup of the database
from before still has the wrapped key: see docs/decisions/0011.

Sealed form: version (1 byte) | nonce (12 bytes, random) | ciphertext and tag (16 bytes).
The subject id is authenticated with it, so a sealed text cannot be passed off as another's.
A random nonce is good for 2**32 texts per key (NIST SP 800-38D, 8.3).

In the database a subject goes by its *subject id*: `s_` and 32 hex digits, an HMAC of its name.
Every method takes either form.
"""

import asyncio
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, func, select

from headrace.privacy.errors import (
    MasterKeyUnusable,
    SealBroken,
    SubjectErased,
    SubjectLocked,
)
from headrace.privacy.master import MASTER_KEY_FILE, MASTER_KEY_VARIABLE, MasterKey
from headrace.storage.database import Database, insert_or_ignore, upsert
from headrace.storage.tables import meta, subject_keys

__all__ = ["MASTER_KEY_CHECK", "Vault"]

MASTER_KEY_CHECK = "master_key_check"
"""Where `meta` says which master key the database was written with."""
DESTROYED_COUNT = "subject_keys_destroyed"
"""Where `meta` counts destroyed keys, for processes that have them in memory."""
_ASKED_AT_ONCE = 500
CACHED_SUBJECTS = 20_000
"""About 1 KB each. The least recently used ones leave memory; `unlock` brings them back."""

_VERSION = 1
_NONCE = 12
_SUBJECT_ID = re.compile(r"s_[0-9a-f]{32}", re.ASCII)


class Vault:
    """See the module. Safe to use from several threads."""

    def __init__(
        self, database: Database, master: MasterKey, cached_subjects: int = CACHED_SUBJECTS
    ) -> None:
        self._database = database
        self._master = master
        self._wrapping = AESGCM(master.wrapping)
        self._keys: OrderedDict[str, AESGCM] = OrderedDict()
        self._ids: OrderedDict[str, str] = OrderedDict()
        self._cached_subjects = cached_subjects
        self._seen_destroyed: str | None = None
        self._destroyed = 0
        """Counts `destroy` calls: a key read before one must not enter memory after it."""
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls, database: Database, home: Path, *, environ: Mapping[str, str] | None = None
    ) -> Self:
        """Open the vault of a database; the first time, make `home/master.key` if none is given.

        Args:
            environ: where `HEADRACE_MASTER_KEY` may be given, which wins over the file.

        Raises:
            MasterKeyUnusable: the key file is missing though texts were sealed with it, or the
                key is malformed or another database's.
        """
        path = home / MASTER_KEY_FILE
        given = MasterKey.given(environ or {})
        with database.read() as connection:
            check = connection.execute(
                select(meta.c.value).where(meta.c.name == MASTER_KEY_CHECK)
            ).scalar()
        if given is None and check is None and not path.exists():
            MasterKey.create(path)
        master = given or MasterKey.load(path)
        if check is None:
            check = _record_check(database, master)
        if check != master.check:
            raise _foreign(path, is_given=given is not None)
        return cls(database, master)

    def subject_id(self, subject: str) -> str:
        """The subject's id in the database; a subject id is given back as it is."""
        known = self._ids.get(subject)
        if known is not None:
            return known
        if _SUBJECT_ID.fullmatch(subject):
            return subject
        found = f"s_{self._master.subject_id(subject)}"
        with self._lock:
            self._ids[subject] = found
            if len(self._ids) > self._cached_subjects:
                self._ids.popitem(last=False)
        return found

    def is_unlocked(self, subject: str) -> bool:
        """Whether the subject's key is in memory."""
        return self.subject_id(subject) in self._keys

    def has_key(self, subject: str) -> bool:
        """Whether the subject has a key, so that their texts can be read. Reads the database."""
        return self._load(self.subject_id(subject)) is not None

    @property
    def cache_secret(self) -> bytes:
        """What kept answers are encrypted under where they leave this process; 32 bytes."""
        return self._master.caching

    @property
    def audit_secret(self) -> bytes:
        """What the codes of records that are only added to are made with; 32 bytes."""
        return self._master.auditing

    async def unlock(self, subject: str) -> None:
        """Have the subject's key in memory, making one the first time it is seen.

        Only a subject not seen lately costs anything (a database read in a thread, or a write).

        Raises:
            SQLAlchemyError: the database cannot be read or written.
        """
        subject_id = self.subject_id(subject)
        with self._lock:
            if subject_id in self._keys:
                self._keys.move_to_end(subject_id)
                return
        await asyncio.to_thread(self.unlock_now, subject)

    def unlock_now(self, subject: str) -> None:
        """`unlock` for a thread of one's own: reads and maybe writes the database."""
        subject_id = self.subject_id(subject)
        if self._load(subject_id) is not None and subject_id in self._keys:
            return
        key = AESGCM.generate_key(256)
        row = {
            "subject": subject_id,
            "wrapped_key": _encrypt(self._wrapping, subject_id, key),
            "name_sealed": _encrypt(AESGCM(key), subject_id, _bytes(subject)),
            "created_at": time.time(),
        }
        with self._database.write() as connection:
            # Another process may have been first; then its key counts, and is read below.
            connection.execute(insert_or_ignore(connection, subject_keys), row)
        self._load(subject_id)

    def seal(self, subject: str, text: str) -> bytes:
        """The text, encrypted under the subject's key. In memory only.

        Raises:
            SubjectLocked: the subject was not unlocked before.
        """
        sealed = self.seal_if_unlocked(subject, text)
        if sealed is None:
            raise SubjectLocked("the subject's key is not in memory", hint="await unlock() first")
        return sealed

    def seal_if_unlocked(self, subject: str, text: str) -> bytes | None:
        """`seal`, but None when the subject was not unlocked before."""
        subject_id = self.subject_id(subject)
        key = self._keys.get(subject_id)
        if key is None:
            return None
        return _encrypt(key, subject_id, _bytes(text))

    def seal_bytes(self, subject: str, data: bytes) -> bytes:
        """`seal` for what is no text, such as compressed rows."""
        subject_id = self.subject_id(subject)
        key = self._keys.get(subject_id)
        if key is None:
            raise SubjectLocked("the subject's key is not in memory", hint="await unlock() first")
        return _encrypt(key, subject_id, data)

    def unseal_bytes_if_kept(self, subject: str, data: bytes) -> bytes | None:
        """What `seal_bytes` sealed; None when the subject has no key any more.

        Raises:
            SealBroken: the data was changed, or is not this subject's.
        """
        subject_id = self.subject_id(subject)
        key = self._load(subject_id)
        return None if key is None else _decrypt(key, subject_id, data)

    def unseal(self, subject: str, data: bytes) -> str:
        """The text again. Reads the database if the subject's key is not in memory.

        Raises:
            SubjectErased: the subject has no key.
            SealBroken: the data was changed, or is not this subject's.
        """
        text = self.unseal_if_kept(subject, data)
        if text is None:
            raise SubjectErased("the subject's key was destroyed: its texts cannot be read")
        return text

    def unseal_if_kept(self, subject: str, data: bytes) -> str | None:
        """`unseal`, but None when the subject has no key."""
        subject_id = self.subject_id(subject)
        key = self._load(subject_id)
        if key is None:
            return None
        return _decrypt(key, subject_id, data).decode("utf-8", "surrogatepass")

    def destroy(self, subject: str) -> bool:
        """Destroy the subject's key for good; False if there was none. Writes the database."""
        subject_id = self.subject_id(subject)
        with self._database.write() as connection:
            gone = connection.execute(
                delete(subject_keys).where(subject_keys.c.subject == subject_id)
            ).rowcount
            if gone:
                _count_destroyed(connection)
        with self._lock:
            self._destroyed += 1
            self._keys.pop(subject_id, None)
            self._ids.pop(subject, None)
        self._database.checkpoint()
        return gone > 0

    def drop_destroyed(self) -> int:
        """Forget keys that another process has destroyed; gives how many. Reads the database."""
        with self._database.read() as connection:
            seen = connection.execute(
                select(meta.c.value).where(meta.c.name == DESTROYED_COUNT)
            ).scalar()
            if seen == self._seen_destroyed:
                return 0
            known = list(self._keys)
            kept: set[str] = set()
            for begin in range(0, len(known), _ASKED_AT_ONCE):
                some = known[begin : begin + _ASKED_AT_ONCE]
                query = select(subject_keys.c.subject).where(subject_keys.c.subject.in_(some))
                kept.update(connection.execute(query).scalars())
        gone = [each for each in known if each not in kept]
        with self._lock:
            self._destroyed += 1
            for each in gone:
                self._keys.pop(each, None)
        self._seen_destroyed = seen
        return len(gone)

    def _load(self, subject_id: str) -> AESGCM | None:
        key = self._keys.get(subject_id)
        destroyed = self._destroyed
        if key is None:
            with self._database.read() as connection:
                wrapped = connection.execute(
                    select(subject_keys.c.wrapped_key).where(subject_keys.c.subject == subject_id)
                ).scalar()
            if wrapped is None:
                return None
            key = AESGCM(_decrypt(self._wrapping, subject_id, wrapped))
        with self._lock:
            if self._destroyed != destroyed:
                # Perhaps this very key: whoever needs it reads it again, if it is still there.
                return key
            self._keys[subject_id] = key
            self._keys.move_to_end(subject_id)
            if len(self._keys) > self._cached_subjects:
                self._keys.popitem(last=False)
        return key


def _foreign(path: Path, *, is_given: bool) -> MasterKeyUnusable:
    if not is_given:
        return MasterKeyUnusable(
            f"{path} is not the key that this database was written with",
            hint="put the right master.key back from your backup",
        )
    unset = f", or unset it to use {path}" if path.exists() else ""
    return MasterKeyUnusable(
        f"{MASTER_KEY_VARIABLE} is not the key that this database was written with",
        hint=f"set it to the key of this database{unset}",
    )


def _record_check(database: Database, master: MasterKey) -> str:
    """Note which master key this database is written with; what is noted already stays."""
    with database.write() as connection:
        if connection.execute(select(func.count()).select_from(subject_keys)).scalar():
            raise MasterKeyUnusable(
                "the database holds subject keys but no check of the master key",
                hint="restore the database from your backup",
            )
        connection.execute(
            insert_or_ignore(connection, meta), {"name": MASTER_KEY_CHECK, "value": master.check}
        )
        found = connection.execute(select(meta.c.value).where(meta.c.name == MASTER_KEY_CHECK))
        return str(found.scalar_one())


def _count_destroyed(connection: Connection) -> None:
    query = select(meta.c.value).where(meta.c.name == DESTROYED_COUNT)
    count = int(connection.execute(query).scalar() or 0) + 1
    row = {"name": DESTROYED_COUNT, "value": str(count)}
    connection.execute(upsert(connection, meta, ["value"]), row)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _encrypt(key: AESGCM, subject_id: str, data: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return bytes((_VERSION,)) + nonce + key.encrypt(nonce, data, subject_id.encode())


def _decrypt(key: AESGCM, subject_id: str, data: bytes) -> bytes:
    if len(data) <= 1 + _NONCE or data[0] != _VERSION:
        raise SealBroken("sealed data has an unknown form")
    try:
        return key.decrypt(data[1 : 1 + _NONCE], data[1 + _NONCE :], subject_id.encode())
    except InvalidTag as error:
        raise SealBroken("sealed data was changed, or belongs to another subject") from error
