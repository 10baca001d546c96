"""The files for promptfoo and lm-evaluation-harness: what they name exists, and what they expect holds.

The tools themselves are not installed here; what they send is sent in their stead to the service.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.running import ServiceProcess

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "evaluation"
PROMPTFOO = EXAMPLE / "promptfoo" / "promptfooconfig.yaml"
TASK = EXAMPLE / "lm-eval" / "headrace_capitals.yaml"
BASES = re.findall(
    r"model=([^,]+),base_url=([^,\s]+)", (ROOT / "docs/evaluation.md").read_text("utf-8")
)
"""Model and address of each of the harness's commands on the page."""


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {service.key}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60) as client:
        yield client


def test_what_promptfoo_is_told_to_ask_is_answered_as_it_expects(client: httpx.Client) -> None:
    suite = yaml.safe_load(PROMPTFOO.read_text("utf-8"))
    (provider,) = suite["providers"]
    config = provider["config"]
    kind, wire, model = provider["id"].split(":")
    assert (kind, wire, urlsplit(config["apiBaseUrl"]).port) == ("openai", "chat", 8080)
    (prompt,) = suite["prompts"]
    for each in suite["tests"]:
        asked = prompt.replace("{{country}}", each["vars"]["country"])
        reply = client.post(
            urlsplit(config["apiBaseUrl"]).path + "/chat/completions",
            json={
                "model": model,
                "messages": [{"role": "user", "content": asked}],
                "temperature": config["temperature"],
                "max_tokens": config["max_tokens"],
            },
        )
        assert reply.status_code == 200, reply.text
        (wanted,) = [one["value"] for one in each["assert"] if one["type"] == "icontains"]
        assert wanted.lower() in reply.json()["choices"][0]["message"]["content"].lower()


def test_the_page_has_the_harness_ask_both_wires() -> None:
    assert [urlsplit(address).path for _, address in BASES] == [
        "/v1/chat/completions",
        "/v1/completions",
    ]


@pytest.mark.parametrize(("model", "address"), BASES)
def test_what_the_harness_is_told_to_ask_is_answered_as_the_task_expects(
    client: httpx.Client, model: str, address: str
) -> None:
    task = yaml.safe_load(TASK.read_text("utf-8"))
    settings = task["generation_kwargs"]
    rows = (TASK.parent / task["dataset_kwargs"]["data_files"]["test"]).read_text("utf-8")
    for line in rows.splitlines():
        row = json.loads(line)
        text = task["doc_to_text"].replace("{{country}}", row["country"])
        is_chat = "/chat/" in address
        asked = {"messages": [{"role": "user", "content": text}]} if is_chat else {"prompt": [text]}
        sent = {
            **asked,
            "model": model,
            "max_tokens": settings["max_gen_toks"],
            "temperature": settings["temperature"],
            "stop": settings["until"],
            "seed": 1234,
        }
        reply = client.post(urlsplit(address).path, json=sent)
        assert reply.status_code == 200, reply.text
        (choice,) = reply.json()["choices"]
        said = choice["message"]["content"] if is_chat else choice["text"]
        found = re.findall(task["filter_list"][0]["filter"][0]["regex_pattern"], said)
        assert found[0] == row[task["doc_to_target"].strip("{}")]
