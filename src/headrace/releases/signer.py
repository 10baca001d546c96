"""Signatures of releases: Ed25519 (RFC 8032), under a key of this home.

Who deploys on another machine gives it the public key (`release.pub`) as one that is trusted.
"""

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

__all__ = ["KEY_FILE", "PUBLIC_FILE", "TRUSTED", "Signer"]

KEY_FILE = "release.key"
PUBLIC_FILE = "release.pub"
TRUSTED = "trusted-releases"
"""Folder of further public keys (PEM) whose releases may be served here."""


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

    def is_trusted(self, data: bytes, signature: bytes) -> bool:
        """Whether this home's key, or one that it trusts, signed these bytes."""
        return self.key_of(data, signature) is not None

    def key_of(self, data: bytes, signature: bytes) -> bytes | None:
        """The trusted public key (PEM) that signed these bytes; None: nobody who is trusted."""
        for key in self._public_keys():
            try:
                key.verify(signature, data)
            except InvalidSignature:
                continue
            return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return None

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
            try:
                key = load_pem_public_key(path.read_bytes())
            except (OSError, ValueError):
                continue  # not there, or no key: nothing that could be trusted
            if isinstance(key, Ed25519PublicKey):
                keys.append(key)
        return keys


def _make(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_name(PUBLIC_FILE).write_bytes(public)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
