"""One person: where their data is, and its end.

Erasing destroys the person's key first; from then on nothing sealed under it can be read, here or in
any copy of the files. What is left are figures and digests without texts.
"""

from dataclasses import dataclass

from sqlalchemy import delete, func, select

from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import (
    consents,
    conversation_messages,
    conversations,
    traces,
)

__all__ = ["Holdings", "erase", "holdings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """How much is kept of one person, in rows."""

    subject: str
    """The vault's subject id."""
    has_key: bool
    """Whether their texts can be read."""
    traces: int
    conversations: int
    messages: int
    consents: int


def holdings(database: Database, vault: Vault, name: str) -> Holdings:
    """What is kept of the person whom requests call `name`."""
    subject = vault.subject_id(name)
    counted: dict[str, int] = {}
    with database.read() as connection:
        for what, table in (
            ("traces", traces),
            ("conversations", conversations),
            ("messages", conversation_messages),
            ("consents", consents),
        ):
            query = select(func.count()).select_from(table).where(table.c.subject == subject)
            counted[what] = connection.execute(query).scalar_one()
    return Holdings(subject=subject, has_key=vault.has_key(name), **counted)


def erase(database: Database, vault: Vault, name: str) -> Holdings:
    """Make everything about a person unreadable, and delete what is theirs alone.

    Gives what there was. Traces stay as figures, their texts unreadable; conversations go. Consents
    stay as times and purposes: they account for what was done.
    """
    before = holdings(database, vault, name)
    vault.destroy(name)
    with database.write() as connection:
        for table in (conversation_messages, conversations):
            connection.execute(delete(table).where(table.c.subject == before.subject))
    database.checkpoint()
    return before
