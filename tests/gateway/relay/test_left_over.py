"""However upstreams break and clients leave, nothing is left over: no place, call, turn or trace."""

import json
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.running import ServiceProcess, wait_for
from tests.upstreams.openai import KEY, MODEL, FakeOpenAI, error_answer
from tests.upstreams.server import Answer, Asked, Cut, Hold, Piece, Server

CONFIG = """\
models:
  chat:
    deployments:
      - {{backend: openai, model: {model}, base_url: "{one}", api_key: "{key}"}}
      - {{backend: openai, model: {model}, base_url: "{two}", api_key: "{key}"}}
    balance: {{queue: {{wait_s: 2}}, health: {{ejection_s: 0.05, ejection_max_s: 0.05}}}}
limits: [{{concurrent: 8}}]
traces: {{content: {content}}}
pipeline: [generate]
"""
AT_ONCE = 4


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def said(text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return event({"id": "c", "choices": [choice]})


PIECES: dict[str, bytes | Cut] = {
    "role": event({"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
    "text": said("Hello, " * 50),
    "half": said("Hello")[:20],
    "end": said("!", "stop"),
    "usage": event({"id": "c", "choices": [], "usage": {"prompt_tokens": 1}}),
    "error": event({"error": {"message": "the engine died", "type": "server_error"}}),
    "done": b"data: [DONE]\n\n",
    "cut": Cut(),
    "reset": Cut(reset=True),
}
Leaves = Literal["never", "at once", "when it begins", "in the middle"]


@dataclass(frozen=True)
class Plan:
    """One request: how it is asked, what the first server says, and when the client leaves."""

    stream: bool
    status: int
    pieces: tuple[str, ...]
    leaves: Leaves


def plans() -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        st.booleans(),
        st.sampled_from([200, 200, 200, 400, 429, 500]),
        st.lists(st.sampled_from(sorted(PIECES)), max_size=6).map(tuple),
        st.sampled_from(("never", "at once", "when it begins", "in the middle")),
    )


class Script:
    """Answers each request by the plan that its text names; a second attempt succeeds."""

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self.holds: dict[str, Hold] = {}
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def add(self, name: str, plan: Plan) -> None:
        self.plans[name], self.holds[name] = plan, Hold()

    def answer(self, asked: Asked) -> Answer:
        if asked.method != "POST":
            return FakeOpenAI().answer(asked)
        messages = asked.json()["messages"]
        assert isinstance(messages, list)
        name = messages[0]["content"]
        with self._lock:
            is_first = name not in self._seen
            self._seen.add(name)
        plan = self.plans[name]
        if not is_first:
            return FakeOpenAI().answer(asked)
        if plan.status != 200:
            return error_answer(plan.status, "no", "server_error", None)
        pieces: list[Piece] = [PIECES[each] for each in plan.pieces]
        if plan.leaves == "in the middle":
            pieces.insert(len(pieces) // 2, self.holds[name])
        return Answer(200, [("content-type", "text/event-stream")], pieces)


@pytest.fixture(scope="module", params=["false", "true"], ids=["no texts", "texts"])
def service(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    upstreams: list[Server],
) -> Iterator[ServiceProcess]:
    root = tmp_path_factory.mktemp("left-over")
    one, two = (each.url("/v1") for each in upstreams)
    text = CONFIG.format(model=MODEL, key=KEY, one=one, two=two, content=request.param)
    (root / "headrace.yaml").write_text(text)
    running = ServiceProcess.start(root, root / "home")
    yield running
    running.kill()


def ask(service: ServiceProcess, name: str, plan: Plan, hold: Hold) -> bytes:
    """What came of the answer until the client left."""
    body = {
        "model": "chat",
        "messages": [{"role": "user", "content": name}],
        "stream": plan.stream,
    }
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {service.key}\r\n"
        f"connection: close\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    place = urlsplit(service.url)
    got = b""
    with socket.create_connection((place.hostname, place.port), timeout=30) as client:
        client.sendall(head.encode() + data)
        if plan.leaves == "at once":
            return got
        if plan.leaves == "in the middle":
            hold.reached.wait(0.5)  # it may never be reached: the answer may be cut before
            return got
        while piece := client.recv(65_536):
            got += piece
            if plan.leaves == "when it begins":
                return got
    return got


def figures(service: ServiceProcess) -> dict[str, float]:
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
    found = [re.fullmatch(r"(\w+)(?:\{.*\})? ([\d.e+-]+)", line) for line in lines]
    sums: dict[str, float] = {}
    for each in found:
        if each is not None:
            sums[each[1]] = sums.get(each[1], 0.0) + float(each[2])
    return sums


def count(service: ServiceProcess, table: str) -> int:
    database = next(service.home.glob("*.db"))
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        (found,) = connection.execute(f"select count(*) from {table}").fetchone()
    return int(found)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(plans(), min_size=AT_ONCE, max_size=AT_ONCE))
def test_nothing_is_left_over(
    service: ServiceProcess, upstreams: list[Server], asked: list[Plan]
) -> None:
    script = Script()
    for each in upstreams:
        each.routes.clear()
        each.on("POST", "/v1/*", script.answer)
        each.on("GET", "/v1/*", script.answer)
    names = [f"call {i}" for i in range(len(asked))]
    for name, plan in zip(names, asked, strict=True):
        script.add(name, plan)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = pool.map(
            lambda name: ask(service, name, script.plans[name], script.holds[name]), names
        )
    for plan, reply in zip(asked, replies, strict=True):
        if plan.leaves == "never":
            assert reply, f"never answered: {plan}"
            assert reply.count(b"HTTP/1.1 ") == 1, f"answered twice: {plan}"
        assert b"rate limit reached" not in reply, f"a place was not given back: {plan}"
    for hold in script.holds.values():
        hold.go_on.set()
    wait_for(lambda: figures(service)["headrace_turns_active"] == 0)
    wait_for(lambda: figures(service)["headrace_deployment_calls"] == 0)
    wait_for(lambda: count(service, "open_traces") == 0)
    wait_for(lambda: count(service, "traces") == figures(service)["headrace_turns_total"])
    assert "Traceback" not in service.said()
