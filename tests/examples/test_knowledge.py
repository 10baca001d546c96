"""The example of a handbook, on the real models: what is found, for whom, and what is refused."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.visitor import make_key
from tests.running import HEADRACE, ServiceProcess, wait_for

pytestmark = [pytest.mark.model, pytest.mark.service]

EXAMPLE = Path(__file__).parents[2] / "examples" / "knowledge"


@pytest.fixture(scope="module")
def handbook(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path, embedding_folder: Path
) -> Iterator[ServiceProcess]:
    assert weights_folder == embedding_folder
    root = tmp_path_factory.mktemp("handbook")
    shutil.copytree(EXAMPLE, root, dirs_exist_ok=True)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    environ = {**os.environ, "HEADRACE_HOME": str(home)}
    subprocess.run([HEADRACE, "knowledge", "sync"], cwd=root, env=environ, check=True, timeout=60)
    running = ServiceProcess.start(root, home)
    yield running
    running.stop()


def ask(service: ServiceProcess, question: str, key: str | None = None) -> dict[str, object]:
    headers = {"authorization": f"Bearer {key or service.key}"}
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": 24}
    with service.client() as client:
        answer = client.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return {"id": answer.headers["x-headrace-trace"], **said["choices"][0]["message"]}


def found(service: ServiceProcess, answer: dict[str, object]) -> str:
    """What the trace says was found."""
    return json.dumps(service.trace(str(answer["id"])))


def test_an_answer_stands_on_the_passage_and_says_how_far(handbook: ServiceProcess) -> None:
    answer = ask(handbook, "When must I report sickness to my team lead?")
    assert "9:00" in str(answer["content"])
    annotations = answer["annotations"]
    assert isinstance(annotations, list)
    judged = [each["groundedness"] for each in annotations if each["type"] == "groundedness"]
    assert judged
    assert all(each["supported"] for each in judged)


def test_a_chinese_question_finds_the_chinese_page(handbook: ServiceProcess) -> None:
    assert "handbook.zh.md" in found(handbook, ask(handbook, "全职员工有几天年假？"))


def test_what_the_handbook_does_not_say_is_not_answered(handbook: ServiceProcess) -> None:
    answer = ask(handbook, "What is served in the canteen on Fridays?")
    assert answer["content"] == "This is not in the sources."


def test_only_administrators_are_answered_from_the_internal_page(handbook: ServiceProcess) -> None:
    question = "How much are engineers paid? In which salary band are they?"
    _, secret = make_key(handbook, "ann")
    assert "salaries.md" in found(handbook, ask(handbook, question))
    assert "salaries.md" not in found(handbook, ask(handbook, question, secret))


def test_a_new_page_is_found_without_a_restart(handbook: ServiceProcess) -> None:
    question = "What is served in the canteen for lunch?"
    before = found(handbook, ask(handbook, question))
    assert "canteen.md" not in before
    page = handbook.log.parent / "knowledge" / "canteen.md"
    page.write_text("# Canteen\n\nThe canteen serves soup for lunch.\n")
    handbook.run("knowledge", "sync")
    wait_for(lambda: "canteen.md" in found(handbook, ask(handbook, question)))
