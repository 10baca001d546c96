"""Confirmations: a signed token that says who may send which text although these kinds are in it.

A token is good for one key, one subject, one policy and the very texts that it was made for, and for
ten minutes. It holds kinds, each with the side on which it was asked about, and digests, never a text:
who confirms what they send has not confirmed what they will read. Within its time it may be used again.
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
from typing import TypeAlias

import msgspec

from headrace.screening.finding import Side

__all__ = ["CONFIRM_FILE", "LIFETIME_S", "Asked", "Confirmations", "digest_of"]

Asked: TypeAlias = tuple[Side, str]
"""What is confirmed: a kind, on one side of the model."""

CONFIRM_FILE = "confirm.key"
LIFETIME_S = 600
_SECRET_BYTES = 32


class _Claim(msgspec.Struct, frozen=True, array_like=True):
    until: int
    digest: str
    asked: list[Asked]


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

    def issue(self, digest: str, asked: Collection[Asked]) -> str:
        """A token for these kinds, each on its side, of turns with the texts of that digest."""
        claim = _Claim(int(self._clock()) + LIFETIME_S, digest, sorted(asked))
        body = base64.urlsafe_b64encode(msgspec.json.encode(claim)).rstrip(b"=").decode()
        return f"{body}.{self._sign(body)}"

    def asked(self, token: str, digest: str) -> frozenset[Asked]:
        """What a token confirms; nothing when it is forged, too old, or for other texts."""
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return frozenset()
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        try:
            claim = msgspec.json.decode(data, type=_Claim)
        except msgspec.ValidationError:  # of an earlier version, which did not say the side
            return frozenset()
        if claim.until < self._clock() or not hmac.compare_digest(claim.digest, digest):
            return frozenset()
        return frozenset(claim.asked)

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
