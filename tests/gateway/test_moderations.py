"""`/v1/moderations` through OpenAI's own SDK, and what it refuses."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import openai
import pytest
from openai.types import ModerationImageURLInputParam, ModerationTextInputParam

from headrace.access.principal import Principal
from headrace.gateway.app import Gateway
from headrace.gateway.http import Exchange
from headrace.gateway.inner import InnerGateway
from headrace.gateway.moderations import MOST_CHARACTERS, MOST_INPUTS
from headrace.screening.content.kind import CATEGORIES
from headrace.server.boot import open_platform
from tests.running import ServiceProcess

ELSEWHERE = """\
models:
  far: {deployments: [{backend: openai_compatible, base_url: 'http://127.0.0.1:9/v1', model: x}]}
pipeline:
  - generate
"""


@pytest.fixture
def client(scripted: ServiceProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{scripted.url}/v1", api_key=scripted.key, max_retries=0) as made:
        yield made


def test_a_text_is_judged_in_openais_shape(client: openai.OpenAI) -> None:
    made = client.moderations.create(input="I'm going to kill you and your whole family.")
    (result,) = made.results
    assert made.id.startswith("modr-")
    assert result.flagged
    assert result.categories.harassment_threatening
    assert result.category_scores.harassment_threatening > 0.8
    assert not result.categories.sexual_minors
    assert result.category_applied_input_types.violence == ["text"]
    scores = result.category_scores.model_dump(by_alias=True)
    assert set(scores) == {*CATEGORIES}


def test_several_texts_have_a_result_each_in_order(client: openai.OpenAI) -> None:
    texts = ["Preheat the oven to 180 degrees.", "怎么制作炸弹", "See you on Monday."]
    made = client.moderations.create(input=texts, model="omni-moderation-latest")
    assert [each.flagged for each in made.results] == [False, True, False]
    assert made.results[1].categories.illicit_violent


def test_parts_are_one_input(client: openai.OpenAI) -> None:
    made = client.moderations.create(
        input=[
            ModerationTextInputParam(type="text", text=each)
            for each in ("A walk in the park.", "我不想活了")
        ]
    )
    (result,) = made.results
    assert result.categories.self_harm_intent


def test_a_long_text_is_judged_whole(client: openai.OpenAI) -> None:
    text = "The wheel turns in the water. " * 2000 + "All Muslims are vermin."
    assert client.moderations.create(input=text).results[0].categories.hate


def test_a_picture_is_refused_and_not_passed_over(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="judges texts") as refused:
        client.moderations.create(
            input=[
                ModerationImageURLInputParam(
                    type="image_url", image_url={"url": "data:image/png;base64,AA=="}
                )
            ]
        )
    assert refused.value.param == "input[0]"


@pytest.mark.parametrize("given", [[], ["a"] * 257])
def test_too_few_and_too_many_inputs_are_refused(client: openai.OpenAI, given: list[str]) -> None:
    with pytest.raises(openai.BadRequestError, match="allowed: 1 to 256"):
        client.moderations.create(input=given)


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-none"):
        client.moderations.create(input="hello", model="gpt-none")


def test_a_model_that_answers_chats_alone_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'scripted' judges no texts"):
        client.moderations.create(input="hello", model="scripted")


@pytest.mark.parametrize("given", ["a" * (MOST_CHARACTERS + 1), ["a" * MOST_CHARACTERS, "b"]])
def test_more_characters_than_a_second_s_work_are_refused(
    client: openai.OpenAI, given: str | list[str]
) -> None:
    with pytest.raises(openai.BadRequestError, match="allowed: 1,048,576") as refused:
        client.moderations.create(input=given)
    assert refused.value.param == "input"


FORWARDING = """\
models:
  chat: {{deployments: [{{backend: openai_compatible, base_url: 'http://127.0.0.1:9/v1', model: x}}]}}
  guard:
    deployments:
      - {{backend: openai_compatible, base_url: '{url}/v1', api_key: '{key}', model: {model}}}
  omni-moderation-2024-09-26:
    deployments:
      - {{backend: openai_compatible, base_url: '{url}/v1', api_key: '{key}', model: headrace-moderation}}
pipeline:
  - generate
"""


async def asked_through(
    root: Path, scripted: ServiceProcess, body: object, *, model: str = "omni-moderation-latest"
) -> tuple[int, dict[str, Any]]:
    """What a service says whose model `guard` is another service's, over HTTP."""
    text = FORWARDING.format(url=scripted.url, key=scripted.key, model=model)
    (root / "headrace.yaml").write_text(text)
    async with open_platform(root, {"HEADRACE_HOME": str(root / "home")}) as platform:
        answer = InnerGateway(Gateway(platform, _no_pages))
        alice = Principal(key_id="key", name="key", role="user")
        reply = await answer(alice, "/v1/moderations", msgspec.json.encode(body))
        return reply.status, msgspec.json.decode(reply.body, type=dict[str, Any])


@pytest.mark.parametrize("name", ["guard", "omni-moderation-2024-09-26"])
async def test_a_model_of_the_service_judges_where_it_is_named(
    tmp_path: Path, scripted: ServiceProcess, name: str
) -> None:
    body = {"model": name, "input": ["See you on Monday.", "怎么制作炸弹"]}
    status, said = await asked_through(tmp_path, scripted, body)
    assert (status, said["model"]) == (200, name)
    assert [each["flagged"] for each in said["results"]] == [False, True]
    assert said["results"][1]["category_applied_input_types"]["illicit"] == ["text"]


async def test_without_a_name_nothing_is_sent_to_it(
    tmp_path: Path, scripted: ServiceProcess
) -> None:
    status, said = await asked_through(tmp_path, scripted, {"input": "hello"}, model="none")
    assert (status, said["model"].rpartition("-")[0]) == (200, "headrace-moderation")


async def test_a_picture_goes_to_a_model_and_its_refusal_comes_back(
    tmp_path: Path, scripted: ServiceProcess
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    status, said = await asked_through(tmp_path, scripted, {"model": "guard", "input": [picture]})
    assert (status, said["error"]["param"]) == (400, "input[0]")
    assert "not 'image_url' parts" in said["error"]["message"]


async def test_a_model_that_is_down_is_no_verdict(tmp_path: Path, scripted: ServiceProcess) -> None:
    status, said = await asked_through(tmp_path, scripted, {"model": "chat", "input": "hello"})
    assert (status, said["error"]["code"]) == (503, "model_unavailable")


async def _no_pages(exchange: Exchange) -> NoReturn:
    raise AssertionError(exchange.path)


async def test_others_are_answered_while_many_texts_are_judged(tmp_path: Path) -> None:
    ended: list[object] = []
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    (tmp_path / "headrace.yaml").write_text(ELSEWHERE)
    environ = {"HEADRACE_HOME": str(tmp_path / "home")}
    async with open_platform(tmp_path, environ) as platform:
        answer = InnerGateway(Gateway(platform, _no_pages))
        principal = Principal(key_id="key", name="key", role="user")

        async def ask(given: str | list[str]) -> int:
            """Gives the event loop's turns meanwhile."""
            before = turns
            body = msgspec.json.encode({"input": given})
            reply = await answer(principal, "/v1/moderations", body)
            assert reply.status == 200
            ended.append(given)
            return turns - before

        await ask("The first one loads the detectors.")
        many = ["Good morning."] * MOST_INPUTS
        await asyncio.gather(ask(many), ask("See you on Monday."))
        assert ended[1:] == ["See you on Monday.", many]
        turning = asyncio.create_task(turn())
        short = await ask("早上好")
        assert await ask("Good morning. " * 200) == short
        # As long as that in time, four times over: judged beside the event loop.
        assert await ask("早上好。" * 700) > short
        turning.cancel()
