"""An adapter's card: what is promised of its data, and what came of it since."""

import threading
from pathlib import Path

import msgspec
import pytest

from headrace.cli.noted import note_run
from headrace.cli.place import Place
from headrace.cli.release.bench import Bench
from headrace.config.node import load_yaml
from headrace.datasets.guarantee import Anonymity, Guarantee
from headrace.evaluation.ask import Answer
from headrace.evaluation.run import Result as CaseResult
from headrace.evaluation.run import Run
from headrace.evaluation.store import KeptRun
from headrace.evaluation.suite import parse_suite
from headrace.models.adapter import Adapter, AdapterStore
from headrace.models.tuned import Tuned, serve_tuned
from headrace.releases.build import collect, manifest_of
from headrace.releases.manifest import AdapterEntry
from headrace.releases.store import ReleaseStore
from headrace.storage.database import Database
from headrace.training.card import Card, DataUsed, Evaluated, note_evaluation, write_card
from headrace.training.job import FineTune, Result
from headrace.training.plan import plan_of

DIGEST = f"sha256:{'ab' * 32}"
ANONYMITY = Anonymity(
    k_wanted=5,
    k_reached=6,
    quasi_identifiers={"age": "in steps of 10"},
    people=40,
    people_by="subject",
    classes=4,
    rows=60,
    suppressed=2,
    source="support@1",
    measured_by="pycanon 1.0.1.post2",
)


def evaluated(
    suite: str, score: float, *, at: float = 0.0, release: str = "sha256:1f3c"
) -> Evaluated:
    return Evaluated(
        suite=suite,
        suite_digest="sha256:00",
        release=release,
        passed=score > 0.5,
        scores={"exact": score},
        cases=8,
        run="run-1",
        at=1_795_554_333.0 + at,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An adapter of the registry, with the card that it is made with."""
    made = tmp_path / "made"
    made.mkdir()
    spec = FineTune(base="file:x.gguf", training="dataset:own")
    result = Result(
        digest=DIGEST,
        name="ft:x",
        base=spec.base,
        base_sha256="00",
        method="supervised",
        tuning="lora",
        adapter="adapter",
        trained_tokens=9,
        steps=3,
        examples=60,
        wall_s=1.0,
    )
    promised = Guarantee(dataset="own@1", digest="sha256:9c", anonymity=ANONYMITY)
    card = Card(
        job="j",
        created_at=1_795_554_333.0,
        result=result,
        settings=spec,
        plan=plan_of(spec, 60, has_held_out=False),
        training_data=DataUsed(
            reference="dataset:own@1", digest="sha256:9c", examples=60, guarantee=promised
        ),
        held_out_data=None,
        template="",
        versions={"headrace": "0"},
        machine="2 CPUs",
    )
    write_card(card, made)
    about = Adapter(digest=DIGEST, name="ft:x", base=spec.base, base_sha256="00")
    return Path(AdapterStore(tmp_path / "home").put(about, made).path)


def read(folder: Path) -> Card:
    return msgspec.json.decode((folder / "card.json").read_bytes(), type=Card)


def test_the_card_says_what_is_promised_of_the_people_in_the_data(folder: Path) -> None:
    text = (folder / "card.md").read_text("utf-8")
    assert "- k = 6: whatever is known of somebody's age, at least 6 people fit" in text
    assert "No suite was asked of it yet." in text
    found = read(folder).training_data.guarantee
    assert found is not None
    assert found.anonymity == ANONYMITY


def test_the_newest_result_of_each_suite_and_release_is_in_the_card(
    folder: Path, tmp_path: Path
) -> None:
    note_evaluation([folder, tmp_path], evaluated("facts", 0.25))
    note_evaluation([folder], evaluated("facts", 0.75, at=1))
    note_evaluation([folder], evaluated("safety", 0.5, at=2))
    note_evaluation([folder], evaluated("facts", 0.0, at=3, release="sha256:2a2a"))
    assert {name: each.scores for name, each in read(folder).evaluations.items()} == {
        "facts of sha256:1f3c": {"exact": 0.75},
        "safety of sha256:1f3c": {"exact": 0.5},
        "facts of sha256:2a2a": {"exact": 0.0},
    }
    text = (folder / "card.md").read_text("utf-8")
    assert "| facts | passed | exact 0.750 | 8 | `sha256:1f3c…` | 2026-11-24" in text
    assert "| safety | not passed | exact 0.500 |" in text
    assert text.index("sha256:2a2a") < text.index("sha256:1f3c")
    assert {each.name for each in tmp_path.iterdir()} == {"home", "made"}


def test_suites_that_end_at_once_are_all_noted(folder: Path) -> None:
    names = [f"suite-{at}" for at in range(6)]
    threads = [
        threading.Thread(target=note_evaluation, args=([folder], evaluated(name, 1.0)))
        for name in names
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(each.suite for each in read(folder).evaluations.values()) == names


def test_a_release_that_is_held_to_a_suite_leaves_it_in_the_cards_of_its_adapters(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, home = tmp_path / "service", tmp_path / "home"
    (root / "evals").mkdir(parents=True)
    (root / "headrace.yaml").write_text("name: mill\nmodels: {}\n")
    suite = root / "evals" / "facts.yaml"
    suite.write_text('scorers: [exact]\ncases: [{input: "Who?", target: Ann}]\n')
    files, outside = collect(root)
    entry = AdapterEntry(digest=DIGEST, name="ft:x", base="", base_sha256="", files=[])
    made = manifest_of(
        files,
        outside,
        service="mill",
        behaviour="sha256:bb",
        models={},
        knowledge=None,
        adapters=[entry],
    )
    result = CaseResult(case="1", repeat=0, answer=Answer(text="Ann"), scores={"exact": 1.0})
    # The model alone is not asked: everything else is what `release check` does.
    monkeypatch.setattr(
        Bench, "_run", lambda *_: Run(suite="facts", release="sha256:bb", results=[result])
    )
    database = Database.open(home / "state.db")
    try:
        releases = ReleaseStore(database, home)
        release, _ = releases.add(made, files)
        bench = Bench(Place(root, home), releases, database, 1)
        bench.ask("facts", load_yaml(suite, {}), release, None)
    finally:
        database.close()
    (found,) = read(folder).evaluations.values()
    assert (found.scores, found.passed, found.release) == ({"exact": 1.0}, True, release.digest)


@pytest.mark.parametrize(
    ("model", "is_noted"),
    [("", True), ("model: x", False), ("model: tuned", True), ("model: ft:x:1", True)],
)
def test_a_suite_that_a_folder_is_asked_is_noted_in_the_cards_of_the_adapters_that_it_asks(
    folder: Path, tmp_path: Path, model: str, is_noted: bool
) -> None:
    root, home = tmp_path / "service", tmp_path / "home"
    root.mkdir()
    declared = f"  tuned: {{base: x, adapter: 'registry:{DIGEST}'}}\n" if "ft" not in model else ""
    (root / "headrace.yaml").write_text(
        f"pipeline: [generate]\nmodels:\n  x: {{deployments: [{{backend: embedded, weights: 'file:x.gguf'}}]}}\n{declared}"
    )
    served = Tuned(name="ft:x:1", base="x", digest=DIGEST, created_at=0.0, key_id="k")
    serve_tuned(home, served)
    path = root / "facts.yaml"
    path.write_text(f"scorers: [exact]\n{model}\ncases: [{{input: 'Who?', target: Ann}}]\n")
    suite = parse_suite(load_yaml(path, {}), root, "facts")
    result = CaseResult(case="1", repeat=0, answer=Answer(text="Ann"), scores={"exact": 1.0})
    run = Run(suite="facts", release="sha256:bb", results=[result])
    kept = KeptRun(id="run-7", created_at=1_795_554_333.0, run=run)
    note_run(Place(root, home), {}, suite, kept, passed=True)
    found = read(folder).evaluations
    assert [(each.run, each.scores) for each in found.values()] == (
        [("run-7", {"exact": 1.0})] if is_noted else []
    )
