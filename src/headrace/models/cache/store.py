"""What the cache asks of a store that gateways share (shared.py is the real one)."""

from typing import Protocol

__all__ = ["SharedAnswers"]


class SharedAnswers(Protocol):
    """Keeps payloads by key. Only `get` and `look` are waited for."""

    is_away: bool
    failures: int

    async def get(self, key: bytes) -> bytes | None: ...

    def put(self, key: bytes, payload: bytes, ttl_s: float) -> None: ...

    def discard(self, key: bytes) -> None: ...

    async def look(self) -> bool:
        """See whether it is there; True when it was cleared since the last look."""
        ...

    async def close(self) -> None: ...
