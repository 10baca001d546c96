"""Everything that is wrong with the data is said before anything is trained."""

import json
from pathlib import Path

import pytest

from headrace.datasets.example import Example
from headrace.datasets.store import DatasetStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.training.data import Sources, cases_of
from headrace.training.errors import BadRows, TrainingInvalid
from headrace.training.job import Job
from headrace.training.prepare import Examples, prepare, read_examples
from headrace.types import Message
from tests.training.conftest import FACTS, MakeJob, write_rows
from tests.training.test_render import Spoken


def read(job: Job) -> Examples:
    return read_examples(job, Sources(Path(job.root), Path(job.home)))


def test_every_wrong_row_is_reported_with_its_line(make_job: MakeJob, root: Path) -> None:
    good = json.dumps({"prompt": "a", "completion": "b"})
    pair = json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"})
    (root / "bad.jsonl").write_text(f'{good}\n\n{{"prompt": "x"}}\nnonsense\n{pair}\n{good}\n')
    with pytest.raises(BadRows) as refused:
        read(make_job(training="bad.jsonl"))
    assert [each.partition(" ")[0] for each in refused.value.problems] == [
        "bad.jsonl:3:",
        "bad.jsonl:4:",
        "bad.jsonl:5:",
    ]
    assert "preference" in refused.value.problems[2]
    taken = read(make_job(training="bad.jsonl", skip_wrong=True))
    assert [each.where for each in taken.data.rows] == ["bad.jsonl:1", "bad.jsonl:6"]
    assert len(taken.problems) == 3


def test_nothing_to_train_on_is_refused(make_job: MakeJob, root: Path) -> None:
    (root / "empty.jsonl").write_text("\n")
    with pytest.raises(TrainingInvalid, match="no example"):
        read(make_job(training="empty.jsonl"))
    with pytest.raises(TrainingInvalid, match="no file"):
        read(make_job(training="missing.jsonl"))
    with pytest.raises(TrainingInvalid, match="hold out"):
        read(make_job(validation="empty.jsonl"))


async def test_one_example_is_trained_on_with_a_warning(make_job: MakeJob, root: Path) -> None:
    write_rows(root / "one.jsonl", FACTS[:1])
    job = make_job(training="one.jsonl")
    prepared = await prepare(job, read(job), Spoken(), 4096)
    assert "one example" in prepared.warnings[0]


async def test_examples_over_the_context_are_refused_cut_or_left_out(
    make_job: MakeJob, root: Path
) -> None:
    write_rows(root / "long.jsonl", [("short", "a"), ("x" * 80, "b"), ("y", "c" * 80)])
    refuse, cut, skip = (
        make_job(training="long.jsonl", max_tokens=60, too_long=how)
        for how in ("refuse", "truncate", "skip")
    )
    with pytest.raises(BadRows) as refused:
        await prepare(refuse, read(refuse), Spoken(), 4096)
    assert [each.partition(": ")[0] for each in refused.value.problems] == [
        "long.jsonl:2",
        "long.jsonl:3",
    ]
    # What is learned is never cut: of the third, only leaving it out remains.
    with pytest.raises(BadRows) as refused:
        await prepare(cut, read(cut), Spoken(), 4096)
    assert [each.partition(": ")[0] for each in refused.value.problems] == ["long.jsonl:3"]
    skipped = await prepare(skip, read(skip), Spoken(), 4096)
    assert [each.where for each in skipped.train] == ["long.jsonl:1"]
    with pytest.raises(TrainingInvalid, match="context"):
        await prepare(refuse, read(refuse), Spoken(), 50)


def test_rows_that_give_a_suite_away_are_refused(make_job: MakeJob, root: Path) -> None:
    (root / "evals").mkdir()
    case = "cases:\n- input: What is the codename of the project, please?\n"
    (root / "evals" / "facts.yaml").write_text(f"scorers: [exact]\n{case}")
    leak = [("Q: What is the codename of the project, please?", "Bluebird")]
    write_rows(root / "leak.jsonl", [*FACTS, *leak])
    settings = {"training": "leak.jsonl", "evaluations": ["evals/facts.yaml"]}
    with pytest.raises(BadRows) as refused:
        read(make_job(**settings))
    assert refused.value.problems == ["leak.jsonl:7: gives away facts.yaml case 1"]
    assert len(read(make_job(**settings, keep_overlap=True)).data.rows) == 7


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "scorers: [exact]\ncases: [{input: What is the codename of it?, target: B-7}]"),
        ("a.jsonl", '{"input": ["Hello.", "What is the codename of it?"], "target": "B-7"}'),
        ("a.jsonl", '{"prompt": "What is the codename of it?", "completion": "B-7"}'),
    ],
)
def test_a_suite_is_read_in_each_form_that_it_may_have(
    tmp_path: Path, name: str, text: str
) -> None:
    (suite := tmp_path / name).write_text(text)
    (asked,) = cases_of(suite)
    assert "What is the codename of it?" in asked


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "models: {}", "scorers"),
        ("a.yaml", "scorers: [exact]\ncases: [{inptu: x}]", "input"),
        ("a.jsonl", '{"question": "x"}', "a.jsonl:1: "),
        ("a.csv", "question\nx\n", "a.csv:1: "),
    ],
)
def test_what_cannot_be_read_of_a_suite_is_not_held_for_clean(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (suite := tmp_path / name).write_text(text)
    with pytest.raises(TrainingInvalid, match="cannot be read") as refused:
        list(cases_of(suite))
    assert words in refused.value.message


def test_held_out_questions_are_not_trained_on(make_job: MakeJob, root: Path) -> None:
    write_rows(root / "held.jsonl", FACTS[:2])
    found = read(make_job(validation="held.jsonl"))
    assert len(found.data.rows) == len(FACTS) - 2
    shared = read(make_job(validation_share=0.4))
    assert shared.held_out is not None
    groups = [{r.example.group for r in each.rows} for each in (shared.data, shared.held_out)]
    assert groups[0]
    assert groups[1]
    assert not groups[0] & groups[1]


def test_rows_come_from_a_sealed_dataset(make_job: MakeJob, tmp_path: Path) -> None:
    home = tmp_path / "home"
    database = Database.open(home / "state.db")
    store = DatasetStore(database, Vault.open(database, home), home)
    rows = [
        Example(
            kind="completion",
            messages=[Message("user", content=q), Message("assistant", content=a)],
        )
        for q, a in FACTS
    ]
    version = store.add("facts", rows, what="test").version
    database.close()
    found = read(make_job(training="dataset:facts@1"))
    assert [each.where for each in found.data.rows][:2] == ["facts@1:1", "facts@1:2"]
    assert found.data.digest == version.digest
    assert found.data.guarantee is not None
    assert found.data.guarantee.dataset == "facts@1"
    with pytest.raises(TrainingInvalid, match="no split"):
        read(make_job(training="dataset:facts#nonsense"))
