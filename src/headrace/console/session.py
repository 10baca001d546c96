"""Who is signed in: a cookie that names a key, and proves that this service wrote it.

The cookie holds the key's id and the time of signing in, never the key. The key itself is looked
up again at each request, so revoking it signs every browser out.
"""

import hmac
import os
import secrets
from pathlib import Path
from typing import Self

__all__ = ["LIFETIME_S", "SESSION_FILE", "Sessions"]

SESSION_FILE = "session.key"
LIFETIME_S = 30 * 86_400
_SECRET_BYTES = 32


class Sessions:
    """Writes and reads session cookies. Times are seconds since the epoch."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # Browsers do not tell ports apart: two services on one host must not share a name, or
        # signing in to one would sign out of the other.
        self.cookie_name = "headrace-" + self._sign("cookie name")[:8]

    @classmethod
    def open(cls, home: Path) -> Self:
        """Use the secret in `home/session.key` (0600); make it the first time.

        Deleting the file signs every browser out at the next start.
        """
        path = home / SESSION_FILE
        secret = path.read_bytes() if path.exists() else b""
        if len(secret) != _SECRET_BYTES:
            secret = secrets.token_bytes(_SECRET_BYTES)
            path.unlink(missing_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(secret)
        return cls(secret)

    def issue(self, key_id: str, *, now: float) -> str:
        """The cookie's value for a browser that has just shown this key."""
        claim = f"{key_id}.{int(now)}"
        return f"{claim}.{self._sign(claim)}"

    def key_id(self, cookie: str, *, now: float) -> str | None:
        """The key that the cookie names, or None when it is forged, damaged or too old."""
        claim, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(claim).encode()):
            return None
        key_id, _, issued = claim.rpartition(".")
        # Only this class signs claims, so what is signed has the right form.
        return key_id if int(issued) + LIFETIME_S > now else None

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()
