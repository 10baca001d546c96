"""`headrace eval live` and `eval drift`: real traffic scored and compared."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from headrace.server.state import DATABASE_FILE
from tests.cli.conftest import Call, StoreTrace

DAY = 86_400.0
SUITE = """\
scorers: [answered, {screening: {policy: default}}]
gate: {scores: {answered: 0.9}}
"""


@pytest.fixture
def suite(folder: Path) -> str:
    (folder / "evals").mkdir()
    (folder / "evals" / "traffic.yaml").write_text(SUITE)
    return "evals/traffic.yaml"


def traffic(store_trace: StoreTrace, answer: str, *, count: int, days: float) -> None:
    for number in range(count):
        store_trace(f"Question {number}?", answer, started_at=time.time() - days * DAY + number)


def test_a_sample_is_scored_as_it_was_answered(
    call: Call, store_trace: StoreTrace, suite: str, folder: Path
) -> None:
    traffic(store_trace, "Paris is the capital.", count=40, days=0.5)
    good = call("eval", "live", suite, "--sample", "30", "--json")
    assert good.status == 0, good.err
    told = json.loads(good.out)
    assert (told["turns"], told["report"]["answers"]) == (40, 30)
    traffic(store_trace, "I'm sorry, but I cannot help with that.", count=40, days=0.4)
    bad = call("eval", "live", suite, "--sample", "80", "--json")
    assert bad.status == 1
    assert json.loads(bad.out)["report"]["breaches"] == ["answered: 0.500 is 0.400 below 0.9"]
    shown = call("eval", "live", suite, "--sample", "80")
    assert "80 of 80 turns" in shown.out
    # The same seed takes the same turns; what is kept holds no text.
    history = json.loads(call("eval", "history", "traffic", "--json").out)
    assert [each["run"]["release"] for each in history] == ["live"] * 3
    assert "Paris" not in json.dumps(history)


def test_a_scorer_that_needs_a_target_does_not_fit(
    call: Call, store_trace: StoreTrace, suite: str, folder: Path
) -> None:
    traffic(store_trace, "Paris.", count=2, days=0.5)
    (folder / suite).write_text("scorers: [contains]\n")
    wrong = call("eval", "live", suite)
    assert wrong.status == 1
    assert "evals/traffic.yaml:1" in wrong.err
    assert "has no `target`" in wrong.err


def test_no_traffic_is_said(call: Call, store_trace: StoreTrace, suite: str) -> None:
    traffic(store_trace, "Paris.", count=2, days=9)
    none = call("eval", "live", suite)
    assert none.status == 1
    assert "none of 0 turns can be scored" in none.err


def test_a_change_is_said_once_and_remembered(call: Call, store_trace: StoreTrace) -> None:
    traffic(store_trace, "Paris.", count=60, days=3)
    traffic(store_trace, "Paris.", count=40, days=0.5)
    same = call("eval", "drift")
    assert same.status == 0, same.err
    assert "40 chats against 60 before" in same.out
    assert "drifted" not in same.out
    for number in range(60):
        store_trace(
            f"问题{number}？", "巴黎。", started_at=time.time() - 0.2 * DAY, language="zh",
            prompt_tokens=400 + number,
        )  # fmt: skip
    changed = call("eval", "drift", "--json")
    assert changed.status == 1
    told = json.loads(changed.out)
    found = {each["name"] for each in told["signals"] if each["has_drifted"]}
    assert found == {"language", "prompt_tokens"}
    assert {each["signal"] for each in told["alerts"]} == found
    again = json.loads(call("eval", "drift", "--json").out)
    assert again["alerts"] == []
    history = call("eval", "drift", "--history")
    assert history.status == 0
    assert history.out.count("language") == 1


def test_worse_scores_are_drift(
    call: Call, store_trace: StoreTrace, suite: str, folder: Path
) -> None:
    traffic(store_trace, "Paris is the capital.", count=40, days=0.5)
    assert call("eval", "live", suite).status == 0
    # That run was two days ago.
    with sqlite3.connect(folder / ".headrace" / DATABASE_FILE) as database:
        database.execute("UPDATE evaluation_runs SET created_at = created_at - 172800")
    traffic(store_trace, "I'm sorry, but I can't help with that.", count=60, days=0.1)
    assert call("eval", "live", suite, "--since", "4h", "--sample", "60").status == 1
    told = json.loads(call("eval", "drift", "--json").out)
    drifted = {each["name"] for each in told["signals"] if each["has_drifted"]}
    assert "traffic.answered" in drifted


def test_too_little_traffic_is_said(call: Call, store_trace: StoreTrace) -> None:
    traffic(store_trace, "Paris.", count=3, days=0.5)
    few = call("eval", "drift")
    assert few.status == 0
    assert "too few turns to tell" in few.err
