"""What telemetry needs of the vault (`privacy/vault.py` is it; siblings do not import)."""

from typing import Protocol

__all__ = ["Sealer"]


class Sealer(Protocol):
    """Encrypts texts under a key per subject. A subject goes by its name or its subject id."""

    def subject_id(self, subject: str) -> str: ...

    def is_unlocked(self, subject: str) -> bool:
        """Whether the subject's key is in memory."""
        ...

    async def unlock(self, subject: str) -> None: ...

    def seal_if_unlocked(self, subject: str, text: str) -> bytes | None:
        """The sealed text, or None when the subject's key is not in memory. Never waits."""
        ...

    def unseal_if_kept(self, subject: str, data: bytes) -> str | None:
        """The text, or None when the subject's key was destroyed. May read the database."""
        ...
