"""The example of a mill that looks things up, on the real model, with real servers behind its tools.

A model of 135M parameters hardly ever calls a tool by itself, so the requests say which to call.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import HEADRACE, ServiceProcess

pytestmark = [pytest.mark.model, pytest.mark.service]

EXAMPLE = Path(__file__).parents[2] / "examples" / "tools"


@pytest.fixture(scope="module")
def mill(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path, embedding_folder: Path
) -> Iterator[ServiceProcess]:
    assert weights_folder == embedding_folder
    root = tmp_path_factory.mktemp("mill")
    shutil.copytree(EXAMPLE, root, dirs_exist_ok=True)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE / "stock_server.py"), "0"], stdout=subprocess.PIPE, text=True
    ) as stock:
        try:
            assert stock.stdout is not None
            url = f"http://127.0.0.1:{stock.stdout.readline().strip()}"
            more = {"STOCK_URL": url, "STOCK_KEY": "mill-key"}
            environ = {**os.environ, **more, "HEADRACE_HOME": str(home)}
            sync = [HEADRACE, "knowledge", "sync"]
            subprocess.run(sync, cwd=root, env=environ, check=True, timeout=60)
            running = ServiceProcess.start(root, home, environ=more)
            yield running
            running.stop()
        finally:
            stock.kill()


def ask(service: ServiceProcess, question: str, function: str) -> tuple[dict[str, object], str]:
    """The answer's message, and its trace."""
    body = {
        "messages": [{"role": "user", "content": question}],
        "tool_choice": {"type": "function", "function": {"name": function}},
        "max_tokens": 64,
    }
    with service.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    kept = service.trace(answer.headers["x-headrace-trace"], "--content")
    shown = json.dumps(kept, ensure_ascii=False)
    [choice] = answer.json()["choices"]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] in ("stop", "length")
    return choice["message"], shown


def call_of(trace: str) -> dict[str, object]:
    [span] = [each for each in json.loads(trace)["spans"] if each["name"] == "execute_tool"]
    assert isinstance(span, dict)
    return span


def test_the_handbook_is_searched_by_the_model(mill: ServiceProcess) -> None:
    _, trace = ask(mill, "Until when can I collect flour that I ordered?", "handbook")
    assert call_of(trace)["attributes"]["headrace.execute_tool.passages"] == 1  # type: ignore[index]
    [result] = [each for each in json.loads(trace)["input"] if each["role"] == "tool"]
    assert "[1] The mill's handbook" in result["content"]


def test_the_stock_is_asked_with_the_key_that_the_model_never_sees(mill: ServiceProcess) -> None:
    _, trace = ask(mill, "How many sacks of rye do you have?", "stock")
    [result] = [each for each in json.loads(trace)["input"] if each["role"] == "tool"]
    assert '"sacks": ' in result["content"]
    assert call_of(trace)["error"] is None
    assert "mill-key" not in trace


def test_the_calendar_is_asked_over_mcp(mill: ServiceProcess) -> None:
    _, trace = ask(mill, "Are you open on 2026-12-25?", "calendar_is_open")
    [result] = [each for each in json.loads(trace)["input"] if each["role"] == "tool"]
    assert "The mill is " in result["content"]
    assert call_of(trace)["attributes"]["gen_ai.tool.name"] == "calendar_is_open"  # type: ignore[index]


def test_doctor_says_which_server_is_away(mill: ServiceProcess) -> None:
    more = {"STOCK_URL": "http://127.0.0.1:9", "STOCK_KEY": "k"}
    well = mill.run("doctor", "--json", check=False, **more)
    assert "every MCP server answers" in well.stdout
    config = mill.log.parent / "headrace.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("calendar_server.py", "no_server.py"))
        ill = mill.run("doctor", "--json", check=False, **more)
    finally:
        config.write_text(text)
    assert "the tool calendar is not available: the tool's server has ended" in ill.stdout
