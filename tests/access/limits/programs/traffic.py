"""Makes calls until it is killed, and notes after each step what the ledger holds by then.

    python traffic.py HOME NOTES

A note is written with one system call, so that what was noted survives the kill.
"""

import os
import random
import sys
import time
from pathlib import Path

import msgspec

from headrace.access.limits.config import Limits
from headrace.access.limits.errors import LimitExceeded
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.limits.rule import Rule
from headrace.access.limits.store import limit_handlers, load_counters
from headrace.access.principal import Principal
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter

RULES = (
    Rule(requests_per_minute=1_000_000, tokens_per_minute=10**9, usd_per_month=10**6),
    Rule(team="red", per=("team",), tokens_per_minute=10**9, usd_per_day=10**6),
)
KEYS = [Principal(f"key-{n}", f"name-{n}", "user", "red" if n % 2 else "") for n in range(4)]


def totals(limiter: MemoryLimiter, now: float) -> dict[str, float]:
    """What is counted, by counter."""
    found: dict[str, float] = {}
    for key in KEYS:
        plan = limiter.ledger.plan(key, "m", now)
        for rate in (*plan.requests, *plan.tokens):
            found[rate.window.name] = rate.window.total
        for budget in plan.usd_day:
            found[budget.spend.name] = budget.spend.spent(limiter.ledger.day(now).day)
        for budget in plan.usd_month:
            found[budget.spend.name] = budget.spend.spent(limiter.ledger.day(now).month)
    return found


def open_limiter(home: Path) -> tuple[MemoryLimiter, BatchWriter, Database]:
    database = Database.open(home / "state.db")
    writer = BatchWriter(database, home / "journal.ring", limit_handlers())
    writer.start()
    stored = load_counters(database, now=time.time())
    return MemoryLimiter(Limits(rules=RULES), writer=writer, stored=stored), writer, database


def main(home: Path, notes: Path) -> None:
    limiter, _, _ = open_limiter(home)
    noted = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    chance = random.Random(7)
    running = []
    while True:
        now = time.time()
        key = chance.choice(KEYS)
        try:
            running.append(limiter.admit(key, "m", 300, now, estimated_cost_usd=0.01))
        except LimitExceeded as error:
            raise SystemExit("the limits are meant to be too high to reach") from error
        if len(running) > 20:
            admission = running.pop(chance.randrange(len(running)))
            if chance.random() < 0.8:
                admission.settle(chance.randrange(500), chance.random() / 50)
            admission.release()
        os.write(noted, msgspec.json.encode(totals(limiter, time.time())) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
