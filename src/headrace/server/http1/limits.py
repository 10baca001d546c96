"""How much of what one client may use. The settings stand in `server:` of headrace.yaml."""

from dataclasses import dataclass

__all__ = [
    "DISCARD_BYTES",
    "LINGER_BYTES",
    "LINGER_S",
    "MIN_BODY_BYTES_PER_S",
    "MOST_HEADERS",
    "READ_AHEAD_BYTES",
    "Limits",
]

MOST_HEADERS = 128
"""A browser sends some 20, the OpenAI SDK 18, and each proxy on the way adds a few."""
READ_AHEAD_BYTES = 64 * 1024
"""Bytes taken from a client before somebody wants them: a body's, or further requests'."""
DISCARD_BYTES = 64 * 1024
"""A body that nobody wanted is read to its end up to here, for the connection's sake."""
LINGER_S = 2.0
"""How long a refused client that still sends is listened to, so that it reads why: closing
while its bytes arrive would make the kernel throw the answer away (RST)."""
LINGER_BYTES = 16 * 1024 * 1024
MIN_BODY_BYTES_PER_S = 500
"""A body must come at least this fast, beyond `body_timeout_s`; Apache's default too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    uri_bytes: int = 8 * 1024
    header_bytes: int = 32 * 1024
    """The whole head: request line and headers."""
    connections: int = 10_000
    header_timeout_s: float = 10.0
    """From the first byte of a head (or from connecting) to its last."""
    body_timeout_s: float = 20.0
    """For a body; each MIN_BODY_BYTES_PER_S bytes that have come give it a second more."""
    idle_timeout_s: float = 75.0
    """Between an answer and the next request. Longer than common load balancers wait (60 s), so
    that they close first: a connection closed by us may just have been given a request."""
    write_timeout_s: float = 60.0
    """Without a client's taking anything of what waits for it."""

    @property
    def tick_s(self) -> float:
        """How often to look who is over time: never a tenth of a limit late, at most twice a second."""
        shortest = min(
            self.header_timeout_s, self.body_timeout_s, self.idle_timeout_s, self.write_timeout_s
        )
        return min(0.5, max(0.01, shortest / 10))
