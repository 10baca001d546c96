"""The eval log of Inspect AI, against a restatement of what its reader demands.

The types below are those of `inspect_ai.log.EvalLog` 0.3.285 (schema 2), as far as we write them:
what it requires is required here, and names it does not know are refused.
"""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from headrace.config.node import parse_yaml
from headrace.evaluation.ask import Answer
from headrace.evaluation.inspect_log import inspect_log, inspect_log_name
from headrace.evaluation.report import make_report
from headrace.evaluation.run import Result, Run
from headrace.evaluation.store import KeptRun
from headrace.evaluation.suite import Suite, parse_suite

SUITE = """\
scorers: [contains, judge]
description: Of capitals.
repeats: 2
seed: 7
params: {max_tokens: 9, stop: [x]}
cases:
  - {id: fr, input: What is the capital of France?, target: Paris, tags: [eu]}
  - {id: two, input: [And of Italy?, And of Italy?], target: 3.5}
"""


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class Usage(_Strict):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    total_cost: float


class Message(_Strict):
    role: Literal["user", "assistant"]
    content: str
    source: Literal["generate"] | None = None
    model: str | None = None


class Choice(_Strict):
    message: Message
    stop_reason: Literal["stop", "max_tokens", "content_filter", "unknown"]


class Output(_Strict):
    model: str
    choices: list[Choice]
    completion: str = ""
    usage: Usage | None = None
    time: float | None = None


class Score(_Strict):
    value: float
    answer: str | None
    explanation: str | None


class Error(_Strict):
    message: str
    traceback: str
    traceback_ansi: str


class Sample(_Strict):
    id: str
    epoch: int
    uuid: str
    input: str | list[Message]
    target: str
    messages: list[Message]
    output: Output
    scores: dict[str, Score]
    metadata: dict[str, object]
    model_usage: dict[str, Usage] = {}
    total_time: float = 0
    working_time: float = 0
    error: Error | None = None


class Metric(_Strict):
    name: str
    value: float
    group: str | None = None


class Scores(_Strict):
    name: str
    scorer: str
    reducer: str
    scored_samples: int
    unscored_samples: int
    metrics: dict[str, Metric]


class Results(_Strict):
    total_samples: int
    completed_samples: int
    scores: list[Scores]
    metadata: dict[str, object]


class Generate(_Strict):
    max_tokens: int
    temperature: float
    stop_seqs: list[str]
    seed: int


class Step(_Strict):
    solver: str
    params: dict[str, object]


class Plan(_Strict):
    name: str
    steps: list[Step]
    config: Generate


class Dataset(_Strict):
    name: str
    samples: int
    sample_ids: list[str]
    shuffled: bool


class Config(_Strict):
    epochs: int
    epochs_reducer: list[str]
    fail_on_error: bool


class Spec(_Strict):
    eval_id: str
    run_id: str
    created: str
    task: str
    task_id: str
    task_version: int | str
    task_file: str
    task_description: str | None
    solver: str
    dataset: Dataset
    model: str
    model_generate_config: Generate
    config: Config
    packages: dict[str, str]
    metadata: dict[str, object]
    scorers: list[dict[Literal["name"], str]]


class Stats(_Strict):
    started_at: str
    completed_at: str
    model_usage: dict[str, Usage]


class Log(_Strict):
    version: Literal[2]
    status: Literal["success"]
    eval: Spec
    plan: Plan
    results: Results
    stats: Stats
    samples: list[Sample]


def a_suite() -> Suite:
    return parse_suite(parse_yaml(SUITE, "evals/trip.yaml", {}, root=Path()), Path(), "trip")


def an_answer(text: str, **more: object) -> Answer:
    told = {"prompt_tokens": 5, "completion_tokens": 2, "cost_usd": 0.5, "total_s": 1.5, **more}
    return msgspec.convert({"text": text, **told}, Answer)


def logged(*results: Result) -> Log:
    run = Run(suite="trip", release="sha256:1", results=list(results))
    kept = KeptRun(id="run-01-ab", created_at=10.0, run=run)
    data = inspect_log(kept, a_suite(), make_report(run, ["too bad"]), started_at=0.0)
    return msgspec.json.decode(data, type=Log)


def fr(repeat: int, answer: Answer | None, **more: object) -> Result:
    told = {"case": "fr", "repeat": repeat, "answer": answer, "scores": {}, "tags": ["eu"], **more}
    return msgspec.convert(told, Result, from_attributes=True)


def test_what_a_reader_demands_is_there_and_nothing_else() -> None:
    log = logged(
        fr(0, an_answer("Paris \x00 京"), scores={"contains": 1.0, "judge": 0.5}, notes={"judge": "2:2"}),
        fr(1, an_answer("Rome"), scores={"contains": 0.0}, unscored={"judge": "no verdict"}),
    )  # fmt: skip
    assert (log.eval.task, log.eval.task_version) == ("trip", a_suite().version)
    assert log.eval.metadata == {"release": "sha256:1"}
    assert (log.eval.config.epochs, log.eval.dataset.sample_ids) == (2, ["fr", "two"])
    assert log.plan.config == Generate(max_tokens=9, temperature=0, stop_seqs=["x"], seed=7)
    assert (log.stats.started_at, log.stats.completed_at) == (
        "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:10+00:00",
    )  # fmt: skip
    both = Usage(input_tokens=10, output_tokens=4, total_tokens=14, total_cost=1.0)
    assert log.stats.model_usage == {"headrace/default": both}
    first, second = log.samples
    assert (first.epoch, second.epoch, first.target) == (1, 2, "Paris")
    assert first.input == "What is the capital of France?"
    assert first.output.completion == first.messages[-1].content == "Paris \x00 京"
    assert first.scores["judge"] == Score(value=0.5, answer="Paris \x00 京", explanation="2:2")
    assert second.metadata["unscored"] == {"judge": "no verdict"}
    assert first.uuid != second.uuid
    assert log.results.metadata == {"gate": "failed", "breaches": ["too bad"]}
    contains, judge = log.results.scores
    assert contains.metrics["mean"].value == contains.metrics["mean_eu"].value == 0.5
    assert (judge.scored_samples, judge.unscored_samples) == (1, 1)


def test_what_the_model_could_not_answer_is_an_error_and_no_answer() -> None:
    log = logged(fr(0, None, error="the model is down"))
    (sample,) = log.samples
    assert sample.error is not None
    assert sample.error.message == "the model is down"
    assert (sample.output.choices, [each.role for each in sample.messages]) == ([], ["user"])
    assert (log.results.total_samples, log.results.completed_samples) == (1, 0)


@pytest.mark.parametrize(("said", "shown"), [(["Rome"], ["Rome", "Rome!"]), ([], ["Rome!"])])
def test_a_conversation_has_each_answer_that_is_known(said: list[str], shown: list[str]) -> None:
    result = Result(case="two", repeat=0, answer=an_answer("Rome!", said=said), scores={})
    (sample,) = logged(result).samples
    assert isinstance(sample.input, list)
    assert [each.content for each in sample.input] == ["And of Italy?", "And of Italy?"]
    assert [each.content for each in sample.messages if each.role == "assistant"] == shown
    assert len(sample.messages) == 2 + len(shown)
    assert sample.target == "3.5"


def test_the_name_is_one_that_inspect_finds_in_a_folder() -> None:
    kept = KeptRun(id="run-01-ab", created_at=1, run=Run(suite="a_b/c", release="", results=[]))
    name = inspect_log_name(kept, started_at=0.0)
    assert name == "1970-01-01T00-00-00+00-00_a-b-c_01ab.json"
