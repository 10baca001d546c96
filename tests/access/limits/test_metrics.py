"""Figures about limits: Prometheus reads them, and docs/limits.md names each."""

import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from headrace.access.limits.admission import Admission
from headrace.access.limits.build import build_limiter
from headrace.access.limits.config import Limits, RedisConfig
from headrace.access.limits.errors import LimitExceeded
from headrace.access.limits.limiter import Limiter, MemoryLimiter
from headrace.access.limits.metrics import LimitCollector
from headrace.access.limits.rule import Rule
from headrace.access.limits.store import limit_handlers
from headrace.access.principal import Principal
from headrace.errors import ConfigError
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter

GUIDE = Path(__file__).parents[3] / "docs" / "limits.md"
ADA = Principal("key-ada", "ada", "user")
RULES = (Rule(key="ada", requests_per_minute=1),)


def samples(limiter: Limiter) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(LimitCollector(limiter))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    guide = GUIDE.read_text("utf-8")
    for family in families:
        shown = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{shown}`" in guide, f"docs/limits.md does not name {shown}"
        assert family.documentation
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_refusals_are_counted_by_limit_and_rule() -> None:
    limiter = MemoryLimiter(Limits(rules=RULES))
    for _ in range(3):
        with suppress(LimitExceeded):
            limiter.admit(ADA, "m", 1, time.time())
    assert samples(limiter) == {
        ("headrace_limit_rejections_total", "requests_per_minute", "key ada"): 2,
        ("headrace_limit_scopes",): 1,
    }


async def test_a_shared_limiter_says_whether_redis_answers(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "state.db")
    writer = BatchWriter(database, tmp_path / "journal", limit_handlers(), capacity_bytes=65_536)
    redis = RedisConfig(url="unix:///nowhere/redis.sock")
    limiter = build_limiter(Limits(rules=RULES, redis=redis), database, writer, now=time.time())
    await limiter.start()
    admission = limiter.admit(ADA, "m", 1, time.time())
    assert not isinstance(admission, Admission)
    await admission
    found = samples(limiter)
    assert found["headrace_limit_redis_up",] == 0
    assert found["headrace_limit_redis_failures_total",] == 1
    await limiter.close()
    writer.close()
    database.close()


def test_a_missing_redis_client_is_said_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "headrace.access.limits.shared.limiter", None)
    database = Database.open(tmp_path / "state.db")
    writer = BatchWriter(database, tmp_path / "journal", limit_handlers(), capacity_bytes=65_536)
    config = Limits(rules=RULES, redis=RedisConfig(url="redis://localhost"))
    with pytest.raises(ConfigError) as caught:
        build_limiter(config, database, writer, now=time.time())
    assert caught.value.hint == "pip install 'headrace[redis]'"
    writer.close()
    database.close()
