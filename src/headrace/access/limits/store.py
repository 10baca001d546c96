"""What was used, in the database: written in batches by the writer, read when a service starts.

Records carry what a counter holds, not what was added, so that a batch which is written twice
after a crash changes nothing.
"""

import time
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Executable, bindparam, delete, select

from headrace.access.limits.ledger import Change
from headrace.access.limits.limiter import LIMIT_USE
from headrace.access.limits.rule import is_money, scope_of
from headrace.access.limits.window import SLOTS, slot_at
from headrace.storage.database import Database, upsert
from headrace.storage.tables import limit_counters
from headrace.storage.writer import RecordHandler

__all__ = ["KEPT_S", "limit_handlers", "load_counters", "prune_counters"]

KEPT_S = 70 * 86_400.0
"""How long a counter is kept after its last use: longer than two months."""
_KEPT_PERIODS = 62
_ASKED = 500
"""Names in one query: SQLite takes some thousands of variables."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Change]).decode
_decode_slots = msgspec.msgpack.Decoder(dict[int, float]).decode


# Made once: making a statement costs more than running it.
_SLOTS = select(limit_counters.c.name, limit_counters.c.slots).where(
    limit_counters.c.name.in_(bindparam("names", expanding=True))
)
_upserts: dict[str, Executable] = {}


def _upsert(connection: Connection) -> Executable:
    dialect = connection.dialect.name
    found = _upserts.get(dialect)
    if found is None:
        found = _upserts[dialect] = upsert(connection, limit_counters, ["slots", "updated_at"])
    return found


def limit_handlers() -> dict[str, RecordHandler]:
    """What the batch writer does with the limiter's records."""
    return {LIMIT_USE: _write}


def load_counters(database: Database, *, now: float) -> dict[str, dict[int, float]]:
    """What was counted so far and may still count: amounts by slot or period, by counter.

    Call it once the writer has started, so that what an earlier process left is there.
    """
    query = select(limit_counters.c.name, limit_counters.c.slots).where(
        limit_counters.c.updated_at > now - KEPT_S
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    found = {row.name: _decode_slots(row.slots) for row in rows}
    oldest = slot_at(now) - SLOTS
    return {
        name: slots
        for name, slots in found.items()
        if slots and (is_money(scope_of(name).dimension) or max(slots) > oldest)
    }


def prune_counters(database: Database, *, now: float) -> int:
    """Delete the counters of keys that have not been used for long, revoked ones among them."""
    old = limit_counters.c.updated_at < now - KEPT_S
    with database.write() as connection:
        return connection.execute(delete(limit_counters).where(old)).rowcount


def _write(connection: Connection, payloads: Sequence[bytes]) -> None:
    changed: dict[str, dict[int, float]] = {}
    for payload in payloads:
        for name, slot, amount in _decode(payload):
            changed.setdefault(name, {})[slot] = amount
    if not changed:
        return
    stored = _stored(connection, list(changed))
    rows = [
        {
            "name": name,
            "slots": _encode(_kept(name, {**stored.get(name, {}), **slots})),
            "updated_at": time.time(),
        }
        for name, slots in changed.items()
    ]
    connection.execute(_upsert(connection), rows)


def _stored(connection: Connection, names: Sequence[str]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for at in range(0, len(names), _ASKED):
        asked = connection.execute(_SLOTS, {"names": names[at : at + _ASKED]})
        found.update({name: _decode_slots(slots) for name, slots in asked})
    return found


def _kept(name: str, slots: dict[int, float]) -> dict[int, float]:
    """Without what has left the window, or lies too many periods back."""
    if is_money(scope_of(name).dimension):
        return {at: slots[at] for at in sorted(slots)[-_KEPT_PERIODS:]}
    oldest = max(slots) - SLOTS
    return {at: amount for at, amount in slots.items() if at > oldest}
