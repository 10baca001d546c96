"""A suite from its file to a verdict. The answerer stands at the room's border."""

import asyncio
import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from headrace.config.node import parse_yaml
from headrace.errors import ConfigError, InvalidRequest, ModelUnavailable
from headrace.evaluation.ask import Answer, Ask
from headrace.evaluation.errors import ScorerFailed
from headrace.evaluation.gate import breaches, percentile
from headrace.evaluation.run import Result, Run, run_suite
from headrace.evaluation.scorer import Tools
from headrace.evaluation.scorers.table import make_scorers
from headrace.evaluation.suite import Gate, Suite, parse_suite
from headrace.storage.errors import StateUnusable

SUITE = """\
scorers: [contains, regex: {pattern: "[A-Z]"}]
repeats: 2
seed: 5
cases:
  - {id: fr, input: France?, target: Paris, tags: [eu]}
  - {id: two, input: [Japan?, And China?], target: 北京}
gate: {scores: {contains: 0.9}}
"""


class Kept(dict[str, bytes]):
    """A cache in memory."""

    broken_after: float = math.inf

    def put(self, key: str, data: bytes) -> None:
        if len(self) >= self.broken_after:
            raise OperationalError("INSERT", None, Exception("disk I/O error"))
        self[key] = data


async def no_wait(_: float) -> None:
    return


def read(text: str, root: Path = Path()) -> Suite:
    node = parse_yaml(text, "evals/a.yaml", {}, root=root)
    suite = parse_suite(node, root, "a")
    make_scorers(node, suite)
    return suite


async def ran(
    text: str, answerer: "Answering", kept: Kept, release: str = "r", root: Path = Path()
) -> Run:
    node = parse_yaml(text, "evals/a.yaml", {}, root=root)
    suite = parse_suite(node, root, "a")
    scorers = make_scorers(node, suite, Tools(root=root))
    return await run_suite(
        suite, scorers, answerer, kept, release=release, parallel=3, sleep=no_wait
    )


class Answering:
    """Answers by table; fails as often as it is told to."""

    def __init__(self, failures: int = 0, error: type[Exception] = ModelUnavailable) -> None:
        self.asks: list[Ask] = []
        self.failures = failures
        self.error = error
        self.most = self.now = 0

    async def __call__(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if self.failures:
            self.failures -= 1
            raise self.error("down")
        texts = {"France?": "It is Paris.", "Japan?": "Tokyo", "And China?": "北京。"}
        return Answer(text=texts[ask.messages[-1].text()], total_s=1.0)


async def test_each_case_is_asked_with_every_seed_and_its_own_history() -> None:
    answering = Answering()
    run = await ran(SUITE, answering, Kept())
    assert [(each.case, each.repeat) for each in run.results] == [
        ("fr", 0), ("fr", 1), ("two", 0), ("two", 1),
    ]  # fmt: skip
    assert {ask.params.seed for ask in answering.asks} == {5, 6}
    longest = max(answering.asks, key=lambda ask: len(ask.messages))
    assert [m.text() for m in longest.messages] == ["Japan?", "Tokyo", "And China?"]
    assert run.by_case("contains") == {"fr": 1, "two": 1}
    assert run.by_case("regex") == {"fr": 1, "two": 0}
    assert answering.most <= 3
    assert breaches(run, read(SUITE).file.gate) == []


async def test_what_was_answered_is_not_asked_again_until_the_release_changes() -> None:
    kept, answering = Kept(), Answering()
    first = await ran(SUITE, answering, kept)
    asked = len(answering.asks)
    assert await ran(SUITE, answering, kept) == first
    assert len(answering.asks) == asked
    await ran(SUITE, answering, kept, release="other")
    assert len(answering.asks) == 2 * asked


async def test_a_model_that_comes_back_costs_nothing_and_one_that_does_not_is_an_error() -> None:
    assert all(each.answer for each in (await ran(SUITE, Answering(2), Kept())).results)
    kept = Kept()
    run = await ran(SUITE, Answering(10_000), kept)
    assert [each.error for each in run.results] == ["down"] * 4
    assert not kept
    assert run.by_case("contains") == {}
    found = breaches(run, read(SUITE).file.gate)
    assert "errors: 4, at most 0 are allowed" in found
    assert any(each.startswith("contains: nothing was scored") for each in found)


async def test_a_request_that_is_refused_is_not_tried_again() -> None:
    answering = Answering(1, InvalidRequest)
    run = await ran(SUITE, answering, Kept())
    assert sum(bool(each.error) for each in run.results) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "evals/a.yaml:1"),
        ("scorers: [exact]\n", "no cases"),
        ("scorers: [exat]\ncases: [{input: a, target: b}]\n", "no scorer 'exat'"),
        ("scorers: [exact, exact]\ncases: [{input: a, target: b}]\n", "twice"),
        ("scorers: [exact]\ncases:\n  - {input: a}\n", "'case-1': the case has no `target`"),
        ("scorers: [numeric]\ncases: [{input: a, target: b}]\n", "'case-1'"),
        ("scorers: [exact]\ncases:\n  - {input: a, target: b}\n  - {input: ' '}\n", "a.yaml:4"),
        ("scorers: [regex: {pattern: '('}]\ncases: [{input: a}]\n", "not a regular expression"),
        ("scorers: [numeric: {tolerence: 1}]\ncases: [{input: a}]\n", "'tolerance'?"),
        ("scorers: [exact]\ncases: [{input: a, target: b}]\ngate: {scores: {x: 1}}\n", ":3"),
        ("scorers: [exact]\nfiles: [../x.jsonl]\n", "outside"),
        ("scorers: [exact]\ncases: [{id: a, input: a, target: b}, {id: a, input: b}]\n", "already"),
    ],
)
def test_a_wrong_suite_says_where(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert said in raised.value.message + raised.value.hint


def test_a_wrong_row_says_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"input": "a", "target": "b"}\n\n{"inptu": 1}\n')
    with pytest.raises(ConfigError, match=r"c\.jsonl:3: not a case"):
        read("scorers: [exact]\nfiles: [c.jsonl]\n", tmp_path)


async def test_a_database_that_fails_is_one_line_and_what_was_answered_is_kept() -> None:
    kept, answering = Kept(), Answering()
    kept.broken_after = 1
    with pytest.raises(StateUnusable, match=r"case '.*': the database failed"):
        await ran(SUITE, answering, kept)
    kept.broken_after = math.inf
    asked = len(answering.asks)
    run = await ran(SUITE, answering, kept)
    assert len(run.results) == 4
    # One answer was kept: of six calls in all, the case's own are not made again.
    assert len(answering.asks) - asked in (4, 5)


@pytest.mark.parametrize(
    ("code", "said"),
    [("1 / 0", "ZeroDivisionError: division by zero"), ("float('nan')", "nan is no score")],
)
async def test_a_scorer_that_fails_is_one_line_and_what_was_answered_is_kept(
    code: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "checks.py").write_text(f"def bad(case, answer):\n    return {code}\n")
    text = SUITE.replace("contains,", "contains, function: {call: checks.bad},", 1)
    kept, answering = Kept(), Answering()
    with pytest.raises(ScorerFailed, match=f"the scorer 'function' failed on case .*{said}"):
        await ran(text, answering, kept, root=tmp_path)
    assert kept
    asked = len(answering.asks)
    (tmp_path / "checks.py").write_text("async def bad(case, answer):\n    return len(answer)\n")
    run = await ran(text, answering, kept, root=tmp_path)
    assert run.by_case("function") == {"fr": 12, "two": 3}
    assert len(answering.asks) < asked + 6


def result(case: int, score: float, **more: float) -> Result:
    answer = Answer(text="", **more)  # type: ignore[arg-type]  # numbers by name
    return Result(case=str(case), repeat=0, answer=answer, scores={"s": score})


def test_every_gate_says_by_how_much() -> None:
    good = Run(suite="a", release="1", results=[result(i, 1.0) for i in range(20)])
    bad = Run(
        suite="a",
        release="2",
        results=[result(i, i % 2, ttft_s=2.0, total_s=3.0, cost_usd=0.1) for i in range(20)],
    )
    gate = Gate(
        scores={"s": 0.9}, floors={"s": 0.5}, max_ttft_p95_s=1.5, max_total_p95_s=1, max_cost_usd=1
    )
    found = breaches(bad, gate, good)
    assert found[0] == "s: 0.500 is 0.400 below 0.9"
    assert found[1] == "s: case '0' has 0.000, the floor is 0.5"
    assert found[11:14] == [
        "ttft_p95: 2.000 s is 0.500 s over 1.5 s",
        "total_p95: 3.000 s is 2.000 s over 1 s",
        "cost: 2.0000 USD is 1.0000 over 1",
    ]
    assert found[14].startswith("s: 0.500 worse than the baseline (p = 0.0020")
    assert breaches(good, Gate(scores={"s": 1.0}), bad) == []
    assert breaches(bad, Gate(no_regression=False), good) == []


def test_a_baseline_that_shares_no_case_fails_the_gate() -> None:
    one = Run(suite="a", release="1", results=[result(1, 1.0)])
    two = Run(suite="a", release="2", results=[result(2, 1.0)])
    for gate in (Gate(), Gate(no_regression=False)):
        assert "shares no scored case" in breaches(two, gate, one)[0]


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_value_that_covers_its_share(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(each <= found for each in values) >= share * len(values) - 1e-9


@given(st.text(max_size=200))
def test_any_file_is_read_or_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read(text)


def test_a_run_survives_json() -> None:
    run = Run(suite="a", release="1", results=[result(1, 0.5, total_s=2.0)])
    assert msgspec.json.decode(msgspec.json.encode(run), type=Run) == run
