"""A probe through a real backend against servers that answer, refuse, or are not there."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from headrace.errors import HeadraceError
from headrace.models.openai.backend import CompatibleBackend, CompatibleSettings
from headrace.models.probe.diagnosis import Diagnosis, diagnose
from headrace.models.probe.probe import Probed, probe, probe_embedding, with_last_day
from tests.upstreams.server import Answer, Asked, Server, json_answer, serving

Ask: TypeAlias = Callable[[str], Coroutine[None, None, "Probed | Diagnosis"]]
GOOD_KEY = "sk-good"


@pytest.fixture
def upstream() -> Iterator[Server]:
    """A server with one model, `writer-1`, for one key; it streams word by word."""
    with serving() as server:
        server.on("POST", "/v1/chat/completions", answered)
        server.on("GET", "/v1/models", listed)
        server.on("POST", "/v1/embeddings", embedded)
        yield server


def refused(asked: Asked) -> Answer | None:
    if asked.headers.get("authorization") == f"Bearer {GOOD_KEY}":
        return None
    told = {"message": "Incorrect API key provided", "code": "invalid_api_key"}
    return json_answer({"error": {"type": "invalid_request_error", **told}}, 401)


def listed(asked: Asked) -> Answer:
    models = [{"id": name, "object": "model"} for name in ("writer-1", "writer-2", "other")]
    return refused(asked) or json_answer({"object": "list", "data": models})


def answered(asked: Asked) -> Answer:
    if (refusal := refused(asked)) is not None:
        return refusal
    if asked.json()["model"] != "writer-1":
        told = {"message": "The model does not exist", "code": "model_not_found"}
        return json_answer({"error": {"type": "invalid_request_error", **told}}, 404)
    words = [chunk({"content": word}) for word in ("I ", "am ", "a ", "test.")]
    end = chunk({}, finish_reason="stop")
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}\n\n'
    return Answer(
        headers=[("content-type", "text/event-stream"), ("x-ratelimit-limit-requests", "500")],
        body=[*words, end, usage, b"data: [DONE]\n\n"],
    )


def chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"


def embedded(asked: Asked) -> Answer:
    vector = {"index": 0, "embedding": [0.5, 0.5, 0.0]}
    return json_answer({"data": [vector], "usage": {"prompt_tokens": 9, "total_tokens": 9}})


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Ask]:
    """Probe a deployment whose settings are given as JSON."""
    started: list[CompatibleBackend] = []

    async def ask(settings: str) -> Probed | Diagnosis:
        read = msgspec.json.decode(settings, type=CompatibleSettings)
        backend = CompatibleBackend(read, name="m", root=tmp_path, home=tmp_path)
        started.append(backend)
        await backend.start()
        try:
            return await probe(backend)
        except HeadraceError as error:
            return await diagnose(error, backend)

    yield ask
    for backend in started:
        await backend.stop()


def settings(url: str, model: str = "writer-1", key: str = GOOD_KEY) -> str:
    return msgspec.json.encode({"base_url": url, "model": model, "api_key": key}).decode()


async def test_an_answer_is_timed_and_counted(ask: Ask, upstream: Server) -> None:
    found = await ask(settings(upstream.url("/v1")))
    assert isinstance(found, Probed)
    assert (found.text, found.finish_reason) == ("I am a test.", "stop")
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (9, 4)
    assert found.ttft_s is not None and 0 < found.ttft_s <= found.total_s
    assert upstream.asked[0].json()["stream"] is True


async def test_a_question_is_asked_once_whatever_happens(ask: Ask, upstream: Server) -> None:
    upstream.script(Answer(500, body=b"{}"))
    found = await ask(settings(upstream.url("/v1")))
    assert isinstance(found, Diagnosis) and found.fault == "provider"
    assert [each.path for each in upstream.asked] == ["/v1/chat/completions"]


async def test_a_wrong_key_is_told(ask: Ask, upstream: Server) -> None:
    found = await ask(settings(upstream.url("/v1"), key="sk-wrong"))
    assert isinstance(found, Diagnosis)
    assert found.fault == "key"
    assert "sk-wrong" not in found.message + found.hint


async def test_a_wrong_name_gets_the_nearest_ones(ask: Ask, upstream: Server) -> None:
    found = await ask(settings(upstream.url("/v1"), model="writer-3"))
    assert isinstance(found, Diagnosis)
    assert found.fault == "model"
    assert "writer-1" in found.hint and "writer-2" in found.hint


async def test_a_good_name_that_is_refused_is_a_matter_of_rights(
    ask: Ask, upstream: Server
) -> None:
    told = {"message": "You do not have access to this model", "type": "invalid_request_error"}
    upstream.script(json_answer({"error": told}, 403))
    found = await ask(settings(upstream.url("/v1")))
    assert isinstance(found, Diagnosis) and found.fault == "access"


async def test_a_quota_is_told_with_its_time(ask: Ask, upstream: Server) -> None:
    told = {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}
    upstream.script(json_answer({"error": told}, 429, [("retry-after", "7")]))
    found = await ask(settings(upstream.url("/v1")))
    assert isinstance(found, Diagnosis) and found.fault == "quota"
    assert "7 s" in found.hint or "7 s" in found.message


async def test_a_context_that_is_too_short_is_told(ask: Ask, upstream: Server) -> None:
    message = (
        "This model's maximum context length is 8 tokens. However, your messages resulted in "
        "14 tokens. Please reduce the length of the messages."
    )
    told = {"message": message, "code": "context_length_exceeded", "param": "messages"}
    upstream.script(json_answer({"error": {"type": "invalid_request_error", **told}}, 400))
    found = await ask(settings(upstream.url("/v1")))
    assert isinstance(found, Diagnosis) and found.fault == "context"


async def test_a_port_that_nobody_listens_on_is_told(ask: Ask) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    found = await ask(settings(f"http://127.0.0.1:{port}/v1"))
    assert isinstance(found, Diagnosis) and found.fault == "address"
    assert str(port) in found.message


async def test_a_name_that_does_not_exist_is_told(ask: Ask) -> None:
    found = await ask(settings("http://no-such-host.invalid/v1"))
    assert isinstance(found, Diagnosis) and found.fault == "dns"
    assert "no-such-host.invalid" in found.message


async def test_a_server_without_tls_is_told(ask: Ask, upstream: Server) -> None:
    found = await ask(settings(f"https://127.0.0.1:{upstream.port}/v1"))
    assert isinstance(found, Diagnosis) and found.fault == "tls"


async def test_something_that_is_no_model_server_is_told(ask: Ask) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await ask(settings(f"http://127.0.0.1:{port}/v1"))
    assert isinstance(found, Diagnosis) and found.fault == "provider"


async def test_the_last_day_is_the_providers(tmp_path: Path, upstream: Server) -> None:
    models = [{"id": "writer-1", "object": "model", "shutdown_date": "2027-04-01"}]
    upstream.on("GET", "/v1/models", lambda asked: json_answer({"data": models}))
    read = msgspec.json.decode(settings(upstream.url("/v1")), type=CompatibleSettings)
    backend = CompatibleBackend(read, name="m", root=tmp_path, home=tmp_path)
    await backend.start()
    found = await with_last_day(await probe(backend), backend)
    upstream.on("GET", "/v1/models", lambda asked: Answer(500))
    assert (await with_last_day(found, backend)).text == found.text
    await backend.stop()
    assert found.shutdown_date == "2027-04-01"


async def test_a_vector_is_counted(tmp_path: Path, upstream: Server) -> None:
    read = msgspec.json.decode(settings(upstream.url("/v1")), type=CompatibleSettings)
    backend = CompatibleBackend(read, name="m", root=tmp_path, home=tmp_path)
    await backend.start()
    found = await probe_embedding(backend)
    await backend.stop()
    assert (found.dimensions, found.usage.prompt_tokens) == (3, 9)
