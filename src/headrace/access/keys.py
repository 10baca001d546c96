"""API keys: made, listed, revoked in the database; checked in memory.

A secret is `hr-` and 43 characters of base 62: 256 random bits. Only its SHA-256 is stored. A
slow password hash protects secrets that people choose and others guess; nobody guesses 256 bits,
and a slow hash would cost each request its milliseconds.
"""

import hashlib
import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self, cast

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from headrace.access.audit import Action, AuditLog, Change, changing
from headrace.access.principal import Principal, RoleName
from headrace.errors import InvalidRequest, NotFound, did_you_mean
from headrace.ids import new_id
from headrace.storage.database import Database
from headrace.storage.tables import api_keys

__all__ = ["ADMIN_KEY_FILE", "ApiKey", "KeyStore", "digest_of"]

ADMIN_KEY_FILE = "admin.key"
PREFIX = "hr-"
NAME_CHARS = 100
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 43
"""ceil(256 bits / log2(62))."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as people see it: everything but the secret. Times are seconds since the epoch."""

    id: str
    name: str
    role: RoleName
    hint: str
    """The secret's last four characters, to tell keys apart."""
    created_at: float
    revoked_at: float | None = None
    team: str = ""
    """Whose limits the key shares; empty for nobody's."""


class KeyStore:
    """All keys of a service. `authenticate` only looks in memory; `refresh` renews the memory."""

    def __init__(self, database: Database, audit: AuditLog | None = None) -> None:
        """
        Args:
            audit: where keys that are made and revoked are noted.
        """
        self._database = database
        self._audit = audit
        self._by_digest: dict[bytes, Principal] = {}
        self._by_id: dict[str, Principal] = {}
        self._version: tuple[int, int] | None = None
        self._refresh_lock = threading.Lock()

    @classmethod
    def open(cls, database: Database, audit: AuditLog | None = None) -> Self:
        store = cls(database, audit)
        store.refresh()
        return store

    def create(
        self, name: str, role: RoleName, *, team: str = "", who: str = "", why: str = ""
    ) -> tuple[str, ApiKey]:
        """Make a key; the secret is given this once and stored nowhere.

        Raises:
            InvalidRequest: the name is empty, or the name or team is longer than 100 characters
                or not printable.
        """
        secret = _new_secret()
        return secret, self._insert(name, role, secret, team, who=who, why=why)

    def list(self) -> list[ApiKey]:
        """Every key, revoked ones too, oldest first."""
        fields = ApiKey.__struct_fields__
        query = select(*(api_keys.c[field] for field in fields)).order_by(api_keys.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [msgspec.convert(dict(zip(fields, row, strict=True)), ApiKey) for row in rows]

    def revoke(self, key_id: str, *, who: str = "", why: str = "") -> ApiKey:
        """Make a key invalid for good. Revoking it again changes nothing.

        Args:
            key_id: the key's id, or any beginning or ending of it that no other key has.

        Raises:
            NotFound: no key has that id.
        """
        keys = self.list()
        found = [k for k in keys if k.id.startswith(key_id) or k.id.endswith(key_id)]
        if not key_id or len(found) != 1:
            what = f"{len(found)} keys match" if key_id and found else "no key has"
            raise NotFound(
                f"{what} the id {key_id!r}",
                hint=did_you_mean(key_id, [k.id for k in keys], kind="ids"),
            )
        key = found[0]
        if key.revoked_at is None:
            key = msgspec.structs.replace(key, revoked_at=time.time())
            change = _change("key.revoke", key, who=who, why=why)
            with changing(self._database, self._audit, change) as connection:
                connection.execute(
                    update(api_keys)
                    .where(api_keys.c.id == key.id)
                    .values(revoked_at=key.revoked_at)
                )
        self.refresh()
        return key

    def authenticate(self, secret: str) -> Principal | None:
        """Who shows this secret, or None. Looks in memory only.

        The lookup is by the secret's digest: how long it takes says something about the digest
        of a guess, which nobody can steer towards a stored one.
        """
        return self._by_digest.get(digest_of(secret))

    def holder(self, digest: bytes) -> Principal | None:
        """`authenticate`, for who has the secret's digest (`digest_of`) already."""
        return self._by_digest.get(digest)

    def get(self, key_id: str) -> Principal | None:
        """Who has the key of this id, or None when it is revoked or unknown. Memory only.

        For whoever has shown the key before, such as a browser that is signed in.
        """
        return self._by_id.get(key_id)

    def refresh(self) -> bool:
        """Take over what another process changed; True if there was anything. Reads the database.

        Call it about once a second, in a thread: keys made or revoked by the command line take
        effect within that time.
        """
        # One at a time, or a slow one could put back the keys that a faster one had replaced.
        with self._refresh_lock:
            return self._refresh()

    def _refresh(self) -> bool:
        with self._database.read() as connection:
            version = _version(connection)
            if version == self._version:
                return False
            rows = connection.execute(
                select(
                    api_keys.c.digest,
                    api_keys.c.id,
                    api_keys.c.name,
                    api_keys.c.role,
                    api_keys.c.team,
                ).where(api_keys.c.revoked_at.is_(None))
            ).all()
        # Swapped whole, so that a reader on another thread sees the old keys or the new ones.
        self._by_digest = {
            bytes.fromhex(digest): Principal(key_id, name, cast(RoleName, role), team)
            for digest, key_id, name, role, team in rows
        }
        self._by_id = {each.key_id: each for each in self._by_digest.values()}
        self._version = version
        return True

    def ensure_admin(self, home: Path) -> str | None:
        """Make the first admin key and keep it in `home/admin.key` (0600).

        Returns:
            The secret, to be shown once; None when there is an admin key that is not revoked.

        Raises:
            OSError: the file cannot be written; then no key was made.
        """
        if any(key.role == "admin" and key.revoked_at is None for key in self.list()):
            return None
        path = home / ADMIN_KEY_FILE
        secret = _new_secret()
        # The file first: an admin key whose secret nobody has would lock everybody out.
        with suppress(FileNotFoundError):
            path.unlink()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.write(secret + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._insert("admin", "admin", secret, who="headrace", why="there was no admin key")
        return secret

    def _insert(
        self, name: str, role: RoleName, secret: str, team: str = "", *, who: str, why: str
    ) -> ApiKey:
        if not name.strip() or len(name) > NAME_CHARS or not name.isprintable():
            raise InvalidRequest(
                f"a key's name must have 1 to {NAME_CHARS} printable characters", param="name"
            )
        if team != team.strip() or len(team) > NAME_CHARS or not team.isprintable():
            raise InvalidRequest(
                f"a team's name must have at most {NAME_CHARS} printable characters, "
                "without space around them",
                param="team",
            )
        key = ApiKey(
            id=new_id(),
            name=name,
            role=role,
            hint=secret[-4:],
            created_at=time.time(),
            team=team,
        )
        row = {**msgspec.structs.asdict(key), "digest": digest_of(secret).hex()}
        change = _change("key.create", key, who=who, why=why)
        with changing(self._database, self._audit, change) as connection:
            connection.execute(insert(api_keys), row)
        self.refresh()
        return key


def _change(action: Action, key: ApiKey, *, who: str, why: str) -> Change:
    about = {"name": key.name, "role": key.role, "team": key.team, "hint": key.hint}
    return Change(who=who, action=action, target=key.id, why=why, evidence=about)


def _new_secret() -> str:
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def digest_of(secret: str) -> bytes:
    """What a key is found by."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _version(connection: Connection) -> tuple[int, int]:
    """Changes with every key made or revoked: keys are never deleted nor un-revoked."""
    made, revoked = connection.execute(
        select(func.count(), func.count(api_keys.c.revoked_at)).select_from(api_keys)
    ).one()
    return int(made), int(revoked)
