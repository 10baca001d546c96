"""The pages of workflows, without a browser: the graph, and a run that a person decides."""

from collections.abc import Iterator

import pytest
from hypothesis import given

from headrace.console.graph import Graph
from tests.console.test_markup import Document
from tests.console.visitor import Visitor, make_key
from tests.running import ServiceProcess, wait_for
from tests.workflows.graph import graphs

ASK = """\
description: 问一个人 <b>
variables: {word: hello}
steps:
  first: {operation: run, parameters: {command: [echo, "{{ vars.word }}"]}}
  ask: {operation: approve, needs: [first], parameters: {message: "Shall <i>we</i>?"}}
  last: {operation: run, needs: [ask], parameters: {command: ["true"]}}
"""


@pytest.fixture
def admin(prompt_service: ServiceProcess) -> Iterator[Visitor]:
    folder = prompt_service.log.parent / "workflows"
    folder.mkdir(exist_ok=True)
    (folder / "ask.yaml").write_text(ASK, encoding="utf-8")
    visitor = Visitor.of(prompt_service, address="127.0.0.1")
    visitor.sign_in(prompt_service.key)
    yield visitor
    visitor.client.close()


@pytest.mark.service
@pytest.mark.model
def test_a_run_is_made_watched_and_decided_on_the_page(
    admin: Visitor, prompt_service: ServiceProcess
) -> None:
    listed = admin.get("/workflows")
    Document(listed.text)
    for name in ("ask", "improve", "retention", "问一个人 &lt;b&gt;"):
        assert name in listed.text
    page = admin.get("/workflows/ask")
    Document(page.text)
    assert page.text.count("<rect") == 3
    made = admin.post("/workflows/ask/run", {"var-word": "你好"})
    assert made.status_code == 303
    run = made.headers["location"]
    wait_for(lambda: 'value="approve"' in admin.get(run).text)
    waiting = admin.get(run)
    Document(waiting.text)
    assert "Shall &lt;i&gt;we&lt;/i&gt;?" in waiting.text
    assert 'class="step waiting"' in waiting.text
    assert "等待中" in admin.get(run, accept_language="zh").text
    decided = admin.post(run, {"do": "approve", "step": "ask", "why": "it is time"})
    assert decided.status_code == 303
    wait_for(lambda: 'http-equiv="refresh"' not in admin.get(run).text)
    ended = admin.get(run)
    assert ended.text.count('class="step succeeded"') == 3
    assert "why=it is time" in ended.text
    again = admin.post(run, {"do": "resume"})
    assert again.status_code == 409
    _, secret = make_key(prompt_service, "reader")
    reader = Visitor.of(prompt_service, address="127.0.0.1")
    reader.sign_in(secret)
    assert {reader.get(each).status_code for each in ("/workflows", run)} == {403}
    reader.client.close()


@given(needs=graphs())
def test_no_box_lies_over_another_and_all_lie_within_the_drawing(
    needs: dict[str, list[str]],
) -> None:
    graph = Graph.of(needs, dict.fromkeys(needs, "run"), {})
    assert sorted(box.name for box in graph.boxes) == sorted(needs)
    for box in graph.boxes:
        assert box.x >= 0
        assert box.x + box.width <= graph.width
        assert box.y + box.height <= graph.height
        for other in graph.boxes:
            if other.name > box.name and other.y == box.y:
                assert box.x + box.width < other.x or other.x + other.width < box.x
