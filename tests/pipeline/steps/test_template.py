"""The step `template`: what it does to a turn, its messages and its answer."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from headrace.access.principal import Principal
from headrace.config.load import load_service
from headrace.errors import ConfigError, ContextTooLong, InvalidRequest, NotFound
from headrace.models.backend import Call
from headrace.models.box import ModelBox
from headrace.pipeline.step import BuildContext
from headrace.pipeline.steps.template import TemplateSettings, TemplateStep
from headrace.pipeline.turn import Turn, TurnKind
from headrace.prompts.library import PromptLibrary
from headrace.types import Delta, Message, Params

SHOP = """
variables: {shop: {default: the shop}, tone: {type: enum, choices: [warm, cool], default: warm}}
messages:
  system:
    zh: 你为{{ shop }}工作。
    default: You work for {{ shop }}, {{ tone }}.
params: {temperature: 0.1, stop: ["##"]}
"""
LONG = "requires: {context_tokens: 100000}"


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "shop.yaml").write_text(SHOP, encoding="utf-8")
    (prompts / "long.yaml").write_text(LONG, encoding="utf-8")
    config = load_service(tmp_path, os.environ)
    return BuildContext(
        root=tmp_path,
        before_generate=True,
        models=ModelBox.build(config, tmp_path, {}),
        prompts=PromptLibrary.load(tmp_path, {}),
        policies=None,  # type: ignore[arg-type]  # this step reads neither
        conversations=None,  # type: ignore[arg-type]
    )


def step_of(context: BuildContext, **settings: object) -> TemplateStep:
    return TemplateStep.build(msgspec.convert(settings, TemplateSettings), context)


def turn_of(
    *texts: str,
    kind: TurnKind = "chat",
    template: str | None = None,
    language: str | None = None,
    params: Params | None = None,
    **variables: object,
) -> Turn:
    return Turn(
        principal=Principal(key_id="k1", name="test", role="user"),
        messages=[Message(role="user", content=text) for text in texts or ("Hi",)],
        kind=kind,
        template=template,
        language=language,
        params=params or Params(),
        variables=variables,
    )


async def system_of(step: TemplateStep, turn: Turn) -> str:
    await step.prepare(turn)
    assert turn.messages[0].role == "system"
    return turn.messages[0].text()


async def test_the_services_template_is_used_unless_the_request_names_another(
    context: BuildContext,
) -> None:
    step = step_of(context, name="shop", variables={"shop": "Acme"})
    assert await system_of(step, turn_of()) == "You work for Acme, warm."
    assert "helpful" in await system_of(step, turn_of(template="assistant"))


async def test_a_requests_variables_win_over_the_services(context: BuildContext) -> None:
    step = step_of(context, name="shop", variables={"shop": "Acme"})
    turn = turn_of(shop="{{ tone }} & Co", tone="cool")
    assert await system_of(step, turn) == "You work for {{ tone }} & Co, cool."


async def test_the_turn_says_which_version_was_used_and_no_text(context: BuildContext) -> None:
    turn = turn_of(shop="Secret & Sons", language="zh")
    await step_of(context, name="shop").prepare(turn)
    template = context.prompts.get("shop")
    assert turn.trace.template == template.version
    assert turn.template_params == Params(temperature=0.1, stop=["##"])
    assert turn.state["template"] == {
        "name": "shop",
        "digest": template.digest,
        "language": "zh",
        "variables": 1,
        "examples": 0,
        "reasoning": "none",
        "ahead": 1,
    }


async def test_the_turn_says_where_the_conversation_begins(context: BuildContext) -> None:
    turn = turn_of(template="step_by_step", language="en")
    turn.messages.insert(0, Message(role="system", content="Short."))
    await step_of(context).prepare(turn)
    said = turn.state["template"]
    assert isinstance(said, dict)
    assert said["ahead"] == 5
    assert turn.messages[5:] == [Message(role="user", content="Hi")]


async def test_a_bare_completion_gets_no_words(context: BuildContext) -> None:
    turn = turn_of("Once upon", kind="completion", template="nothing", shop="x")
    step = step_of(context, name="shop")
    await step.prepare(turn)
    assert [each.text() for each in turn.messages] == ["Once upon"]
    assert (turn.trace.template, turn.state) == ("", {})
    deltas = words()
    assert step.transform(turn, deltas) is deltas
    await deltas.aclose()


async def test_an_unknown_template_or_variable_names_the_nearest(context: BuildContext) -> None:
    step = step_of(context)
    with pytest.raises(NotFound) as missing:
        await step.prepare(turn_of(template="shopp"))
    assert missing.value.hint == "did you mean 'shop'?"
    with pytest.raises(InvalidRequest) as unknown:
        await step.prepare(turn_of(template="shop", tonne="warm"))
    assert unknown.value.hint == "did you mean 'tone'?"


async def test_a_model_that_is_too_small_is_refused_with_both_numbers(
    context: BuildContext,
) -> None:
    with pytest.raises(InvalidRequest, match=r"100000 tokens.*'smollm2-135m' has 4096"):
        await step_of(context).prepare(turn_of(template="long"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "shpo"}, "no prompt template 'shpo'"),
        ({"variables": {"shpo": "x"}}, "no prompt template has a variable 'shpo'"),
        ({"variables": {"tone": "hot"}}, "'tone' must be one of warm, cool"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_built(
    context: BuildContext, settings: dict[str, object], message: str
) -> None:
    with pytest.raises((InvalidRequest, NotFound), match=message):
        step_of(context, **settings)


def test_a_change_of_any_template_that_can_be_chosen_changes_the_release(
    context: BuildContext,
) -> None:
    before = step_of(context, name="assistant").digest_inputs()
    path = context.root / "prompts" / "shop.yaml"
    path.write_text(SHOP.replace("work for", "speak for"), encoding="utf-8")
    after = TemplateStep(
        TemplateSettings(), PromptLibrary.load(context.root, {}), context.models
    ).digest_inputs()
    assert before != after


async def test_the_words_stay_the_same_from_turn_to_turn(context: BuildContext) -> None:
    step = step_of(context, name="shop")
    chat = ["你们的水车什么时候转？", "早上八点。", "ok"]
    first = await system_of(step, turn_of(chat[0], language="zh"))
    later = turn_of(*chat[::2])
    assert later.language is None
    assert await system_of(step, later) == first == "你为the shop工作。"


async def test_today_comes_from_the_clock_in_utc(context: BuildContext) -> None:
    (context.root / "prompts" / "dated.yaml").write_text("messages: {system: '{{ today }}'}")
    step = TemplateStep(
        TemplateSettings(name="dated"),
        PromptLibrary.load(context.root, {}),
        context.models,
        clock=lambda: datetime(2031, 2, 3, 23, 59, tzinfo=UTC),
    )
    assert await system_of(step, turn_of()) == "2031-02-03"


async def words(*texts: str) -> AsyncGenerator[Delta, None]:
    for text in texts:
        yield Delta(text=text)
    yield Delta(finish_reason="stop")


async def test_a_hidden_thought_is_kept_apart_and_the_span_says_so(context: BuildContext) -> None:
    turn, step = turn_of(template="step_by_step", language="en"), step_of(context)
    with turn.trace.span("template") as span:
        await step.prepare(turn)
    answer = words("3 + 4 ", "is 7.\nFin", "al answer", ": ", "7")
    deltas = [each async for each in step.transform(turn, answer)]
    assert "".join(each.reasoning for each in deltas) == "3 + 4 is 7.\n"
    assert "".join(each.text for each in deltas) == "7"
    assert span.attributes["headrace.template.answer"] == "marked"


async def test_a_request_for_json_gets_no_thought(context: BuildContext) -> None:
    wanted = Params(response_format={"type": "json_object"})
    turn = turn_of(template="step_by_step", language="en", params=wanted)
    step = step_of(context)
    assert "Final answer" not in await system_of(step, turn)
    deltas = words("{}")
    assert step.transform(turn, deltas) is deltas
    await deltas.aclose()


@pytest.mark.model
async def test_the_real_model_thinks_first_and_the_reader_gets_the_answer(
    context: BuildContext, model_home: Path
) -> None:
    config = load_service(context.root, os.environ)
    box = ModelBox.build(config, model_home, {})
    turn = turn_of("Tom has 3 apples and buys 4 more. How many are there?", language="en")
    turn.template = "step_by_step"
    step = step_of(context)
    await step.prepare(turn)
    params = Params(temperature=0, max_tokens=120, seed=1)
    await asyncio.wait_for(box.start(), 60)
    try:
        call = Call(messages=turn.messages, params=params)
        upstream = box.get(None).ask(call).deltas(lambda _: call)
        async with aclosing(step.transform(turn, upstream)) as deltas:
            got = [each async for each in deltas]
    finally:
        await box.stop()
    text = "".join(each.text for each in got)
    thought = "".join(each.reasoning for each in got)
    assert "7" in text
    assert "3 + 4" in thought
    assert "Final answer" not in text + thought


TWO_MODELS = """
models:
  short:
    deployments:
      - {backend: embedded, weights: "file:a.gguf", context_tokens: 512}
  long:
    deployments:
      - {backend: embedded, weights: "file:b.gguf", context_tokens: 8192}
routes:
  either: {models: [short, long]}
pipeline: [generate]
"""


@pytest.fixture
def two(context: BuildContext) -> BuildContext:
    """The same with two models and a route over both."""
    (context.root / "headrace.yaml").write_text(TWO_MODELS)
    (context.root / "prompts" / "wide.yaml").write_text("requires: {context_tokens: 4000}")
    (context.root / "prompts" / "seeing.yaml").write_text("requires: {tasks: [vision]}")
    config = load_service(context.root, os.environ)
    return replace(
        context,
        models=ModelBox.build(config, context.root, {}),
        prompts=PromptLibrary.load(context.root, {}),
    )


async def test_a_request_that_names_no_model_gets_one_that_meets_the_template(
    two: BuildContext,
) -> None:
    step = step_of(two)
    assert step.model_for(turn_of(template="wide"), "short") == "long"
    assert step.model_for(turn_of(template="shop"), "short") is None
    assert step.model_for(turn_of(template="seeing"), "short") is None
    assert step.model_for(turn_of(template="nothing"), "short") is None


async def test_a_model_without_what_the_template_requires_is_refused_with_the_reason(
    two: BuildContext,
) -> None:
    turn = turn_of(template="seeing")
    turn.model = "long"
    with pytest.raises(InvalidRequest, match=r"'seeing' cannot be used with the model 'long'"):
        await step_of(two).prepare(turn)


async def test_a_task_that_does_not_exist_is_refused_when_built(two: BuildContext) -> None:
    (two.root / "prompts" / "odd.yaml").write_text("requires: {tasks: [flying]}")
    context = replace(two, prompts=PromptLibrary.load(two.root, {}))
    with pytest.raises(ConfigError, match=r"'odd': requires.tasks"):
        step_of(context)


def test_a_route_narrows_to_the_models_that_may_answer(two: BuildContext) -> None:
    route = two.models.get("either")
    assert [each.name for each in route.among({"long"}).order()] == ["long"]
    assert route.among(None) is route
    assert route.among({"short", "long"}) is route


async def test_examples_that_exceed_the_context_are_the_templates_fault(
    two: BuildContext,
) -> None:
    rows = "".join(f'{{"prompt": "q{n}", "completion": "{"word " * 400}"}}\n' for n in range(8))
    (two.root / "data").mkdir()
    (two.root / "data" / "long.jsonl").write_text(rows)
    (two.root / "prompts" / "many.yaml").write_text("examples: {from: data/long.jsonl}")
    context = replace(two, prompts=PromptLibrary.load(two.root, {}))
    turn = turn_of(template="many")
    turn.model = "short"
    with pytest.raises(ContextTooLong, match=r"examples of the template 'many'.*512") as caught:
        await step_of(context).prepare(turn)
    assert "max_tokens" in caught.value.hint
