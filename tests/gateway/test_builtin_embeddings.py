"""The built-in embedding models over `/v1/embeddings`, as a client meets them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.running import ServiceProcess

pytestmark = pytest.mark.model

SHORT, LONG = "七米高的水轮", "面粉和谷物，" * 300


@pytest.fixture
def client(service: ServiceProcess, multilingual_folder: Path) -> Iterator[httpx.Client]:
    del multilingual_folder  # the service's own, so that nothing is fetched here
    headers = {"authorization": f"Bearer {service.key}"}
    with httpx.Client(base_url=f"{service.url}/v1", headers=headers, timeout=60) as opened:
        yield opened


def test_the_models_are_listed_after_those_that_answer(client: httpx.Client) -> None:
    listed = client.get("/models").json()["data"]
    names = [each["id"] for each in listed]
    assert names[-2:] == ["embedding", "embedding-multilingual"]
    assert [each.get("tasks") for each in listed[-2:]] == [["embed"], ["embed"]]
    assert "tasks" not in listed[0]
    assert client.get("/models/embedding-multilingual").json()["context_tokens"] == 512


def test_vectors_are_made_and_what_is_cut_off_is_said(client: httpx.Client) -> None:
    body = {"model": "embedding-multilingual", "input": [SHORT, LONG, "How tall is the wheel?"]}
    made = client.post("/embeddings", json=body).json()
    vectors = np.array([each["embedding"] for each in made["data"]])
    assert vectors.shape == (3, 512)
    assert made["truncated"] == [1]
    assert made["usage"]["prompt_tokens"] > 512
    assert "truncated" not in client.post("/embeddings", json={**body, "input": SHORT}).json()


def test_an_input_may_be_said_to_be_a_question(client: httpx.Client) -> None:
    body = {"model": "embedding", "input": "Who?", "input_type": "query"}
    assert client.post("/embeddings", json=body).status_code == 200
    refused = client.post("/embeddings", json={**body, "input_type": "poem"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "input_type"


def test_an_embedding_model_answers_no_chat(client: httpx.Client) -> None:
    body = {
        "model": "embedding-multilingual",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    refused = client.post("/chat/completions", json=body)
    assert refused.status_code == 400
    assert "makes embeddings" in refused.json()["error"]["message"]
