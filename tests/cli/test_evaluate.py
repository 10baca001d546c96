"""`headrace eval`: a suite on the real model."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call

pytestmark = pytest.mark.model

SUITE = """\
scorers: [contains]
params: {max_tokens: 8}
cases:
  - {id: fr, input: What is the capital of France?, target: ""}
  - {id: no, input: Say hello., target: 北京}
gate: {scores: {contains: 0.9}}
"""


def test_a_suite_runs_goes_on_and_is_compared(
    call: Call, folder: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = folder / ".headrace"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    suite = folder / "evals" / "small.yaml"
    suite.parent.mkdir()
    suite.write_text(SUITE)
    first = call("eval", "run", "evals/small.yaml", "--json")
    assert first.status == 1, first.err
    ran = json.loads(first.out)
    assert ran["breaches"] == ["contains: 0.500 is 0.400 below 0.9"]
    suite.write_text(SUITE.replace("0.9", "0.5"))
    monkeypatch.setattr("headrace.cli.prompts.desk.Desk.platform", _must_not_open)
    second = call("eval", "run", "evals/small.yaml", "--baseline", ran["id"], "--json")
    assert second.status == 0, second.err
    again = json.loads(second.out)
    # The very same answers, times included: nothing was asked twice.
    assert again["run"] == ran["run"]
    # Of a folder, each suite; a wrong one, or a baseline, before any is asked.
    strict = suite.with_name("strict.yaml")
    strict.write_text(suite.read_text().replace("scorers: [contains]", "scorers: [contain]"))
    wrong = call("eval", "run", "evals")
    assert wrong.status == 2
    assert "evals/strict.yaml:1: scorers[0]: there is no scorer 'contain'" in wrong.err
    strict.unlink()
    assert call("eval", "run", "evals", "--baseline", ran["id"]).status == 2
    all_of_it = call("eval", "run", "evals", "--json", "--junit", "reports")
    assert all_of_it.status == 0, all_of_it.err
    assert [each["run"] for each in json.loads(all_of_it.out)] == [ran["run"]]
    assert "<testsuite" in (folder / "reports" / "small.xml").read_text()
    # Another tokens' limit is another question, and needs the model.
    suite.write_text(SUITE.replace("max_tokens: 8", "max_tokens: 9"))
    assert "the model must not be loaded" in call("eval", "run", "evals/small.yaml").err
    compared = call("eval", "compare", ran["id"], again["id"])
    assert "+0.000" in compared.out
    assert len(json.loads(call("eval", "history", "small", "--json").out)) == 3
    typo = ran["id"][:-1] + "~"
    unknown = call("eval", "run", "evals/small.yaml", "--baseline", typo)
    assert unknown.status == 2
    assert f"there is no run {typo!r} of the suite 'small'" in unknown.err
    assert "did you mean 'run-" in unknown.err
    typo = ran["id"][:-1] + "~"
    unknown = call("eval", "run", "evals/small.yaml", "--baseline", typo)
    assert unknown.status == 2
    assert f"there is no run {typo!r} of the suite 'small'" in unknown.err
    assert "did you mean 'run-" in unknown.err
    # Another setting of the model is another release: what was kept does not count.
    (folder / "headrace.yaml").write_text(
        "models: {m: {backend: llama_cpp_embedded, weights: x}}\npipeline: [generate]\n"
    )
    suite.write_text(SUITE.replace("[contains]", "[contain]"))
    suite.write_text(SUITE.replace("[contains]", "[contain]"))
    wrong = call("eval", "run", "evals/small.yaml")
    assert wrong.status == 2
    assert "evals/small.yaml:1: scorers[0]: there is no scorer 'contain'" in wrong.err


def _must_not_open(*args: object) -> None:
    raise AssertionError("every answer is kept: the model must not be loaded")
