"""The embedded backend with the real weights: what each parameter does to a real answer."""

import asyncio
import json
import math

import pytest

from headrace.errors import ContextTooLong, InvalidRequest
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.types import Message
from tests.models.embedded.answer import ask, call
from tests.models.embedded.conftest import Start

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

FRANCE = "What is the capital of France? Answer in one sentence."
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}


async def test_a_chat_is_answered_in_pieces_with_one_usage(backend: EmbeddedBackend) -> None:
    answer = await ask(backend, call(FRANCE, max_tokens=40))
    assert "Paris" in answer.text
    assert answer.pieces > 3
    assert answer.reasons == {0: "stop"}
    assert answer.usage.prompt_tokens == 42
    assert answer.usage.completion_tokens >= answer.pieces


async def test_several_threads_say_what_one_says(
    start: Start, backend: EmbeddedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_THREAD_LIMIT", "2")  # the suite's own limit is one
    several = await start(threads=2)
    asked = call(FRANCE, max_tokens=12, temperature=0)
    assert (await ask(several, asked)).text == (await ask(backend, asked)).text


async def test_a_bare_prompt_is_continued_without_the_chat_template(
    backend: EmbeddedBackend,
) -> None:
    answer = await ask(backend, call("The capital of France is", completion=True, max_tokens=3))
    assert answer.text.startswith(" Paris")
    assert answer.reasons == {0: "length"}
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 3)


@pytest.mark.parametrize("completion", [False, True], ids=["chat", "bare"])
async def test_several_choices_come_apart_and_their_tokens_add_up(
    backend: EmbeddedBackend, completion: bool
) -> None:
    asked = call(
        "Once upon a time",
        n=3,
        temperature=1.5,
        max_tokens=8,
        completion=completion,
        extra={"ignore_eos": True},
    )
    answer = await ask(backend, asked)
    assert sorted(answer.texts) == [0, 1, 2]
    assert len(set(answer.texts.values())) > 1
    assert answer.reasons == {0: "length", 1: "length", 2: "length"}
    assert answer.usage.completion_tokens == 24
    assert answer.usage.prompt_tokens == (4 if completion else 34)


async def test_more_choices_than_sequences_are_refused_with_the_limit(
    backend: EmbeddedBackend,
) -> None:
    with pytest.raises(InvalidRequest, match="1 <= value <= 4, but got 5"):
        await ask(backend, call(FRANCE, n=5))


async def test_a_stop_text_ends_the_answer_and_stays_out_of_it(backend: EmbeddedBackend) -> None:
    answer = await ask(backend, call("Count: 1, 2, 3,", completion=True, stop=["6"], max_tokens=30))
    assert answer.text.strip() == "4, 5,"
    assert answer.reasons == {0: "stop"}


async def test_a_seed_repeats_an_answer_and_another_one_changes_it(
    backend: EmbeddedBackend,
) -> None:
    def told(seed: int) -> object:
        return ask(backend, call("Tell a story.", temperature=1.2, seed=seed, max_tokens=24))

    first, again, other = [await told(seed) for seed in (1, 1, 2)]  # type: ignore[misc]
    assert first.text == again.text
    assert first.text != other.text


@pytest.mark.parametrize("completion", [False, True], ids=["chat", "bare"])
async def test_log_probabilities_belong_to_the_tokens_of_the_text(
    backend: EmbeddedBackend, completion: bool
) -> None:
    asked = call(FRANCE, logprobs=True, top_logprobs=2, max_tokens=6, completion=completion)
    answer = await ask(backend, asked)
    assert "".join(each.token for each in answer.logprobs) == answer.text
    for each in answer.logprobs:
        assert bytes(each.bytes or []).decode() == each.token
        assert -math.inf < each.logprob <= 0
        assert [top.token for top in each.top_logprobs][:1] == [each.token]  # greedy
        assert len(each.top_logprobs) == 2


async def test_a_json_schema_is_kept_to(backend: EmbeddedBackend) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "capital", "schema": CITY}}
    answer = await ask(backend, call(FRANCE, response_format=form, max_tokens=60, temperature=1.5))
    assert list(json.loads(answer.text)) == ["city"]


async def test_a_json_object_is_one(backend: EmbeddedBackend) -> None:
    asked = call(
        "Describe Paris as JSON with the keys name and country.",
        response_format={"type": "json_object"},
        max_tokens=200,
    )
    assert isinstance(json.loads((await ask(backend, asked)).text), dict)


async def test_a_schema_that_is_none_is_refused(backend: EmbeddedBackend) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
    with pytest.raises(InvalidRequest, match="unrecognized type nonsense"):
        await ask(backend, call(FRANCE, response_format=form))


async def test_a_parameter_of_the_wrong_type_is_refused(backend: EmbeddedBackend) -> None:
    with pytest.raises(InvalidRequest, match="temperature"):
        await ask(backend, call(FRANCE, temperature="hot"))


async def test_a_logit_bias_and_unknown_fields_reach_the_runtime(backend: EmbeddedBackend) -> None:
    greedy = await ask(backend, call(FRANCE, max_tokens=1, logprobs=True))
    biased = await ask(backend, call(FRANCE, max_tokens=1, logit_bias={"28": 100.0}))
    assert biased.text == "," != greedy.text
    only = call(FRANCE, max_tokens=4, temperature=2.0, extra={"grammar": 'root ::= "yes"'})
    assert (await ask(backend, only)).text == "yes"


async def test_text_in_chinese_comes_back_as_whole_letters(backend: EmbeddedBackend) -> None:
    only = call("水车", max_tokens=30, extra={"grammar": 'root ::= "水车在河边，转得很慢。😀"'})
    assert (await ask(backend, only)).text == "水车在河边，转得很慢。😀"


async def test_the_second_turn_finds_the_first_one_in_the_cache(backend: EmbeddedBackend) -> None:
    system = Message(role="system", content="You keep a mill. " + "The river is high today. " * 8)
    said = [system, Message(role="user", content="Good morning!")]
    first = await ask(backend, call(said))
    said += [
        Message(role="assistant", content=first.text),
        Message(role="user", content="And tomorrow?"),
    ]
    second = await ask(backend, call(said))
    assert second.usage.cached_tokens >= first.usage.prompt_tokens - 1
    assert second.usage.cached_tokens < second.usage.prompt_tokens


@pytest.mark.parametrize(
    "messages",
    [
        [Message(role="user", content="Hi")],
        [Message(role="system", content="Be brief."), Message(role="user", content="水车 <b>&")],
        [
            Message(role="user", content=[{"type": "text", "text": "a"}]),
            Message(role="assistant", content="b"),
            Message(role="user", content="<|im_start|>system"),
        ],
    ],
    ids=["plain", "system", "parts"],
)
async def test_tokens_are_counted_as_the_model_sees_them(
    backend: EmbeddedBackend, messages: list[Message]
) -> None:
    answer = await ask(backend, call(messages, max_tokens=1))
    assert await backend.count_tokens(messages) == answer.usage.prompt_tokens
    bound = backend.token_upper_bound(messages)
    assert bound is None or bound >= answer.usage.prompt_tokens


async def test_a_prompt_that_does_not_fit_is_counted_and_the_limit_named(
    backend: EmbeddedBackend,
) -> None:
    with pytest.raises(ContextTooLong) as caught:
        await ask(backend, call("x " * 3000))
    assert "maximum context length is 1024 tokens" in caught.value.message
    assert "come to 3031 tokens (smol)" in caught.value.message


async def test_an_answer_that_reaches_the_end_of_the_context_ends_there(start: Start) -> None:
    small = await start(context_tokens=256, parallel=1)
    assert small.context_tokens == 256
    answer = await ask(small, call("x " * 200, max_tokens=200, extra={"ignore_eos": True}))
    assert answer.reasons == {0: "length"}
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens in (256, 257)


async def test_embeddings_keep_the_order_of_their_inputs(backend: EmbeddedBackend) -> None:
    texts = ["A cat sleeps.", "The engine of the ship failed.", "A cat is sleeping."]
    made = await backend.embed(texts)
    assert [len(vector) for vector in made.vectors] == [576] * 3
    assert made.usage.prompt_tokens > 0
    cat, ship, cats = made.vectors
    assert cosine(cat, cats) > cosine(cat, ship)


async def test_an_embedding_does_not_depend_on_what_is_embedded_with_it(
    backend: EmbeddedBackend,
) -> None:
    texts = ["A cat sleeps.", "The engine of the ship failed.", "水车"]
    alone = [(await backend.embed([text])).vectors[0] for text in texts]
    together = (await backend.embed(texts)).vectors
    at_once = await asyncio.gather(*(backend.embed([text]) for text in texts))
    for one, other, third in zip(alone, together, at_once, strict=True):
        assert cosine(one, other) == pytest.approx(1.0, abs=1e-3)
        assert cosine(one, third.vectors[0]) == pytest.approx(1.0, abs=1e-3)


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_a_text_too_long_to_embed_is_counted_and_the_limit_named(
    backend: EmbeddedBackend,
) -> None:
    with pytest.raises(ContextTooLong, match=r"an input of 901 tokens .* takes 512 at once"):
        await backend.embed(["x " * 900])


async def test_streams_take_turns_instead_of_queueing(backend: EmbeddedBackend) -> None:
    arrivals: list[int] = []

    async def listen(number: int) -> None:
        asked = call(f"Tell story {number}.", max_tokens=12, extra={"ignore_eos": True})
        async for delta in backend.generate(asked):
            if delta.text:
                arrivals.append(number)

    await asyncio.gather(*(listen(number) for number in range(4)))
    last_first = max(arrivals.index(number) for number in range(4))
    first_last = min(len(arrivals) - 1 - arrivals[::-1].index(number) for number in range(4))
    assert last_first < first_last


async def test_more_streams_than_sequences_are_all_served(backend: EmbeddedBackend) -> None:
    answers = await asyncio.gather(
        *(ask(backend, call(f"Say {number}.", max_tokens=4)) for number in range(20))
    )
    assert all(answer.usage.completion_tokens for answer in answers)


async def test_tokens_are_counted_while_every_sequence_is_busy(backend: EmbeddedBackend) -> None:
    long = call("Tell a story.", max_tokens=400, extra={"ignore_eos": True})
    busy = [asyncio.create_task(ask(backend, long)) for _ in range(12)]
    try:
        await asyncio.sleep(0)
        await backend.count_tokens([Message(role="user", content="How long am I?")])
        assert not any(task.done() for task in busy)
    finally:
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
