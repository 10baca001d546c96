"""A vault that stays closed, for what looks at traces without their texts."""

__all__ = ["Unread"]


class Unread:
    """A vault that stays closed: what is listed without texts needs no key."""

    def subject_id(self, subject: str) -> str:
        return subject

    def is_unlocked(self, subject: str) -> bool:
        del subject
        return False

    async def unlock(self, subject: str) -> None:
        """Nothing is ever sealed here."""

    def seal_if_unlocked(self, subject: str, text: str) -> bytes | None:
        del subject, text
        return None

    def unseal_if_kept(self, subject: str, data: bytes) -> str | None:
        del subject, data
        return None
