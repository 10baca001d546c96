"""Confirmations: a signed token that says who may send which text although these kinds are in it.

A token is good for one key, one subject, one policy and the very texts that it was made for, and for
ten minutes. It holds kinds and digests, never a text. Within its time it may be used again.
"""

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from time import time

import msgspec

__all__ = ["CONFIRM_FILE", "LIFETIME_S", "Confirmations", "digest_of"]

CONFIRM_FILE = "confirm.key"
LIFETIME_S = 600
_SECRET_BYTES = 32


class _Claim(msgspec.Struct, frozen=True, array_like=True):
    until: int
    digest: str
    kinds: list[str]


class Confirmations:
    """Makes and reads tokens. Until `open` was called they are good for this process only."""

    def __init__(self, *, clock: Callable[[], float] = time) -> None:
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self._clock = clock

    def open(self, home: Path) -> None:
        """Use the secret in `home/confirm.key` (0600), which every worker shares; make it if need be."""
        path = home / CONFIRM_FILE
        if not path.exists():
            with tempfile.NamedTemporaryFile(dir=home) as made:  # mode 0600
                made.write(secrets.token_bytes(_SECRET_BYTES))
                made.flush()
                with suppress(FileExistsError):  # another worker was first: theirs counts
                    os.link(made.name, path)
        self._secret = path.read_bytes()

    def issue(self, digest: str, kinds: Collection[str]) -> str:
        """A token for these kinds in the texts of that digest."""
        claim = _Claim(int(self._clock()) + LIFETIME_S, digest, sorted(kinds))
        body = base64.urlsafe_b64encode(msgspec.json.encode(claim)).rstrip(b"=").decode()
        return f"{body}.{self._sign(body)}"

    def kinds(self, token: str, digest: str) -> frozenset[str]:
        """What a token confirms; nothing when it is forged, too old, or for other texts."""
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return frozenset()
        claim = msgspec.json.decode(
            base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=_Claim
        )
        if claim.until < self._clock() or not hmac.compare_digest(claim.digest, digest):
            return frozenset()
        return frozenset(claim.kinds)

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), "sha256").hexdigest()[:32]


def digest_of(parts: Iterable[str]) -> str:
    """A digest over texts in order; where one ends and the next begins counts."""
    made = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "big"))
        made.update(data)
    return made.hexdigest()
