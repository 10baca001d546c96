"""A service whose pipeline is the model alone passes chats on as they are."""

import json
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.running import ServiceProcess, wait_for
from tests.upstreams.openai import KEY, MODEL, FakeOpenAI, error_answer
from tests.upstreams.said import Said, Tool
from tests.upstreams.server import Answer, Asked, Cut, Hold, Server, serving

CONFIG = """\
models:
  {name}:
    deployments:
      - {{backend: openai, model: {model}, base_url: "{one}", api_key: "{key}"}}
      - {{backend: openai, model: {model}, base_url: "{two}", api_key: "{key}"}}
    balance: {{prefer: order}}
limits: [{{key: limited, requests_per_minute: 1}}]
traces: {{content: false}}
pipeline: [generate]
"""
QUESTION = [{"role": "user", "content": "谁在那里? Who?"}]


@pytest.fixture(scope="module")
def upstreams() -> Iterator[list[Server]]:
    with serving() as one, serving() as two:
        yield [one, two]


@pytest.fixture(autouse=True)
def answering(upstreams: list[Server]) -> None:
    for each in upstreams:
        each.scripted.clear()
        each.asked.clear()
        FakeOpenAI().mount(each)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, upstreams: list[Server]
) -> Iterator[ServiceProcess]:
    root = tmp_path_factory.mktemp("relay")
    one, two = (each.url("/v1") for each in upstreams)
    text = CONFIG.format(name="chat", model=MODEL, key=KEY, one=one, two=two)
    (root / "headrace.yaml").write_text(text)
    running = ServiceProcess.start(root, root / "home")
    yield running
    running.kill()


def ask(service: ServiceProcess, **body: object) -> httpx.Response:
    with service.client() as client:
        return client.post(
            "/v1/chat/completions", json={"model": "chat", "messages": QUESTION, **body}
        )


def traced(service: ServiceProcess, reply: httpx.Response) -> dict[str, object]:
    found: list[dict[str, object]] = []

    def shown() -> bool:
        out = service.called(
            "trace", "show", reply.headers["x-headrace-trace"], "--json", check=False
        )
        if out.returncode == 0:
            found.append(json.loads(out.stdout))
        return out.returncode == 0

    wait_for(shown)
    return found[-1]


def test_an_answer_comes_back_in_the_very_bytes(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    sent: list[bytes] = []

    def answer(asked: Asked) -> Answer:
        found = FakeOpenAI().answer(asked)
        assert isinstance(found.body, bytes)
        sent.append(found.body)
        return found

    upstreams[0].on("POST", "/v1/*", answer)
    reply = ask(service)
    assert reply.status_code == 200
    assert reply.content == sent[0], service.said()
    asked = upstreams[0].asked[-1].json()
    assert asked["model"] == MODEL
    assert asked["messages"] == QUESTION
    trace = traced(service, reply)
    assert (trace["status"], trace["deployment"], trace["model"]) == ("ok", "chat-0", "chat")
    assert (trace["prompt_tokens"], trace["completion_tokens"]) == (19, 10)
    assert trace["finish_reason"] == "stop"


@pytest.mark.parametrize("asks", [True, False], ids=["usage asked for", "no usage asked for"])
def test_usage_is_counted_and_only_shown_where_it_was_asked_for(
    service: ServiceProcess, asks: bool
) -> None:
    options = {"stream_options": {"include_usage": True}} if asks else {}
    reply = ask(service, stream=True, **options)
    events = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(each) for each in events[:-1]]
    assert any(chunk.get("usage") for chunk in chunks) is asks
    assert all(chunk["choices"] for chunk in chunks) is not asks
    trace = traced(service, reply)
    assert (trace["prompt_tokens"], trace["completion_tokens"]) == (19, 10)
    assert trace["ttft_s"] is not None
    assert trace["stream"] is True


def test_the_unmodified_sdk_reads_both_ways(service: ServiceProcess) -> None:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=service.key) as client:
        whole = client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "Who?"}]
        )
        stream = client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "Who?"}], stream=True
        )
        said = "".join(each.choices[0].delta.content or "" for each in stream)
    assert whole.choices[0].message.content == said == Said().text()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_one_that_refuses_is_answered_for_by_the_other(
    service: ServiceProcess, upstreams: list[Server], stream: bool
) -> None:
    upstreams[0].on("POST", "/v1/*", lambda _: error_answer(500, "no", "server_error", None))
    reply = ask(service, stream=stream)
    assert reply.status_code == 200
    assert traced(service, reply)["deployment"] == "chat-1"


def test_what_has_another_meaning_there_goes_the_ordinary_way(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    tool = Tool("call_DdmO9pD3xa9XTPNJ32zg2hcA", "clock", ("{}",))
    for each in upstreams:
        FakeOpenAI([Said(tools=(tool,), finish_reason="tool_calls")]).mount(each)
    tools = [{"type": "function", "function": {"name": "clock", "parameters": {}}}]
    reply = ask(service, tools=tools)
    assert reply.json()["id"] == f"chatcmpl-{reply.headers['x-headrace-trace']}"
    assert reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "clock"


def test_a_stream_that_breaks_off_says_so(service: ServiceProcess, upstreams: list[Server]) -> None:
    first = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    headers = [("content-type", "text/event-stream")]
    upstreams[0].script(Answer(200, headers, [first, Cut()]))
    upstreams[1].script(Answer(200, headers, [first, Cut()]))
    reply = ask(service, stream=True)
    events = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
    assert json.loads(events[0])["choices"][0]["delta"]["content"] == "a"
    assert json.loads(events[-1])["error"]["code"] == "model_unavailable"
    trace = traced(service, reply)
    assert (trace["status"], trace["error"]) == ("error", "model_unavailable")


def test_a_client_that_leaves_ends_the_call_upstream(
    service: ServiceProcess, upstreams: list[Server]
) -> None:
    first = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    hold = Hold()
    for each in upstreams:
        each.script(Answer(200, [("content-type", "text/event-stream")], [first, hold]))
    body = {"model": "chat", "messages": QUESTION, "stream": True}
    with service.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as it:
        next(it.iter_bytes())
    (asked,) = [each for server in upstreams for each in server.asked if each.method == "POST"]
    assert asked.hung_up.wait(60)
    assert traced(service, it)["status"] == "cancelled"


def test_limits_hold_on_the_direct_way(service: ServiceProcess) -> None:
    made = service.called("keys", "create", "limited", "--json")
    key = json.loads(made.stdout)["secret"]

    def once() -> httpx.Response:
        return httpx.post(
            f"{service.url}/v1/chat/completions",
            json={"model": "chat", "messages": QUESTION},
            headers={"authorization": f"Bearer {key}"},
        )

    wait_for(lambda: once().status_code != 401)
    assert once().status_code == 429
    metrics = httpx.get(f"{service.url}/metrics", headers=service.headers).text
    assert 'headrace_limit_rejections_total{limit="requests_per_minute"' in metrics


def test_figures_add_up(service: ServiceProcess) -> None:
    ask(service)
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
    assert "headrace_turns_active 0.0" in lines
    calls = [line for line in lines if line.startswith("headrace_deployment_calls")]
    assert calls
    assert all(line.endswith(" 0.0") for line in calls)
