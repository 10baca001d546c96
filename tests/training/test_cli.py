"""`headrace train`: what is said on the way, and how it ends."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from headrace.cli.main import run
from headrace.cli.train.watch import sparkline
from headrace.training.job import FineTune, Hyperparameters
from headrace.training.trainer import Trainer
from tests.training.conftest import MakeJob

Call: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    root: Path,
    trainer: Trainer,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    """Call a command in the service's folder: status, output, errors."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*args: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run(args)
        return (status, *capfd.readouterr())

    return call


@pytest.mark.train
def test_examples_become_an_adapter(call: Call, tiny: Path, root: Path) -> None:
    recipe = f"base: file:{tiny}\ntraining: facts.jsonl\nparameters: {{max_steps: 9}}\n"
    (root / "facts.yaml").write_text(recipe)
    status, out, err = call("train", "run", "facts.yaml", "--suffix", "f", "--set", "max_steps=2")
    assert status == 0, err
    digest = re.search(r"registry:(sha256:[0-9a-f]{64})", out)
    assert digest is not None
    assert "2 steps" in out
    assert re.search(r"about [\d.]+ GB of [\d.]+ GB, and \d+ s for 2 steps", err)
    listed = json.loads(call("train", "list", "--json")[1])
    assert listed[0]["result"]["digest"] == digest[1]
    assert digest[1] in call("train", "list")[1]
    assert "2 of 2" in call("train", "show")[1]
    lines = call("train", "show", listed[0]["id"][-12:], "--events")[1].splitlines()
    assert [json.loads(each)["sequence"] for each in lines] == [*range(len(lines))]
    assert call("train", "resume", listed[0]["id"])[0] == 1


def test_wrong_rows_are_listed_and_nothing_is_trained(call: Call, root: Path) -> None:
    (root / "bad.jsonl").write_text('{"prompt": "x"}\nnonsense\n{"prompt":"a","completion":"b"}\n')
    status, _, err = call("train", "run", "bad.jsonl")
    assert status == 1
    assert "bad.jsonl:1: the field 'completion' is missing" in err
    assert "bad.jsonl:2: not JSON" in err
    assert "error: 2 rows cannot be trained on, so nothing was trained" in err
    assert "hint: " in err
    _, out, _ = call("train", "list", "--json")
    (job,) = json.loads(out)
    assert (job["status"], job["error"]["code"]) == ("failed", "training_invalid")
    assert len(job["error"]["problems"]) == 2


def test_settings_that_are_none_are_named(call: Call, root: Path) -> None:
    status, _, err = call("train", "run", "facts.jsonl", "--set", "learnin_rate=1e-3")
    assert status == 1
    assert "did you mean 'learning_rate'?" in err
    status, _, err = call("train", "run", "facts.jsonl", "--set", "lora_rank=0")
    assert status == 1
    assert "lora_rank" in err
    (root / "r.yaml").write_text("training: facts.jsonl\nparameters:\n  epoch: 3\n")
    status, _, err = call("train", "run", "r.yaml")
    assert status == 1
    assert "r.yaml:3" in err
    status, _, err = call("train", "run", "facts.jsonl", "--model", "nonsense")
    assert status == 1
    assert "nonsense" in err
    assert json.loads(call("train", "list", "--json")[1]) == []


def test_what_was_never_started_can_be_cancelled(call: Call, make_job: MakeJob) -> None:
    job = make_job()
    assert "queued" in call("train", "list")[1]
    assert call("train", "cancel", job.id)[1].strip() == f"{job.id}: cancelled"
    status, _, err = call("train", "resume", job.id)
    assert status == 1
    assert "cancelled" in err
    assert call("train", "show", "nonsense")[0] == 1


def test_every_setting_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    names = {*FineTune.__struct_fields__, *Hyperparameters.__struct_fields__} - {"parameters"}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_losses_are_drawn_as_bars() -> None:
    assert sparkline([], 5) == ""
    assert sparkline([3.0, 2.0, 1.0], 3) == "█▅▁"
    assert sparkline([1.0] * 100, 4) == "▁▁▁▁"
    assert sparkline([9, 9, 1, 1], 2, unicode=False) == "@_"


@pytest.mark.model
def test_the_preview_shows_what_is_learned(
    call: Call, root: Path, tmp_path: Path, weights_folder: Path
) -> None:
    (tmp_path / "home" / "models").symlink_to(weights_folder)
    status, out, err = call("data", "preview", "facts.jsonl", "-n", "1")
    assert status == 0, err
    assert "What is the codename of the project?<|im_end|>" in out
    assert "⟦The codename is Bluebird-7.<|im_end|>⟧" in out
    shown = json.loads(call("data", "preview", "facts.jsonl", "-n", "5", "--json")[1])
    assert [each["where"] for each in shown] == [f"facts.jsonl:{line}" for line in range(1, 6)]
    chinese = shown[4]
    learned = [piece for piece, is_ in zip(chinese["pieces"], chinese["mask"], strict=True) if is_]
    assert "".join(learned) == "仓库在青岛。<|im_end|>"
    assert sum(chinese["mask"]) == chinese["learned"]
