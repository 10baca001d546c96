"""`headrace workflow`: what there is, what is wrong, a run and its end, for people and machines."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call

FILE = """\
description: 两步 and a half
variables: {word: {default: hello, description: To be said.}}
schedule: [{cron: "0 3 * * *", timezone: Europe/Zurich}]
steps:
  say: {operation: gate, parameters: {passed: "{{ vars.word == 'hello' }}"}}
  then: {operation: gate, needs: [say], parameters: {passed: true}}
"""


@pytest.fixture
def written(folder: Path) -> Path:
    (folder / "workflows").mkdir()
    (folder / "workflows" / "w.yaml").write_text(FILE, encoding="utf-8")
    return folder


def test_what_there_is_can_be_seen_before_anything_ran(call: Call, written: Path) -> None:
    listed = call("workflow", "list")
    assert "两步" in listed.out
    assert "improve" in listed.out
    assert {"w", "improve"} <= {
        each["name"] for each in json.loads(call("workflow", "list", "--json").out)
    }
    assert "To be said." in call("workflow", "show", "w").out
    assert "│ then · gate │" in call("workflow", "graph", "w").out
    assert json.loads(call("workflow", "graph", "w", "--json").out) == {"say": [], "then": ["say"]}
    assert call("workflow", "schedule", "w").out.count("03:00") == 5
    assert "run" in [
        each["name"] for each in json.loads(call("workflow", "operations", "--json").out)
    ]
    assert not (written / ".headrace").exists()


def test_mistakes_are_named_and_nothing_runs(call: Call, written: Path) -> None:
    (written / "workflows" / "w.yaml").write_text("steps: {a: {operation: gaet}}")
    checked = call("workflow", "validate")
    assert checked.status == 1
    assert "workflows/w.yaml:1: steps.a.operation: there is no operation 'gaet'" in checked.err
    assert "did you mean 'gate'?" in checked.err
    listed = call("workflow", "list")
    assert listed.status == 1
    assert "improve" in listed.out
    assert "workflows/w.yaml:1" in listed.err
    assert call("workflow", "run", "w").status == 1
    assert "did you mean 'improve'" in call("workflow", "run", "improv").err
    (written / "workflows" / "w.yaml").write_text(FILE)
    assert "no variable 'wrd'" in call("workflow", "run", "w", "--var", "wrd=1").err
    assert call("workflow", "run", "w", "--var", "word").status == 2


def test_a_run_is_made_done_shown_and_gone_on_with(call: Call, written: Path) -> None:
    waiting = call("workflow", "run", "w", "--no-wait").out.strip()
    assert call("workflow", "cancel", waiting).out == f"{waiting} is cancelled\n"
    done = json.loads(call("workflow", "run", "w", "--json").out)
    assert (done["status"], len(done["steps"])) == ("succeeded", 2)
    failed = call("workflow", "run", "w", "--var", "word=no")
    assert failed.status == 1
    assert "failed: the gate is not passed" in failed.err
    runs = json.loads(call("workflow", "list", "w", "--json").out)
    assert [each["status"] for each in runs] == ["failed", "succeeded", "cancelled"]
    assert "blocked" in call("workflow", "show", runs[0]["id"]).out
    assert "has ended" in call("workflow", "approve", runs[0]["id"], "say").err
    assert "succeeded" in call("workflow", "resume", runs[1]["id"]).err
    assert "would go" in call("workflow", "gc", "--dry-run").out
