"""A service with three deployments of one model, each a process that a test may harm."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.faults.server import Upstream, upstreams
from tests.faults.upstream import Fault
from tests.running import ServiceProcess, wait_for

PER_S = 60.0

DEPLOYMENT = '      - {{backend: openai_compatible, model: m, base_url: "{url}", api_key: sk-faults{more}}}\n'


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: random faults under load for half a minute")


def config_of(urls: list[str], more: str = "", head: str = "", balance: str = "{}") -> str:
    """A headrace.yaml with these deployments of `chat`."""
    deployments = "".join(DEPLOYMENT.format(url=url, more=more) for url in urls)
    return (
        f"{head}models:\n  chat:\n    deployments:\n{deployments}"
        f"    balance: {balance}\npipeline: [generate]\n"
    )


@dataclass
class Fleet:
    """The service, and what answers for it."""

    service: ServiceProcess
    upstreams: list[Upstream]

    def load(self, name: str, per_s: float = PER_S, *, streams: bool | None = None) -> Load:
        service = self.service
        return Load(service.url, service.key, per_s, name=f"{name} ", streams=streams)

    def settle(self) -> None:
        """Have every deployment well and in use."""
        for each in self.upstreams:
            each.tell(Fault())
        with self.service.client() as client:
            for position in range(len(self.upstreams)):
                up = f'headrace_deployment_up{{deployment="chat-{position}",model="chat"}} 1.0'

                def is_up(up: str = up) -> bool:
                    body = {"messages": [{"role": "user", "content": "are you well?"}]}
                    client.post("/v1/chat/completions", json=body)
                    return up in client.get("/metrics").text

                wait_for(is_up)


# A stream that froze after its first piece breaks off after so long; by default it is a minute.
IDLE = ", idle_timeout_s: 5"


def started(root: Path, count: int) -> Iterator[Fleet]:
    with upstreams(root, count) as servers:
        (root / "headrace.yaml").write_text(config_of([each.url for each in servers], IDLE))
        home = root / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        fleet = Fleet(ServiceProcess.start(root, home), servers)
        try:
            yield fleet
        finally:
            if fleet.service.process.poll() is None:
                fleet.service.kill()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for all tests of a file; each leaves its deployments well."""
    yield from started(tmp_path_factory.mktemp("fleet"), 3)


@pytest.fixture
def own_fleet(tmp_path: Path) -> Iterator[Fleet]:
    """One that a test may end."""
    yield from started(tmp_path, 3)
