"""Signatures of releases: Ed25519 (RFC 8032), under a key of this home.

Who deploys on another machine gives it the public key (`release.pub`) as one that is trusted.
Several may sign the same bytes: their signatures stand one after another, 64 bytes each.
"""

import contextlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from headrace.releases.errors import ReleaseInvalid

__all__ = ["KEY_FILE", "PUBLIC_FILE", "TRUSTED", "Signer", "apart", "joined"]

KEY_FILE = "release.key"
PUBLIC_FILE = "release.pub"
TRUSTED = "trusted-releases"
"""Folder of further public keys (PEM) whose releases may be served here."""
_SIGNATURE = 64
"""Bytes of one."""


def apart(signatures: bytes) -> list[bytes]:
    """Each of several signatures; what is left over at the end is none."""
    whole = len(signatures) - len(signatures) % _SIGNATURE
    return [signatures[at : at + _SIGNATURE] for at in range(0, whole, _SIGNATURE)]


def joined(*signatures: bytes) -> bytes:
    """Those of each argument, in their order, each once."""
    return b"".join(dict.fromkeys(each for several in signatures for each in apart(several)))


class Signer:
    """Signs with the home's key, which is made when it is first needed."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def sign(self, data: bytes) -> bytes:
        """
        Raises:
            ReleaseInvalid: the key's file is no key.
        """
        return self._key().sign(data)

    def is_trusted(self, data: bytes, signatures: bytes, *, also: bytes = b"") -> bool:
        """Whether this home's key, or one that it trusts, made one of the signatures.

        Args:
            also: a public key (PEM) that is trusted for this once.
        """
        keys = [*self._public_keys(), *_public_key(also)]
        return any(_is_right(key, each, data) for key in keys for each in apart(signatures))

    def public(self) -> bytes:
        """This home's public key (PEM), made if it was not there.

        Raises:
            ReleaseInvalid: the key's file is no key.
        """
        return (
            self._key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )

    def _key(self) -> Ed25519PrivateKey:
        path = self._home / KEY_FILE
        if not path.exists():
            _make(path)
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise ReleaseInvalid(f"{path} is no key: {error}", hint="restore it") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ReleaseInvalid(f"{path} is no Ed25519 key", hint="restore it")
        return key

    def _public_keys(self) -> list[Ed25519PublicKey]:
        paths = [self._home / PUBLIC_FILE, *sorted((self._home / TRUSTED).glob("*.pub"))]
        keys: list[Ed25519PublicKey] = []
        for path in paths:
            with contextlib.suppress(OSError):  # not there: nothing that could be trusted
                keys += _public_key(path.read_bytes())
        return keys


def _public_key(pem: bytes) -> list[Ed25519PublicKey]:
    """The key, or nothing where there is none that could be trusted."""
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        return []
    return [key] if isinstance(key, Ed25519PublicKey) else []


def _is_right(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _make(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_name(PUBLIC_FILE).write_bytes(public)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
