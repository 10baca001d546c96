"""Consents: what a person allowed, for which purpose, since when, until when (GDPR, article 7).

Nothing is allowed that was not given. A withdrawal ends what comes after it and is kept with its
time, so that what was done before can still be accounted for. What the consent rests on (a form, a
ticket) is sealed under the person's own key.
"""

import time
from collections.abc import Callable

import msgspec
from sqlalchemy import RowMapping, insert, select, update

from headrace.errors import InvalidRequest, NotFound
from headrace.ids import new_id
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import consents

__all__ = ["PURPOSES", "Consent", "ConsentStore"]

PURPOSES = ("training", "evaluation", "analytics")


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """One consent of one person."""

    id: str
    subject: str
    """The vault's subject id."""
    purpose: str
    given_at: float
    until: float | None = None
    withdrawn_at: float | None = None
    evidence: str = ""
    """What it rests on; empty when it was not said, or the person's key is gone."""

    def holds(self, at: float) -> bool:
        """Whether it allowed its purpose at that time."""
        ends = [each for each in (self.until, self.withdrawn_at) if each is not None]
        return self.given_at <= at and all(at < each for each in ends)


class ConsentStore:
    """Reads and writes the database: not for an event loop."""

    def __init__(
        self, database: Database, vault: Vault, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    def give(
        self, subject: str, purpose: str, *, evidence: str = "", until: float | None = None
    ) -> Consent:
        """Note that a person allows a purpose.

        Args:
            subject: their name, as requests give it in `user`.
            until: when it ends by itself, epoch seconds.

        Raises:
            InvalidRequest: nobody knows that purpose, or it would have ended already.
        """
        _check(purpose)
        now = self._clock()
        if until is not None and until <= now:
            raise InvalidRequest("the consent would have ended already", param="until")
        self._vault.unlock_now(subject)
        given = Consent(
            id=new_id(),
            subject=self._vault.subject_id(subject),
            purpose=purpose,
            given_at=now,
            until=until,
            evidence=evidence,
        )
        row = msgspec.structs.asdict(given)
        row["evidence_sealed"] = self._vault.seal(subject, row.pop("evidence"))
        with self._database.write() as connection:
            connection.execute(insert(consents), row)
        return given

    def withdraw(self, subject: str, purpose: str) -> int:
        """End every consent of a person for a purpose; gives how many held.

        Raises:
            InvalidRequest: nobody knows that purpose.
        """
        _check(purpose)
        now = self._clock()
        held = [each for each in self.of(subject) if each.purpose == purpose and each.holds(now)]
        with self._database.write() as connection:
            connection.execute(
                update(consents)
                .where(consents.c.id.in_([each.id for each in held]))
                .values(withdrawn_at=now)
            )
        return len(held)

    def of(self, subject: str) -> list[Consent]:
        """Every consent that a person ever gave, newest first."""
        query = (
            select(consents)
            .where(consents.c.subject == self._vault.subject_id(subject))
            .order_by(consents.c.id.desc())
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [self._consent(row) for row in rows]

    def holding(self, purpose: str, *, at: float | None = None) -> dict[str, Consent]:
        """The consent that allows a purpose, by subject id; the newest where there are several."""
        _check(purpose)
        when = self._clock() if at is None else at
        query = select(consents).where(consents.c.purpose == purpose).order_by(consents.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        found = (self._consent(row) for row in rows)
        return {each.subject: each for each in found if each.holds(when)}

    def get(self, consent_id: str) -> Consent:
        """
        Raises:
            NotFound: there is none of that id.
        """
        query = select(consents).where(consents.c.id == consent_id)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no consent {consent_id!r}")
        return self._consent(row)

    def _consent(self, row: RowMapping) -> Consent:
        evidence = self._vault.unseal_if_kept(row["subject"], row["evidence_sealed"])
        return Consent(
            id=row["id"],
            subject=row["subject"],
            purpose=row["purpose"],
            given_at=row["given_at"],
            until=row["until"],
            withdrawn_at=row["withdrawn_at"],
            evidence=evidence or "",
        )


def _check(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise InvalidRequest(
            f"there is no purpose {purpose!r}",
            hint=f"one of {', '.join(PURPOSES)}",
            param="purpose",
        )
