"""A server nobody here wrote, with real weights, through the preset for it.

Not covered: tools; the small model's own template knows none, so llama.cpp offers none.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.errors import ContextTooLong
from headrace.models.openai import backend as backends
from headrace.models.openai.backend import CompatibleBackend, CompatibleSettings
from headrace.types import Message
from tests.models.reading import ask, collect, finish_of, text_of, usage_of
from tests.upstreams.llama_cpp import CONTEXT_TOKENS, serving_llama

pytestmark = pytest.mark.model

NUMBER: dict[str, object] = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
}


@pytest.fixture(scope="module")
def address(weights_folder: Path) -> Iterator[str]:
    (weights,) = weights_folder.glob("sha256-b179*/*.gguf")
    with serving_llama(weights) as address:
        yield address


@pytest.fixture
async def llama(address: str, tmp_path: Path) -> AsyncIterator[CompatibleBackend]:
    settings = CompatibleSettings(model="smollm2", base_url=address)
    made: CompatibleBackend = backends.llama_cpp(settings, name="a", root=tmp_path, home=tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_a_chat_says_the_same_whole_and_streamed(llama: CompatibleBackend) -> None:
    streamed = await collect(llama, ask(temperature=0.0, max_tokens=6))
    whole = await collect(llama, ask(temperature=0.0, max_tokens=6, stream=False))
    assert text_of(streamed) == text_of(whole) != ""
    assert finish_of(streamed) == finish_of(whole)
    assert usage_of(streamed).completion_tokens == usage_of(whole).completion_tokens > 0
    assert len(streamed) > len(whole)


async def test_two_choices_count_their_prompt_once(llama: CompatibleBackend) -> None:
    one = usage_of(await collect(llama, ask(temperature=0.0, max_tokens=4)))
    two = await collect(llama, ask(n=2, temperature=0.0, max_tokens=4))
    assert finish_of(two).keys() == {0, 1}
    assert usage_of(two).prompt_tokens == one.prompt_tokens
    assert usage_of(two).completion_tokens == 2 * one.completion_tokens


async def test_tokens_come_with_their_probabilities(llama: CompatibleBackend) -> None:
    deltas = await collect(llama, ask(temperature=0.0, max_tokens=3, logprobs=True, top_logprobs=2))
    tokens = [token for each in deltas for token in each.logprobs or ()]
    assert "".join(token.token for token in tokens) == text_of(deltas)
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in tokens)


async def test_a_bare_prompt_is_continued(llama: CompatibleBackend) -> None:
    call = ask(Message("user", "one, two, three,"), completion=True, max_tokens=4, temperature=0.0)
    assert "four" in text_of(await collect(llama, call))


async def test_an_answer_keeps_to_its_schema(llama: CompatibleBackend) -> None:
    form: dict[str, object] = {
        "type": "json_schema",
        "json_schema": {"name": "number", "schema": NUMBER},
    }
    deltas = await collect(llama, ask(response_format=form, max_tokens=24, temperature=0.0))
    assert isinstance(msgspec.json.decode(text_of(deltas))["number"], int)


async def test_vectors_and_the_model_are_given(llama: CompatibleBackend) -> None:
    made = await llama.embed(["water wheel", "mill"])
    assert [len(each) for each in made.vectors] == [576, 576]
    (listed,) = await llama.listed()
    assert listed.context_tokens


async def test_a_prompt_that_is_too_long_is_counted(llama: CompatibleBackend) -> None:
    with pytest.raises(ContextTooLong, match=f"maximum context length is {CONTEXT_TOKENS}"):
        await collect(llama, ask(Message("user", "water " * 2000)))
