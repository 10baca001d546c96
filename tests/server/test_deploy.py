"""Deploying and rolling back under a running service: no answer is dropped, the files do not matter."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.conftest import REPOSITORY
from tests.running import ServiceProcess, wait_for

SERVICE = """\
models:
  scripted:
    deployments: [{backend: scripted}]
    params: {temperature: %s}
pipeline: [generate]
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[ServiceProcess]:
    site = tmp_path / "site" / "scripted_answers-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-answers\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text(
        "[headrace.backends]\nscripted = tests.gateway.scripted:ScriptedBackend\n"
    )
    root = tmp_path / "service"
    root.mkdir()
    (root / "headrace.yaml").write_text(SERVICE % 0.1)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    path = os.pathsep.join((str(site.parent), str(REPOSITORY)))
    os.environ["PYTHONPATH"] = path
    service = ServiceProcess.start(root, home, environ={"PYTHONPATH": path})
    yield service
    service.stop()
    del os.environ["PYTHONPATH"]


def temperature(service: ServiceProcess) -> float:
    """What the model is asked with: what is no script is answered with the call itself."""
    body = {"messages": [{"role": "user", "content": "what do you see?"}]}
    with service.client() as client:
        reply = client.post("/v1/chat/completions", json=body).json()
    call = json.loads(reply["choices"][0]["message"]["content"])
    return float(call["params"]["temperature"])


def write(service: ServiceProcess, value: float) -> None:
    (service.log.parent / "headrace.yaml").write_text(SERVICE % value)


def built(service: ServiceProcess) -> str:
    return str(json.loads(service.run("release", "build", "--json").stdout)["name"])


def test_releases_are_deployed_and_rolled_back_while_answers_stream(
    running: ServiceProcess,
) -> None:
    first = built(running)
    write(running, 0.9)
    second = built(running)
    wait_for(lambda: temperature(running) == 0.9)
    deployed = json.loads(running.run("deploy", first, "--why", "trial", "--json").stdout)
    assert deployed["taken_over_s"] is not None
    assert temperature(running) == 0.1

    # A stream that began before goes on through a deployment and a rollback.
    pieces: list[str] = []
    ended = threading.Event()
    go = threading.Event()

    def stream() -> None:
        line = json.dumps([{"text": "x", "endless": True}])
        body = {"messages": [{"role": "user", "content": line}], "stream": True}
        with (
            running.client() as client,
            client.stream("POST", "/v1/chat/completions", json=body) as reply,
        ):
            for piece in reply.iter_lines():
                pieces.append(piece)
                if go.is_set():
                    break
        ended.set()

    thread = threading.Thread(target=stream)
    thread.start()
    wait_for(lambda: len(pieces) > 10)
    running.run("deploy", second)
    assert temperature(running) == 0.9
    rolled = json.loads(running.run("rollback", "--json").stdout)
    assert rolled["taken_over_s"] is not None
    assert temperature(running) == 0.1
    before = len(pieces)
    wait_for(lambda: len(pieces) > before + 10)
    go.set()
    thread.join(10)
    assert ended.is_set()
    assert not any("error" in each for each in pieces)

    # The files of the folder decide nothing while a release is served; a restart serves it too.
    write(running, 0.5)
    restarted = running.stop()
    assert restarted == 0
    again = ServiceProcess.start(
        running.log.parent, running.home, environ={"PYTHONPATH": os.environ["PYTHONPATH"]}
    )
    try:
        assert temperature(again) == 0.1
        again.run("deploy", "files")
        wait_for(lambda: temperature(again) == 0.5)
        history = json.loads(again.run("deploy", "--history", "--json").stdout)
        assert [each["why"][:11] for each in history] == ["", "rolled back", "", "trial"]
    finally:
        again.stop()


def test_what_cannot_be_served_is_refused_before_anything_changes(
    running: ServiceProcess,
) -> None:
    name = built(running)
    blob = next(each for each in (running.home / "releases" / "blobs").rglob("*") if each.is_file())
    blob.write_bytes(b"altered")
    refused = running.run("deploy", name, check=False)
    assert refused.returncode == 1
    assert "altered" in refused.stderr
    assert running.run("deploy", "r9", check=False).returncode == 1
    assert running.run("rollback", check=False).returncode == 1
    assert temperature(running) == 0.1
