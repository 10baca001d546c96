"""Names and dates of a question, from a request to a running service until they are in its trace."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for

REPOSITORY = Path(__file__).parents[2]
SERVICE = """\
models:
  scripted: {deployments: [{backend: scripted}]}
pipeline:
  - ground: {knowledge: {timezone: Europe/Berlin}}
  - generate
"""
ENTITIES = """\
- name: Mill Anna
  kind: place
  aliases: [Anna, 安娜磨坊]
  description: A mill at the weir.
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with a glossary, whose model answers with what it was asked."""
    site = tmp_path_factory.mktemp("entities-site")
    package = site / "scripted-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[headrace.backends]\nscripted = tests.gateway.scripted:ScriptedBackend\n"
    )
    root = tmp_path_factory.mktemp("entities")
    (root / "headrace.yaml").write_text(SERVICE)
    (root / "entities.yaml").write_text(ENTITIES)
    home = root / "home"
    home.mkdir(mode=0o700)
    path = os.pathsep.join((str(site), str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
    running = ServiceProcess.start(root, home, environ={"PYTHONPATH": path})
    yield running
    running.stop()


def ask(service: ServiceProcess, question: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{service.url}/v1/chat/completions",
        json={"model": "scripted", "messages": [{"role": "user", "content": question}]},
        headers={"authorization": f"Bearer {service.key}", **headers},
    )


def test_what_is_known_reaches_the_model_and_each_link_the_trace(service: ServiceProcess) -> None:
    answer = ask(service, "安娜磨坊 is open on 2026-12-24?")
    assert answer.status_code == 200, answer.text
    prompt = answer.json()["choices"][0]["message"]["content"]
    assert "Mill Anna: A mill at the weir." in prompt
    name = answer.headers["x-headrace-trace"]
    wait_for(lambda: service.run("trace", "show", name, check=False).returncode == 0)
    shown = service.run("trace", "show", name).stdout
    lines = [line.split() for line in shown.splitlines()]
    assert ["place", "Mill", "Anna", "0-4,", "score", "1.000"] in lines
    assert ["date", "16-26,", "score", "1.000"] in lines
    assert "2026-12-24" not in shown
    opened = service.run("trace", "show", name, "--content").stdout
    assert "named 安娜磨坊 → place Mill Anna" in opened
    assert "named 2026-12-24 → date" in opened


def test_a_header_says_where_dates_are_meant(service: ServiceProcess) -> None:
    # These two are never on the same day.
    east = ask(service, "now or today?", **{"x-headrace-timezone": "Pacific/Kiritimati"})
    west = ask(service, "now or today?", **{"x-headrace-timezone": "Etc/GMT+12"})
    said = [each.json()["choices"][0]["message"]["content"] for each in (east, west)]
    assert all("today: 20" in each for each in said)
    assert said[0] != said[1]


def test_a_header_that_names_no_zone_is_refused(service: ServiceProcess) -> None:
    answer = ask(service, "today?", **{"x-headrace-timezone": "Mars/Base"})
    assert answer.status_code == 400
    assert "x-headrace-timezone names no time zone" in answer.json()["error"]["message"]
