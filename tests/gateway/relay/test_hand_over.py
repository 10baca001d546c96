"""What cannot go on the direct way goes the ordinary one, and is one call all the same."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import ServiceProcess, wait_for
from tests.upstreams.openai import KEY, MODEL, FakeOpenAI, error_answer
from tests.upstreams.said import Said
from tests.upstreams.server import Answer, Cut, Hold, Piece, Server

CONFIG = """\
models:
  chat:
    deployments:
      - {{backend: openai, model: {model}, base_url: "{one}", api_key: "{key}"}}
      - {{backend: openai, model: {model}, base_url: "{two}", api_key: "{key}"}}
    balance: {{prefer: order}}
limits: [{{requests_per_minute: 100000, tokens_per_minute: 100000000, concurrent: 50}}]
traces: {{content: false}}
pipeline: [generate]
"""
QUESTION = [{"role": "user", "content": "Who?"}]
EVENTS = [("content-type", "text/event-stream")]


def event(**value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def said(text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return event(id="c", choices=[choice])


ROLE = event(id="c", choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}])
ERROR = event(error={"message": "the engine died", "type": "server_error", "code": 500})
DONE = b"data: [DONE]\n\n"


def streamed(*pieces: Piece) -> Answer:
    return Answer(200, EVENTS, pieces)


def first_says(server: Server, answer: Answer) -> None:
    """Once; then it answers. (A script would be used up by whoever asks for its models.)"""
    left = [answer]
    server.on("POST", "/v1/*", lambda a: left.pop() if left else FakeOpenAI().answer(a))


def start(root: Path, upstreams: list[Server]) -> Iterator[ServiceProcess]:
    one, two = (each.url("/v1") for each in upstreams)
    (root / "headrace.yaml").write_text(CONFIG.format(model=MODEL, key=KEY, one=one, two=two))
    running = ServiceProcess.start(root, root / "home")
    yield running
    running.kill()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, upstreams: list[Server]
) -> Iterator[ServiceProcess]:
    yield from start(tmp_path_factory.mktemp("relay"), upstreams)


@pytest.fixture
def fresh(tmp_path: Path, upstreams: list[Server]) -> Iterator[ServiceProcess]:
    """One whose deployments a test may spoil."""
    yield from start(tmp_path, upstreams)


def ask(service: ServiceProcess, **body: object) -> httpx.Response:
    with service.client() as client:
        return client.post(
            "/v1/chat/completions", json={"model": "chat", "messages": QUESTION, **body}
        )


def events(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]


def text_of(reply: httpx.Response) -> str:
    chunks = [json.loads(each) for each in events(reply) if each != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk.get("choices", ())]
    return "".join(each["delta"].get("content") or "" for each in choices)


def remaining(reply: httpx.Response) -> int:
    return int(reply.headers["x-ratelimit-remaining-requests"])


def fail(_: object) -> Answer:
    return error_answer(500, "no", "server_error", None)


def used_by(service: ServiceProcess, go: Callable[[], object]) -> int:
    """Requests that something counts as."""
    before = remaining(ask(service))
    go()
    return before - remaining(ask(service)) - 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"stream": True},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"user": "ada", "stream": True},
        {"stream": True, "stream_options": {"include_usage": False}},
    ],
    ids=["whole", "streamed", "tools", "user", "no usage"],
)
def test_every_request_counts_once(service: ServiceProcess, body: dict[str, object]) -> None:
    assert used_by(service, lambda: ask(service, **body)) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_request_that_is_made_again_counts_once(
    service: ServiceProcess, upstreams: list[Server], stream: bool
) -> None:
    def one_fails() -> None:
        first_says(upstreams[0], fail(None))
        assert ask(service, stream=stream).status_code == 200

    assert used_by(service, one_fails) == 1


@pytest.mark.parametrize(
    "broken",
    [
        (Cut(),),
        (Cut(reset=True),),
        (ROLE, Cut()),
        (b": ping\n\n", ROLE, Cut(reset=True)),
        (ERROR,),
        (ROLE, ERROR, DONE),
        (ROLE,),
        (),
    ],
    ids=["head", "reset", "role", "ping", "error", "role and error", "role alone", "nothing"],
)
def test_what_breaks_off_before_it_has_said_anything_is_asked_again(
    service: ServiceProcess, upstreams: list[Server], broken: tuple[Piece, ...]
) -> None:
    first_says(upstreams[0], streamed(*broken))
    reply = ask(service, stream=True)
    assert text_of(reply) == Said().text()
    assert events(reply)[-1] == "[DONE]"


def test_one_that_breaks_off_again_and_again_is_left_out(
    fresh: ServiceProcess, upstreams: list[Server]
) -> None:
    upstreams[0].on("POST", "/v1/*", lambda _: streamed(said("I "), Cut()))
    upstreams[1].on("POST", "/v1/*", lambda _: streamed(said("I can.", "stop"), DONE))
    wait_for(lambda: text_of(ask(fresh, stream=True)) == "I can.", timeout_s=5)
    assert len(upstreams[0].asked) < 20


@pytest.mark.parametrize("ending", [(ERROR, DONE), ()], ids=["an error event", "nothing"])
def test_one_that_fails_in_mid_answer_again_and_again_is_left_out(
    fresh: ServiceProcess, upstreams: list[Server], ending: tuple[Piece, ...]
) -> None:
    upstreams[0].on("POST", "/v1/*", lambda _: streamed(said("I "), *ending))
    upstreams[1].on("POST", "/v1/*", lambda _: streamed(said("I can.", "stop"), DONE))
    first = ask(fresh, stream=True)
    error = json.loads(events(first)[-1])["error"]
    assert error["code"] == "model_unavailable"
    wait_for(lambda: text_of(ask(fresh, stream=True)) == "I can.", timeout_s=5)


def test_an_end_in_the_text_is_no_end(service: ServiceProcess, upstreams: list[Server]) -> None:
    hold = Hold()
    text = "The end is told by data: [DONE]"
    first_says(upstreams[0], streamed(said(text), said(" and then"), hold, said(".", "stop"), DONE))
    body = {"model": "chat", "messages": QUESTION, "stream": True}
    with service.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as it:
        got = b""
        for piece in it.iter_bytes():
            got += piece
            if b"and then" in got:
                hold.go_on.set()  # what was said before the hold has come through it
    assert got.endswith(DONE)


def test_a_last_event_without_its_blank_line_is_not_lost(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    first_says(upstreams[0], streamed(said("a"), said("b", "stop").rstrip(b"\n")))
    reply = ask(service, stream=True)
    assert text_of(reply) == "ab"
    assert events(reply)[-1] == "[DONE]"


def test_a_policy_at_the_provider_is_asked_about_once(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    filtered = {"message": "no", "type": "invalid_request_error", "code": "content_filter"}
    first_says(upstreams[0], Answer(200, [], json.dumps({"error": filtered}).encode()))
    reply = ask(service)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "content_filter"
    assert [each.method for server in upstreams for each in server.asked].count("POST") == 1


def test_the_trace_tells_of_the_attempt_that_failed(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    first_says(upstreams[0], fail(None))
    reply = ask(service, stream=True)
    spans = service.trace(reply.headers["x-headrace-trace"])["spans"]
    failed, answered = [each for each in spans if each["name"] == "generate"]
    assert failed["error"] == "model_unavailable"
    assert failed["attributes"]["headrace.routing.tried"] == ["chat-0: failed"]
    assert answered["error"] is None


def test_after_all_of_it_nothing_is_left_over(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    for answer in (fail(None), streamed(ROLE, Cut()), streamed(said("a"), Cut(reset=True))):
        for stream in (True, False):
            first_says(upstreams[0], answer)
            ask(service, stream=stream)
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
    assert "headrace_turns_active 0.0" in lines
    calls = [line for line in lines if line.startswith("headrace_deployment_calls")]
    assert all(line.endswith(" 0.0") for line in calls), calls
