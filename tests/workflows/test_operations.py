"""The operations that need no model, as steps of a workflow; those that do are in test_improve.py."""

import os
from pathlib import Path

import pytest
import yaml

from headrace.datasets.store import DatasetStore
from headrace.privacy.vault import Vault
from headrace.workflows.artifact import Workspace
from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context
from headrace.workflows.operations.candidate import put
from headrace.workflows.operations.gate import Gate, GateSettings
from tests.workflows.conftest import Bench

SERVICE = """\
# The mill's own.
models:
  small: {deployments: [{backend: embedded, weights: file:small.gguf}]}
pipeline:
  - normalize
  - generate
"""
WORKFLOW = """\
steps:
  data:
    operation: data.import
    parameters: {name: mill, files: [rows.jsonl], skip_wrong: "{{ vars.skip }}"}
  enough:
    operation: gate
    parameters: {passed: "{{ steps.data.rows >= 2 }}", because: ["only {{ steps.data.rows }} rows"]}
  candidate:
    operation: candidate
    needs: [enough]
    parameters:
      change:
        "models.{{ vars.name }}": {base: small, adapter: "registry:sha256:ab"}
        pipeline.generate.model: "{{ vars.name }}"
  own:
    operation: python
    needs: [enough]
    parameters: {function: "own:twice", arguments: {n: "{{ steps.data.rows }}"}, context: true}
  retention: {operation: retention, always: true, needs: [own]}
variables: {skip: false, name: tuned}
"""


def test_data_becomes_a_version_and_a_candidate_differs_in_what_is_changed(bench: Bench) -> None:
    (bench.root / "headrace.yaml").write_text(SERVICE, encoding="utf-8")
    (bench.root / "prompts").mkdir()
    (bench.root / "prompts" / "a.yaml").write_text("description: 问候\nmessages: {system: 你好}\n")
    (bench.root / "rows.jsonl").write_text(
        '{"prompt": "a", "completion": "x"}\n{"prompt": 1}\n{"prompt": "b", "completion": "y"}\n'
    )
    (bench.root / "own.py").write_text(
        "def twice(n, context):\n    return {'n': 2 * n, 'key': context.key}\n"
    )
    with bench.engine():
        run, steps = bench.run(WORKFLOW)
        assert run.status == "failed"
        assert "rows.jsonl:2" in steps["data"].error
        assert steps["retention"].status == "succeeded"
        run, steps = bench.run(WORKFLOW, skip=True)
        assert (run.status, run.error) == ("succeeded", "")
    assert steps["own"].outcome is not None
    assert steps["own"].outcome.values == {"n": 4, "key": f"{run.id}/own"}
    vault = Vault.open(bench.database, bench.home, environ=os.environ)
    assert DatasetStore(bench.database, vault, bench.home).get("mill@1").rows == 2
    assert steps["candidate"].outcome is not None
    folder = Workspace(bench.home).path(steps["candidate"].outcome.artifacts["folder"])
    changed = yaml.safe_load((folder / "headrace.yaml").read_text("utf-8"))
    assert changed["models"]["tuned"] == {"base": "small", "adapter": "registry:sha256:ab"}
    assert changed["pipeline"] == ["normalize", {"generate": {"model": "tuned"}}]
    assert "问候" in (folder / "prompts" / "a.yaml").read_text("utf-8")
    assert (bench.root / "headrace.yaml").read_text("utf-8") == SERVICE


def test_a_gate_says_what_does_not_hold(tmp_path: Path) -> None:
    context = Context(
        root=tmp_path, home=tmp_path, environ={}, run_id="r", workflow="w", step="s", attempt=1,
        folder=tmp_path,
    )  # fmt: skip
    assert Gate().run(GateSettings(passed=[True, True]), context) == {}
    why: list[object] = ["exact: 0.2 is below 0.5", ["a", "b", "c", "d", "e"]]
    with pytest.raises(StepFailed, match=r"0\.2 is below 0\.5; a; b; c; d; and 1"):
        Gate().run(GateSettings(passed=[True, False], because=why), context)
    with pytest.raises(StepFailed):
        Gate().run(GateSettings(passed=[]), context)


def test_a_step_that_is_begun_again_remembers_what_it_said_before(tmp_path: Path) -> None:
    work = Workspace(tmp_path)
    attempts = [
        Context(
            root=tmp_path, home=tmp_path, environ={}, run_id="r", workflow="w", step=step,
            attempt=attempt, folder=work.fresh("r", step, attempt),
        )
        for step, attempt in (("s[n=0.5]", 1), ("s[n=0.5]", 2), ("s[n=1]", 1))
    ]  # fmt: skip
    assert attempts[0].remembered() is None
    attempts[0].remember("批次 7")
    attempts[0].remember("批次 8")
    assert [each.remembered() for each in attempts] == ["批次 8", "批次 8", None]


@pytest.mark.parametrize(
    ("place", "said"),
    [("pipeline.refine.typography", "no 'refine'"), ("name.first", "in the way"), ("pipeline.3.x", "no '3'")],
)  # fmt: skip
def test_a_place_that_is_not_there_is_named(place: str, said: str, tmp_path: Path) -> None:
    del tmp_path
    whole: dict[str, object] = {"name": "mill", "pipeline": ["normalize", {"generate": None}]}
    with pytest.raises(StepFailed, match=said):
        put(whole, place, 1)
