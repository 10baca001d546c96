"""What a server of OpenAI's says about texts: asked in its words, and read as it comes."""

import pytest

from headrace.errors import ModelUnavailable
from headrace.models.backend import ModerationInput
from tests.models.openai.conftest import Serve
from tests.upstreams.openai import MODEL
from tests.upstreams.server import Server, json_answer

RESULT = {
    "flagged": True,
    "categories": {"violence": True, "illicit": None},
    "category_scores": {"violence": 0.91, "illicit": None},
    "category_applied_input_types": {"violence": ["text", "image"]},
}


@pytest.mark.parametrize(
    "given",
    [
        "a text",
        ["one", "two"],
        [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}],
    ],
)
async def test_the_input_goes_as_it_came_and_the_verdict_comes_whole(
    upstream: Server, serve: Serve, given: ModerationInput
) -> None:
    upstream.script(json_answer({"id": "modr-1", "model": "omni", "results": [RESULT]}))
    assert await (await serve()).moderate(given) == [RESULT]
    (asked,) = upstream.asked
    assert (asked.method, asked.path) == ("POST", "/v1/moderations")
    assert asked.json() == {"model": MODEL, "input": given}


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": []},
        {"results": [{"flagged": "yes"}]},
        {"results": [{"flagged": True, "categories": ["violence"], "category_scores": {}}]},
    ],
)
async def test_what_is_no_verdict_is_a_fault(
    upstream: Server, serve: Serve, body: dict[str, object]
) -> None:
    upstream.script(json_answer(body))
    with pytest.raises(ModelUnavailable, match="unreadable"):
        await (await serve()).moderate("a text")
