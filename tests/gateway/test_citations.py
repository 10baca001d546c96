"""Citations as unmodified clients of the three APIs get them, whole and streamed."""

import os
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from headrace.types import Delta
from tests.gateway.scripted import script
from tests.running import ServiceProcess

REPOSITORY = Path(__file__).parents[2]
SERVICE = """\
name: cites
models:
  scripted: {deployments: [{backend: scripted}]}
pipeline:
  - cites
  - generate
  - check: {checks: [], grounded: {on_unsupported: annotate}}
"""
SAID = "Employees receive 25 days of paid leave [1]. Trains are booked in class 2 [2]."
SCRIPT = script(
    *(Delta(text=SAID[at : at + 5]) for at in range(0, len(SAID), 5)),
    Delta(finish_reason="stop"),
)


@pytest.fixture(scope="module")
def cites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service whose model is scripted and whose passages are known."""
    site = tmp_path_factory.mktemp("cites-site")
    package = site / "cites-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: cites\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[headrace.backends]\nscripted = tests.gateway.scripted:ScriptedBackend\n"
        "[headrace.steps]\ncites = tests.gateway.cites:CitesStep\n"
    )
    root = tmp_path_factory.mktemp("cites")
    (root / "headrace.yaml").write_text(SERVICE)
    home = root / "home"
    home.mkdir(mode=0o700)
    path = os.pathsep.join((str(site), str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
    running = ServiceProcess.start(root, home, environ={"PYTHONPATH": path})
    yield running
    running.stop()


@pytest.fixture
def client(cites: ServiceProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{cites.url}/v1", api_key=cites.key)


def test_chat_completions_carry_url_citations(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": SCRIPT}]
    )
    message = answer.choices[0].message
    assert message.content == SAID
    kinds = [each.type for each in message.annotations or ()]
    assert kinds.count("url_citation") == 2
    cited = [each for each in message.annotations or () if each.type == "url_citation"]
    first, second = (each.url_citation for each in cited)
    assert SAID[first.start_index : first.end_index] == "[1]"
    assert (first.url, first.title) == ("handbook/leave.md", "Handbook")
    assert second.url == "https://example.org/travel"
    extra = (cited[0].model_extra or {})["passage"]
    assert extra == {
        "id": "leave", "number": 1, "uri": "handbook/leave.md", "title": "Handbook",
        "headings": ["Leave", "Paid leave"], "page": None, "start": 120, "end": 188,
    }  # fmt: skip


def test_groundedness_stands_beside_the_citations(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": SCRIPT}]
    )
    raw = answer.model_dump()["choices"][0]["message"]["annotations"]
    found = [each["groundedness"] for each in raw if each["type"] == "groundedness"]
    assert [each["supported"] for each in found] == [True, True]
    assert [each["passage_id"] for each in found] == ["leave", "travel"]
    assert SAID[: found[0]["end_index"]] == "Employees receive 25 days of paid leave [1]."


def test_a_streamed_chat_carries_them_on_its_deltas(client: openai.OpenAI) -> None:
    text, annotations = "", []
    with client.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": SCRIPT}], stream=True
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                annotations += (choice.delta.model_extra or {}).get("annotations", [])
    assert text == SAID
    spans = [each["url_citation"] for each in annotations if each["type"] == "url_citation"]
    assert [text[each["start_index"] : each["end_index"]] for each in spans] == ["[1]", "[2]"]


def test_responses_carry_file_and_url_citations(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="scripted", input=SCRIPT)
    item = answer.output[-1]
    assert item.type == "message"
    part = item.content[0]
    assert part.type == "output_text"
    file, url = (
        each for each in part.annotations if each.type in ("file_citation", "url_citation")
    )
    assert file.type == "file_citation"
    assert (file.filename, file.file_id, SAID[file.index :][:3]) == (
        "handbook/leave.md", "leave", "[1]",
    )  # fmt: skip
    assert url.type == "url_citation"
    assert SAID[url.start_index : url.end_index] == "[2]"


def test_a_streamed_response_tells_of_each_and_holds_them_at_the_end(
    client: openai.OpenAI,
) -> None:
    added, done = [], None
    with client.responses.create(model="scripted", input=SCRIPT, stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.annotation.added":
                added.append(event.annotation)
            if event.type == "response.completed":
                done = event.response
    assert done is not None
    item = done.output[-1]
    assert item.type == "message"
    part = item.content[0]
    assert part.type == "output_text"
    assert len(part.annotations) == len(added) == 4


def test_messages_carry_search_result_locations(cites: ServiceProcess) -> None:
    client = anthropic.Anthropic(base_url=cites.url, api_key=cites.key)
    asked: list[anthropic.types.MessageParam] = [{"role": "user", "content": SCRIPT}]
    message = client.messages.create(model="scripted", max_tokens=100, messages=asked)
    block = message.content[0]
    assert block.type == "text"
    locations = [each for each in block.citations or () if each.type == "search_result_location"]
    assert [(each.source, each.search_result_index) for each in locations] == [
        ("handbook/leave.md", 0),
        ("https://example.org/travel", 1),
    ]
    assert locations[0].cited_text.startswith("Full-time employees")
    with client.messages.stream(model="scripted", max_tokens=100, messages=asked) as stream:
        final = stream.get_final_message()
    streamed = final.content[0]
    assert streamed.type == "text"
    assert len(streamed.citations or ()) == 2
