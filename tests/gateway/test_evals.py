"""Evals by the unmodified OpenAI SDK, and what a kill in the middle does not lose."""

import io
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.conftest import REPOSITORY, SERVICE
from tests.running import ServiceProcess, wait_for

SAY = '[{"text": "{{item.said}}"}, {"finish_reason": "stop"}]'
VERDICT = '[{"text": "{\\"result\\": {{item.worth}}}"}, {"finish_reason": "stop"}]'


def client_of(service: ServiceProcess, key: str = "") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key=key or service.key, max_retries=0)


@pytest.fixture
def client(scripted: ServiceProcess) -> openai.OpenAI:
    return client_of(scripted)


def check(name: str = "right", reference: str = "{{item.wanted}}") -> dict[str, Any]:
    return {
        "type": "string_check",
        "name": name,
        "input": "{{sample.output_text}}",
        "reference": reference,
        "operation": "eq",
    }


def made(client: openai.OpenAI, *criteria: dict[str, Any], name: str = "facts") -> Any:
    return client.evals.create(
        name=name,
        data_source_config={"type": "custom", "item_schema": {"type": "object"}},
        testing_criteria=criteria or [check()],  # type: ignore[arg-type]  # dicts of the SDK's
        metadata={"who": "测试"},
    )


def source(rows: Sequence[dict[str, Any]], **more: Any) -> Any:
    return {
        "type": "completions",
        "model": "scripted",
        "input_messages": {
            "type": "template",
            "template": [{"role": "user", "content": SAY}],
        },
        "source": {"type": "file_content", "content": [{"item": row} for row in rows]},
        **more,
    }


def ended(client: openai.OpenAI, run: Any) -> Any:
    states = ("completed", "failed", "canceled")

    def now() -> Any:
        return client.evals.runs.retrieve(run.id, eval_id=run.eval_id)

    wait_for(lambda: now().status in states)
    return now()


ROWS = [
    {"said": "Paris", "wanted": "Paris", "worth": 1},
    {"said": "伦敦", "wanted": "伦敦", "worth": 0.75},
    {"said": "Rome", "wanted": "Madrid", "worth": 0},
]


def test_an_eval_is_made_changed_listed_and_deleted(client: openai.OpenAI) -> None:
    one = made(client)
    assert client.evals.retrieve(one.id).testing_criteria[0].name == "right"
    changed = client.evals.update(one.id, name="capitals")
    assert (changed.name, changed.metadata) == ("capitals", {"who": "测试"})
    assert one.id in [each.id for each in client.evals.list(limit=1, order="desc")]
    assert client.evals.delete(one.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.evals.retrieve(one.id)


def test_a_run_from_rows_to_grades(client: openai.OpenAI) -> None:
    similar = {
        "type": "text_similarity", "name": "like", "evaluation_metric": "rouge_l",
        "input": "{{sample.output_text}}", "reference": "{{item.wanted}}", "pass_threshold": 0.9,
    }  # fmt: skip
    score = {
        "type": "score_model", "name": "worth", "model": "scripted", "pass_threshold": 0.7,
        "input": [{"role": "user", "content": VERDICT}],
    }  # fmt: skip
    label = {
        "type": "label_model", "name": "label", "model": "scripted",
        "labels": ["good", "bad"], "passing_labels": ["good"],
        "input": [{"role": "user", "content": '[{"text": "good"}, {"finish_reason": "stop"}]'}],
    }  # fmt: skip
    one = made(client, check(), similar, score, label)
    run = client.evals.runs.create(one.id, name="first", data_source=source(ROWS))
    assert run.status == "queued"
    run = ended(client, run)
    assert run.status == "completed", run.error
    assert (run.result_counts.total, run.result_counts.passed, run.result_counts.failed) == (
        3,
        2,
        1,
    )
    per = {
        each.testing_criteria: (each.passed, each.failed)
        for each in run.per_testing_criteria_results
    }
    assert per == {"right": (2, 1), "like": (2, 1), "worth": (2, 1), "label": (3, 0)}
    assert run.per_model_usage[0].invocation_count == 3
    items = list(client.evals.runs.output_items.list(run.id, eval_id=one.id, limit=2))
    assert [each.datasource_item_id for each in items] == [0, 1, 2]
    assert [each.status for each in items] == ["pass", "pass", "fail"]
    assert items[1].sample.output[0].content == "伦敦"
    assert items[1].results[2].score == 0.75
    same = client.evals.runs.output_items.retrieve(items[2].id, eval_id=one.id, run_id=run.id)
    assert same.model_dump() == items[2].model_dump()
    failed = client.evals.runs.output_items.list(run.id, eval_id=one.id, status="fail")
    assert [each.id for each in failed] == [items[2].id]
    assert [each.id for each in client.evals.runs.list(one.id, status="completed")] == [run.id]
    client.evals.runs.delete(run.id, eval_id=one.id)
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.retrieve(run.id, eval_id=one.id)


def test_answers_that_are_there_already_are_graded_from_a_file(client: openai.OpenAI) -> None:
    lines = [
        json.dumps({"item": {"wanted": "b"}, "sample": {"output_text": text}}).encode()
        for text in ("b", "c")
    ]
    file = client.files.create(file=("rows.jsonl", io.BytesIO(b"\n".join(lines))), purpose="evals")
    one = made(client)
    run = client.evals.runs.create(
        one.id, data_source={"type": "jsonl", "source": {"type": "file_id", "id": file.id}}
    )
    counts = ended(client, run).result_counts
    assert (counts.passed, counts.failed, counts.errored) == (1, 1, 0)


def test_a_row_that_cannot_be_asked_or_graded_is_an_error_of_its_own(client: openai.OpenAI) -> None:
    one = made(client)
    rows = [{"said": "a", "wanted": "a"}, {"said": "a"}, {"wanted": "a"}]
    run = ended(client, client.evals.runs.create(one.id, data_source=source(rows)))
    assert run.status == "completed"
    assert (run.result_counts.passed, run.result_counts.errored) == (1, 2)
    items = list(client.evals.runs.output_items.list(run.id, eval_id=one.id))
    assert [each.status for each in items] == ["pass", "error", "error"]
    assert "{{item.wanted}}" in items[1].sample.error.message


def test_a_run_whose_file_is_wrong_fails_and_says_the_line(client: openai.OpenAI) -> None:
    file = client.files.create(
        file=("rows.jsonl", io.BytesIO(b'{"item": {}}\n{"itm": {}}\n')), purpose="evals"
    )
    one = made(client)
    given = source([]) | {"source": {"type": "file_id", "id": file.id}}
    run = ended(client, client.evals.runs.create(one.id, data_source=given))
    assert run.status == "failed"
    assert "line 2" in run.error.message
    with pytest.raises(openai.BadRequestError, match="cannot be cancelled"):
        client.evals.runs.cancel(run.id, eval_id=one.id)


@pytest.mark.parametrize(
    ("criterion", "said"),
    [
        ({"type": "python", "name": "p", "source": "x"}, "no code of clients"),
        ({"type": "nothing", "name": "p"}, "Invalid value"),
        ({**check(), "operation": "near"}, "Invalid enum value"),
        ({"type": "headrace_scorer", "name": "s", "scorer": "contain"}, "did you mean 'contains'"),
        (
            {"type": "headrace_scorer", "name": "s", "scorer": {"function": {"call": "a.b"}}},
            "folder",
        ),
        (
            {"type": "headrace_scorer", "name": "s", "scorer": {"regex": {"pattern": "(a+)+$"}}},
            "folder",
        ),
        (
            {"type": "headrace_scorer", "name": "s", "scorer": {"json_schema": {"file": "x"}}},
            "folder",
        ),
    ],
)
def test_a_criterion_that_cannot_be_used_is_refused(
    client: openai.OpenAI, criterion: dict[str, Any], said: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        made(client, criterion)


def test_a_source_that_cannot_be_used_is_refused(client: openai.OpenAI) -> None:
    one = made(client)
    wrong: Any
    for wrong in (
        {"type": "logs"},
        source([]),
        source([{}]) | {"source": {"type": "stored_completions"}},
        source([{}]) | {"source": {"type": "file_content", "content": [{"itm": 1}]}},
    ):
        with pytest.raises(openai.BadRequestError):
            client.evals.runs.create(one.id, data_source=wrong)
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.create(one.id, data_source=source([{}], model="script"))


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_a_run_that_never_ends_is_stopped_and_the_next_one_runs(
    client: openai.OpenAI, end: str
) -> None:
    one = made(client)
    endless = {"said": 'x", "endless": true, "logprobs": null, "text": "', "wanted": ""}
    run = client.evals.runs.create(one.id, data_source=source([ROWS[0], *[endless] * 9]))

    def now() -> Any:
        return client.evals.runs.retrieve(run.id, eval_id=one.id)

    wait_for(lambda: now().result_counts.passed == 1)
    assert now().status == "in_progress"
    if end == "cancel":
        assert client.evals.runs.cancel(run.id, eval_id=one.id).status == "canceled"
    else:
        client.evals.runs.delete(run.id, eval_id=one.id)
    other = made(client)
    after = client.evals.runs.create(other.id, data_source=source(ROWS))
    assert ended(client, after).status == "completed"
    if end == "cancel":
        assert now().status == "canceled"


def test_another_key_sees_none_of_it(scripted: ServiceProcess, client: openai.OpenAI) -> None:
    one = made(client)
    run = ended(client, client.evals.runs.create(one.id, data_source=source(ROWS[:1])))
    other = client_of(scripted, scripted.run("keys", "create", "evals-other").stdout.strip())
    wait_for(lambda: _is_known(other))
    assert one.id not in [each.id for each in other.evals.list()]
    for call in (
        lambda: other.evals.retrieve(one.id),
        lambda: other.evals.delete(one.id),
        lambda: other.evals.runs.create(one.id, data_source=source(ROWS)),
        lambda: other.evals.runs.retrieve(run.id, eval_id=one.id),
        lambda: list(other.evals.runs.output_items.list(run.id, eval_id=one.id)),
    ):
        with pytest.raises(openai.NotFoundError):
            call()


def _is_known(client: openai.OpenAI) -> bool:
    try:
        client.models.list()
    except openai.AuthenticationError:
        return False
    return True


def test_a_suite_of_the_folder_is_an_eval(scripted: ServiceProcess, client: openai.OpenAI) -> None:
    folder = scripted.home.parent / "evals"
    folder.mkdir(exist_ok=True)
    say = json.dumps([{"text": "Paris"}, {"finish_reason": "stop"}])
    cases = [
        {"id": "fr", "input": say, "target": "Paris"},
        {"id": "es", "input": [say, say], "target": "Madrid"},
    ]
    (folder / "capitals.yaml").write_text(
        json.dumps({"scorers": ["contains", {"regex": {"pattern": "^P"}}], "cases": cases})
    )
    assert "eval_suite_capitals" in [each.id for each in client.evals.list()]
    run = client.evals.runs.create(
        "eval_suite_capitals",
        data_source={"type": "completions", "source": {"type": "file_content", "content": []}},
    )
    run = ended(client, run)
    assert run.status == "completed", run.error
    items = list(client.evals.runs.output_items.list(run.id, eval_id=run.eval_id))
    assert [each.status for each in items] == ["pass", "fail"], items[0].sample.error
    per = {
        each.testing_criteria: (each.passed, each.failed)
        for each in run.per_testing_criteria_results
    }
    assert per == {"contains": (1, 1), "regex": (2, 0)}
    with pytest.raises(openai.BadRequestError, match="its file"):
        client.evals.delete("eval_suite_capitals")
    with pytest.raises(openai.NotFoundError, match="capitals"):
        client.evals.retrieve("eval_suite_capital")


def test_a_service_that_is_killed_goes_on_with_its_run(tmp_path: Path) -> None:
    site = tmp_path / "site" / "scripted_answers-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-answers\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text(
        "[headrace.backends]\nscripted = tests.gateway.scripted:ScriptedBackend\n"
    )
    (tmp_path / "headrace.yaml").write_text(SERVICE)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    environ = {"PYTHONPATH": os.pathsep.join((str(site.parent), str(REPOSITORY)))}
    running = ServiceProcess.start(tmp_path, home, environ=environ)
    client = client_of(running)
    rows = [{"said": f"row {i}", "wanted": f"row {i}" if i % 3 else "no"} for i in range(900)]
    one = made(client)
    run = client.evals.runs.create(one.id, data_source=source(rows))

    def done() -> int:
        counts = client.evals.runs.retrieve(run.id, eval_id=one.id).result_counts
        return counts.passed + counts.failed

    wait_for(lambda: done() >= 50)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    running = ServiceProcess.start(tmp_path, home, environ=environ)
    client = client_of(running)
    try:
        after = ended(client, run)
        counts = after.result_counts
        assert (counts.total, counts.passed, counts.failed, counts.errored) == (900, 600, 300, 0)
        items = list(client.evals.runs.output_items.list(run.id, eval_id=one.id, limit=100))
        assert [each.datasource_item_id for each in items] == list(range(900))
    finally:
        running.stop()
