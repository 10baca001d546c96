"""The master key, which all subject keys are wrapped by: a file made on the first start, or given.

The variable `HEADRACE_MASTER_KEY` wins over the file; what it holds is never written anywhere. A key
management service would be a third way, and is not there yet: docs/decisions/0016.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from headrace.privacy.errors import MasterKeyUnusable

__all__ = ["MASTER_KEY_FILE", "MASTER_KEY_VARIABLE", "MasterKey"]

MASTER_KEY_FILE = "master.key"
MASTER_KEY_VARIABLE = "HEADRACE_MASTER_KEY"
_BYTES = 32


class MasterKey:
    """What is derived from the master key; the key itself is not kept.

    Derivation is HMAC-SHA256 with a label each: the input is already uniformly random, so the
    extract step of HKDF (RFC 5869) would add nothing.
    """

    def __init__(self, secret: bytes) -> None:
        self.wrapping = _derive(secret, b"headrace subject key wrapping v1")
        """AES-256 key that wraps subject keys."""
        self.check = _derive(secret, b"headrace master key check v1").hex()[:32]
        """Tells whether a database was written with this key; reveals nothing about it."""
        self.caching = _derive(secret, b"headrace answer cache v1")
        """What answers that gateways share are encrypted under."""
        self.auditing = _derive(secret, b"headrace audit chain v1")
        """What the codes of records that are only added to are made with."""
        self._naming = _derive(secret, b"headrace subject id v1")

    @classmethod
    def given(cls, environ: Mapping[str, str]) -> Self | None:
        """The key that the environment brings, or None where the file is to be used.

        An empty variable is an error, too: taken for "not set" it would have a new key made on a
        disk that whoever meant to set it may not keep.

        Raises:
            MasterKeyUnusable: the variable does not hold a key.
        """
        text = environ.get(MASTER_KEY_VARIABLE)
        if text is None:
            return None
        secret = _decoded(text.encode("utf-8", "replace"))
        if secret is None:
            raise MasterKeyUnusable(
                f"{MASTER_KEY_VARIABLE} does not hold a master key (32 bytes in base64)",
                hint="set it to the key, as `openssl rand -base64 32` makes one, or unset it to "
                f"use the home's {MASTER_KEY_FILE}",
            )
        return cls(secret)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key file.

        Raises:
            MasterKeyUnusable: it is missing, unreadable, or does not hold a key.
        """
        try:
            secret = _decoded(path.read_bytes())
        except OSError as error:
            raise MasterKeyUnusable(
                f"{path}: cannot be read: {error.strerror}",
                hint=f"restore the file from your backup, or set {MASTER_KEY_VARIABLE}; without "
                "the key stored texts stay unreadable",
            ) from error
        if secret is None:
            raise MasterKeyUnusable(
                f"{path}: does not hold a master key (32 bytes in base64)",
                hint="restore the file from your backup; without it stored texts stay unreadable",
            )
        return cls(secret)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a new key; durable on disk before this returns, so nothing is sealed in vain.

        Two processes that start together get the same key: the second finds the first one's.

        Raises:
            MasterKeyUnusable: the file cannot be written.
        """
        # Not named after the process: two containers that share a home may both be process 1.
        fresh = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
        try:
            _write_durably(fresh, base64.b64encode(os.urandom(_BYTES)) + b"\n")
            try:
                # Unlike a rename, a link never replaces a key that is already there.
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
            _sync_folder(path.parent)
        except OSError as error:
            raise MasterKeyUnusable(
                f"{path}: cannot be written: {error.strerror}",
                hint="check the folder's permissions and the disk's free space",
            ) from error
        return cls.load(path)

    def subject_id(self, subject: str) -> str:
        """The id a subject has in the database; without the master key it cannot be guessed."""
        return hmac.digest(self._naming, subject.encode("utf-8", "surrogatepass"), "sha256")[
            :16
        ].hex()


def _decoded(text: bytes) -> bytes | None:
    """The key from its base64 form, or None when that is not what the text is."""
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        return None
    return secret if len(secret) == _BYTES else None


def _derive(secret: bytes, label: bytes) -> bytes:
    return hmac.digest(secret, label, hashlib.sha256().name)


def _write_durably(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
