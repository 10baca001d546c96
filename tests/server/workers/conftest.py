"""Services of two workers before a scripted upstream, and clients that stay at one of them."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess
from tests.upstreams.server import Answer, Asked, Hold, Piece, Server, json_answer, serving

CHAT = "/v1/chat/completions"
WORKER = "x-headrace-worker"
CONFIG = """\
server: {{drain_s: 5}}
models:
  chat:
    deployments:
      - {{backend: openai_compatible, model: m, base_url: "{url}", api_key: sk-workers}}
pipeline: [ground, generate]
limits:
{limits}
"""
NO_LIMITS = "  - {requests_per_minute: 1M}"


@dataclass
class Upstream:
    """A model that answers with the number of messages it was shown; `hold …` waits in mid-answer."""

    server: Server
    holds: list[Hold] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answer:
        body = json.loads(asked.body)
        messages = body["messages"]
        text = f"{len(messages)} messages"
        if not body.get("stream"):
            return json_answer(_completion("chat.completion", {"message": _said(text)}))
        pieces: list[Piece] = [_event({"role": "assistant", "content": text})]
        if str(messages[-1]["content"]).startswith("hold"):
            self.holds.append(Hold())
            pieces.append(self.holds[-1])
        pieces += [_event({}, "stop"), b"data: [DONE]\n\n"]
        return Answer(200, [("content-type", "text/event-stream")], pieces)

    def shown(self) -> list[list[str]]:
        """The texts of the messages of every chat so far."""
        chats = [json.loads(each.body) for each in self.server.asked if each.method == "POST"]
        return [[str(each["content"]) for each in chat["messages"]] for chat in chats]


def _said(text: str) -> dict[str, object]:
    return {"role": "assistant", "content": text}


def _completion(kind: str, choice: dict[str, object]) -> dict[str, object]:
    return {
        "id": "c-1",
        "object": kind,
        "created": 1741569952,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }


def _event(delta: dict[str, object], finish: str | None = None) -> bytes:
    chunk = _completion("chat.completion.chunk", {"delta": delta, "finish_reason": finish})
    del chunk["usage"]
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@contextmanager
def upstreams() -> Iterator[Upstream]:
    with serving() as server:
        upstream = Upstream(server)
        server.on("POST", "/v1/chat/completions", upstream.answer)
        yield upstream


StartWorkers = Callable[..., ServiceProcess]


def write_config(root: Path, upstream: Upstream, limits: str = NO_LIMITS) -> None:
    root.mkdir(parents=True, exist_ok=True)
    text = CONFIG.format(url=upstream.server.url("/v1"), limits=limits)
    (root / "headrace.yaml").write_text(text)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with upstreams() as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def start(root: Path, upstream: Upstream) -> Iterator[StartWorkers]:
    """Starts a service on this root's home; whatever still runs at the end is killed."""
    started: list[ServiceProcess] = []

    def start_one(*, workers: int = 2, limits: str = NO_LIMITS) -> ServiceProcess:
        write_config(root, upstream, limits)
        home = root / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        service = ServiceProcess.start(root, home, args=("--workers", str(workers)))
        started.append(service)
        return service

    yield start_one
    for service in started:
        if service.process.poll() is None:
            service.kill()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceProcess, Upstream]]:
    """Two workers that no test of the module harms."""
    root = tmp_path_factory.mktemp("workers")
    home = root / "home"
    home.mkdir(mode=0o700)
    with upstreams() as upstream:
        write_config(root, upstream)
        service = ServiceProcess.start(root, home, args=("--workers", "2"))
        yield service, upstream
        service.stop()


def pids(service: ServiceProcess) -> dict[int, int]:
    """The workers' processes, by slot."""
    found = subprocess.run(
        ["pgrep", "-P", str(service.process.pid), "-af", "headrace.server.workers.worker"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (re.fullmatch(r"(\d+) .* (\d+)", line) for line in found.stdout.splitlines())
    return {int(line[2]): int(line[1]) for line in lines if line}


@contextmanager
def clients(service: ServiceProcess, workers: int = 2) -> Iterator[Sequence[httpx.Client]]:
    """A client for each worker, by slot, on a connection that it keeps."""
    found: dict[int, httpx.Client] = {}
    with ExitStack() as stack:
        for _ in range(500):
            client = stack.enter_context(client_of(service))
            found.setdefault(int(client.get("/healthz").headers[WORKER]), client)
            if len(found) == workers:
                break
        else:
            raise AssertionError(f"only the workers {sorted(found)} got connections")
        yield [found[slot] for slot in range(workers)]


def client_of(service: ServiceProcess) -> httpx.Client:
    return httpx.Client(
        base_url=service.url,
        headers=service.headers,
        timeout=30,
        verify=service.verify,
        limits=httpx.Limits(max_connections=1, keepalive_expiry=600),
    )


def ask(
    client: httpx.Client, text: str, conversation: str | None = None, **more: object
) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], **more}
    if conversation is not None:
        body["conversation"] = conversation
    return client.post(CHAT, json=body)
