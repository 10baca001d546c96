"""Deploying and rolling back under a running service: no answer is dropped, the files do not matter."""

import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from headrace.models import backend_type
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
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceProcess]:
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
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(site.parent), str(REPOSITORY))))
    # For commands that are called in this process.
    monkeypatch.syspath_prepend(site.parent)
    backend_type._entries.cache_clear()
    service = ServiceProcess.start(root, home)
    yield service
    service.stop()
    backend_type._entries.cache_clear()


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
    return str(service.told("release", "build")["name"])


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
    running.called("deploy", second)
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
        again.called("deploy", "files")
        wait_for(lambda: temperature(again) == 0.5)
        assert [each[:11] for each in history(again)] == ["", "rolled back", "", "trial"]
    finally:
        again.stop()


def test_what_cannot_be_served_is_refused_before_anything_changes(
    running: ServiceProcess,
) -> None:
    name = built(running)
    blob = next(each for each in (running.home / "releases" / "blobs").rglob("*") if each.is_file())
    blob.write_bytes(b"altered")
    refused = running.called("deploy", name, check=False)
    assert refused.returncode == 1
    assert "altered" in refused.stderr
    assert running.called("deploy", "r9", check=False).returncode == 1
    assert running.called("rollback", check=False).returncode == 1
    assert temperature(running) == 0.1


BROKEN = """\
models:
  scripted:
    deployments: [{backend: openai_compatible, model: m, base_url: "http://127.0.0.1:9/v1"}]
pipeline: [generate]
"""


ASKED_EVERY_S = 0.02
"""As fast as can be, they would keep both cores busy for all of a trial and show no more."""


class Traffic:
    """People who go on asking, each in their own name."""

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.releases: dict[str, set[str]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(20)

    def _ask(self) -> None:
        with self._service.client() as client:
            for i in itertools.count():
                if self._ending.is_set():
                    return
                user = f"user-{i % 40}"
                body = {"messages": [{"role": "user", "content": "Hello"}], "user": user}
                reply = client.post("/v1/chat/completions", json=body)
                # (An error's answer carries the release that was asked, too.)
                told = reply.headers["x-headrace-release"]
                self.releases.setdefault(user, set()).add(told)
                self._ending.wait(ASKED_EVERY_S)


def is_answered(service: ServiceProcess, user: str) -> bool:
    body = {"messages": [{"role": "user", "content": "Hello"}], "user": user}
    with service.client() as client:
        return client.post("/v1/chat/completions", json=body).status_code == 200


def behaviour(service: ServiceProcess, name: str) -> str:
    return str(service.told("release", "inspect", name)["manifest"]["behaviour"])


def history(service: ServiceProcess) -> list[str]:
    return [str(each["why"]) for each in service.told("deploy", "--history")]


def test_a_good_release_gets_more_turns_and_then_all(running: ServiceProcess) -> None:
    first = built(running)
    running.called("deploy", first)
    write(running, 0.9)
    second = built(running)
    old, new = behaviour(running, first), behaviour(running, second)
    with Traffic(running) as traffic:
        tried = running.called("deploy", second, "--canary", "30,60", "--every", "2s")
        assert "is tried on 30 %, 60 % of the turns" in tried.stdout
        busy = running.called("deploy", first, check=False)
        assert "is on trial" in busy.stderr
        wait_for(lambda: any(new in each for each in traffic.releases.values()))
        # Who has the new one keeps it, and nobody went back: at most one change a person.
        wait_for(lambda: "passed its stages" in "".join(history(running)))
        wait_for(lambda: temperature(running) == 0.9)
    assert set().union(*traffic.releases.values()) <= {old, new}
    shown = running.told("release", "inspect", "production")
    assert shown["name"] == second


def test_a_bad_release_is_rolled_back_by_itself_and_most_people_never_saw_it(
    running: ServiceProcess,
) -> None:
    first = built(running)
    running.called("deploy", first)
    (running.log.parent / "headrace.yaml").write_text(BROKEN)
    second = built(running)
    new = behaviour(running, second)
    with Traffic(running) as traffic:
        running.called("deploy", second, "--canary", "20,100", "--every", "1h")
        wait_for(lambda: "was rolled back: error_rate<1%" in "".join(history(running)))
    hurt = [user for user, releases in traffic.releases.items() if new in releases]
    assert 1 <= len(hurt) < 20
    # The trial ends within half a second of the decision; then nobody meets it any more.
    wait_for(lambda: all(is_answered(running, f"user-{i}") for i in range(40)))
    assert temperature(running) == 0.1
    assert f"{second} was rolled back" in running.said()


def test_a_service_that_is_killed_goes_on_with_its_trial(running: ServiceProcess) -> None:
    first = built(running)
    running.called("deploy", first)
    write(running, 0.9)
    second = built(running)
    running.called("deploy", second, "--canary", "50", "--every", "1h")
    wait_for(lambda: f"{second} is on trial" in running.said())
    running.process.kill()
    running.process.wait()
    environ = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    again = ServiceProcess.start(running.log.parent, running.home, environ=environ)
    try:
        new = behaviour(again, second)
        with Traffic(again) as traffic:
            wait_for(lambda: any(new in each for each in traffic.releases.values()))
            assert "no longer on trial" in again.called("rollback").stdout
        # (Half of those who ask would get the other one, until the service has looked again.)
        wait_for(lambda: all(temperature(again) == 0.1 for _ in range(20)))
    finally:
        again.stop()


GATED = """\
models:
  scripted:
    deployments: [{backend: scripted}]
    params: {temperature: %s, max_tokens: %s}
pipeline: [generate]
releases: {gate: [brevity]}
"""
BREVITY = """\
cases:
  - {id: asked, input: what do you see?}
scorers:
  - {regex: {pattern: '"max_tokens": ?11'}}
gate: {scores: {regex: 1.0}}
"""


def test_what_has_not_passed_its_suites_is_not_served(running: ServiceProcess) -> None:
    root = running.log.parent
    (root / "evals").mkdir()
    (root / "evals" / "brevity.yaml").write_text(BREVITY)
    (root / "headrace.yaml").write_text(GATED % (0.1, 11))
    good = built(running)
    refused = running.called("deploy", good, check=False)
    assert refused.returncode == 1
    assert f"{good} may not be served: brevity: it was never asked" in refused.stderr
    assert f"headrace release check {good}" in refused.stderr

    checked = json.loads(running.called("release", "check", good, "--json").stdout)
    assert [(each["suite"], each["verdict"], each["baseline"]) for each in checked] == [
        ("brevity", "PASSED", "")
    ]
    running.called("deploy", good)
    assert temperature(running) == 0.1

    (root / "headrace.yaml").write_text(GATED % (0.9, 99))
    bad = built(running)
    failed = running.called("release", "check", bad, check=False)
    assert failed.returncode == 1
    assert "regex: 0.000 is 1.000 below 1" in failed.stdout
    for how in ([], ["--canary", "5,100"]):
        refused = running.called("deploy", bad, *how, check=False)
        assert f"{bad} may not be served: brevity: regex: 0.000" in refused.stderr
    assert temperature(running) == 0.1
    shown = running.told("release", "inspect", bad)
    assert shown["proved"][0]["baseline"] == checked[0]["release"]

    # Somebody may serve it all the same, and says why; going back needs no proof and no files.
    assert running.called("deploy", bad, "--unproved", check=False).returncode == 2
    running.called("deploy", bad, "--unproved", "--why", "the suite is wrong")
    assert temperature(running) == 0.9
    (root / "headrace.yaml").write_text("broken: [")
    running.called("rollback")
    assert temperature(running) == 0.1


CONVERSING = """\
models:
  scripted:
    deployments: [{backend: scripted}]
    params: {temperature: %s}
pipeline: [ground, generate]
"""


def traced(service: ServiceProcess, operation: str) -> list[dict[str, object]]:
    told = service.told("trace", "list", "--limit", "200")
    return [each for each in told if each["operation"] == operation]


def test_a_shadow_answers_copies_that_nobody_sees_and_nothing_remembers(
    running: ServiceProcess,
) -> None:
    root = running.log.parent
    (root / "headrace.yaml").write_text(CONVERSING % 0.1)
    first = built(running)
    running.called("deploy", first)
    (root / "headrace.yaml").write_text(CONVERSING % 0.9)
    second = built(running)
    new = behaviour(running, second)
    told = running.called("deploy", second, "--shadow", "100", "--every", "1h")
    assert f"{second} answers copies of 100 % of the turns" in told.stdout
    wait_for(lambda: f"{second} answers copies of" in running.said())

    seen: list[dict[str, object]] = []
    with running.client() as client:
        for number in range(3):
            body = {
                "messages": [{"role": "user", "content": f"question {number}"}],
                "conversation": "weekend",
            }
            reply = client.post("/v1/chat/completions", json=body)
            assert reply.headers["x-headrace-release"] != new
            seen.append(json.loads(reply.json()["choices"][0]["message"]["content"]))
            wait_for(lambda: len(traced(running, "shadow")) == len(seen))
    assert {each["params"]["temperature"] for each in seen} == {0.1}  # type: ignore[index]

    # Each copy saw what its turn saw: no more of the conversation, and no copies in it.
    copies = traced(running, "shadow")
    assert {each["release"] for each in copies} == {new}
    assert {each["conversation"] for each in copies} == {None}
    wait_for(lambda: len(traced(running, "chat")) == 3)
    for original, copy in zip(seen, reversed(copies), strict=True):
        shown = running.told("trace", "show", str(copy["id"]), "--content")
        call = json.loads(shown["output"][0]["text"])
        assert call["messages"] == original["messages"]
        assert call["params"]["temperature"] == 0.9

    assert "no longer on trial" in running.called("rollback").stdout
    assert temperature(running) == 0.1


def test_bare_prompts_are_tried_too_and_a_trial_begun_again_is_another(
    running: ServiceProcess,
) -> None:
    first = built(running)
    running.called("deploy", first)
    write(running, 0.9)
    second = built(running)
    new = behaviour(running, second)

    def told() -> str:
        body = {"model": "scripted", "prompt": "what do you see?", "user": "ann"}
        with running.client() as client:
            return str(client.post("/v1/completions", json=body).headers["x-headrace-release"])

    running.called("deploy", second, "--canary", "100", "--every", "1h")
    wait_for(lambda: told() == new)
    # The same release, in the shadow now: nobody may be answered by it any more.
    running.called("rollback")
    running.called("deploy", second, "--shadow", "100", "--every", "1h")
    wait_for(lambda: f"{second} answers copies of" in running.said())
    copied = len(traced(running, "shadow"))
    assert told() != new
    wait_for(lambda: len(traced(running, "shadow")) > copied)
    running.called("rollback")
    assert told() != new


def test_a_shadow_that_fails_is_ended_and_hurts_nobody(running: ServiceProcess) -> None:
    first = built(running)
    running.called("deploy", first)
    (running.log.parent / "headrace.yaml").write_text(BROKEN)
    second = built(running)
    new = behaviour(running, second)
    with Traffic(running) as traffic:
        running.called("deploy", second, "--shadow", "50", "--every", "1h")
        wait_for(
            lambda: f"{second} failed in the shadow: error_rate<1%" in "".join(history(running))
        )
    assert not any(new in releases for releases in traffic.releases.values())
    assert temperature(running) == 0.1


def test_several_workers_share_a_trial_out_and_all_take_it_over(
    running: ServiceProcess,
) -> None:
    assert running.stop() == 0
    environ = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    two = ServiceProcess.start(
        running.log.parent, running.home, args=("--workers", "2"), environ=environ
    )
    try:
        first = built(two)
        two.called("deploy", first)
        write(two, 0.9)
        second = built(two)
        old, new = behaviour(two, first), behaviour(two, second)
        seen: dict[str, list[str]] = {}
        two.called("deploy", second, "--canary", "50", "--every", "3s")
        for number in itertools.count():
            # A connection of its own each: either worker may answer.
            user = f"user-{number % 20}"
            body = {"messages": [{"role": "user", "content": "Hello"}], "user": user}
            with two.client() as client:
                told = client.post("/v1/chat/completions", json=body).headers
            seen.setdefault(user, []).append(told["x-headrace-release"])
            if number % 20 == 19 and all(each[-1] == new for each in seen.values()):
                break
            assert number < 4_000
        # Workers load it within a second of one another; after that nobody was sent back.
        for answers in seen.values():
            assert {*answers} <= {old, new}
            if new in answers:
                assert {*answers[answers.index(new) + len(seen) :]} <= {new}
        assert "passed its stages" in "".join(history(two))
        shown = two.told("release", "inspect", "production")
        assert shown["name"] == second
    finally:
        two.stop()
