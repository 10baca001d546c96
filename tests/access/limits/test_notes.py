"""What reaches the journal of many calls, and when."""

import asyncio

import msgspec

from headrace.access.limits.config import Limits
from headrace.access.limits.ledger import Change
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.limits.rule import Rule
from headrace.access.principal import Principal

EPOCH = 1_795_554_333.0
ADA = Principal("key-ada", "ada", "user", "research")
RULE = Rule(requests_per_minute=100, tokens_per_minute=10_000, usd_per_day=10)


class Journal:
    """Keeps what it is given, and says when there is more."""

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []
        """By the kind of counter: what each says."""
        self.more = asyncio.Event()

    def append(self, kind: str, payload: bytes) -> bool:
        assert kind == "limit.use"
        changes = msgspec.msgpack.decode(payload, type=list[Change])
        self.records.append({name.partition(":")[0]: amount for name, _, amount in changes})
        self.more.set()
        return True


def limiter(journal: Journal) -> MemoryLimiter:
    return MemoryLimiter(Limits(rules=(RULE,)), writer=journal, clock=lambda: EPOCH)


def told(journal: Journal) -> list[list[float]]:
    return [sorted(each.values()) for each in journal.records]


async def test_calls_of_one_turn_of_the_loop_make_one_record() -> None:
    journal = Journal()
    under_test = limiter(journal)
    await under_test.start()
    for _ in range(3):
        under_test.admit(ADA, "m", 50, EPOCH, estimated_cost_usd=0.5)
    assert journal.records == []
    await asyncio.sleep(0)
    assert told(journal) == [[1.5, 3, 150]]


async def test_what_a_call_used_follows_by_itself() -> None:
    journal = Journal()
    under_test = limiter(journal)
    await under_test.start()
    admission = under_test.admit(ADA, "m", 50, EPOCH, estimated_cost_usd=0.5)
    await journal.more.wait()
    journal.more.clear()
    admission.settle(20, 0.25)
    await asyncio.sleep(0)
    assert told(journal) == [[0.5, 1, 50]]
    await journal.more.wait()
    assert told(journal) == [[0.5, 1, 50], [0.25, 1, 20]]


async def test_the_next_call_takes_along_what_others_used() -> None:
    journal = Journal()
    under_test = limiter(journal)
    await under_test.start()
    under_test.admit(ADA, "m", 50, EPOCH).settle(20)
    under_test.admit(ADA, "m", 30, EPOCH)
    await asyncio.sleep(0)
    assert told(journal) == [[0, 2, 50]]


async def test_a_limiter_that_closes_leaves_nothing_behind() -> None:
    journal = Journal()
    under_test = limiter(journal)
    await under_test.start()
    with under_test.admit(ADA, "m", 50, EPOCH) as admission:
        admission.settle(20)
    await under_test.close()
    assert told(journal) == [[0, 1, 20]]
    under_test.admit(ADA, "m", 50, EPOCH)
    assert told(journal)[1:] == [[0, 2, 70]]


def test_without_a_loop_each_change_is_a_record() -> None:
    journal = Journal()
    limiter(journal).admit(ADA, "m", 50, EPOCH).settle(20)
    assert told(journal) == [[0, 1, 50], [0, 1, 20]]
