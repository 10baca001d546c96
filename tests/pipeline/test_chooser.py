"""The choice of a template by the step `template`, with the real embedding model."""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from headrace.access.principal import Principal
from headrace.config.load import load_service
from headrace.errors import HeadraceError
from headrace.models.box import ModelBox
from headrace.pipeline.step import BuildContext
from headrace.pipeline.steps.template import TemplateSettings, TemplateStep
from headrace.pipeline.turn import Turn
from headrace.prompts.library import PromptLibrary
from headrace.server.boot import open_platform
from headrace.types import Message, Params

in_module = pytest.mark.asyncio(loop_scope="module")

WINE = """
scenario:
  asks:
    - Which wine goes with fish?
    - Recommend a red wine under ten euros.
    - How long can I keep an open bottle of Riesling?
    - 吃鱼配什么葡萄酒？
messages: {system: You know wine.}
"""
FORM = "variables: {form: {}}\nscenario: {asks: [Which wine goes with fish and meat?]}\n"
FAQ = """
examples:
  choose: nearest
  most: 1
  entries:
    - {user: How do I reset my password?, assistant: Click the link.}
    - {user: Where is my parcel?, assistant: On its way.}
    - {user: 我的包裹在哪里？, assistant: 在路上。, language: zh}
    - {user: 怎么重置密码？, assistant: 点击链接。, language: zh}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def context(
    tmp_path_factory: pytest.TempPathFactory, multilingual_folder: Path
) -> AsyncIterator[BuildContext]:
    root = tmp_path_factory.mktemp("chooser")
    (root / "models").symlink_to(multilingual_folder)
    (root / "prompts").mkdir()
    (root / "prompts" / "wine.yaml").write_text(WINE, encoding="utf-8")
    (root / "prompts" / "form.yaml").write_text(FORM, encoding="utf-8")
    (root / "prompts" / "faq.yaml").write_text(FAQ, encoding="utf-8")
    models = ModelBox.build(load_service(root, os.environ), root, {})
    yield BuildContext(
        root=root,
        before_generate=True,
        models=models,
        prompts=PromptLibrary.load(root, {}),
        policies=None,  # type: ignore[arg-type]  # this step reads neither
        conversations=None,  # type: ignore[arg-type]
    )
    await models.stop()


async def prepared(
    context: BuildContext,
    choose: dict[str, object],
    *texts: str,
    template: str | None = None,
    **variables: object,
) -> dict[str, object]:
    settings = msgspec.convert({"choose": choose}, TemplateSettings)
    step = TemplateStep.build(settings, context)
    await step.start(context.root)
    turn = Turn(
        principal=Principal(key_id="k1", name="test", role="user"),
        messages=[
            Message(role="user" if at % 2 == 0 else "assistant", content=text)
            for at, text in enumerate(texts)
        ],
        template=template,
        variables=variables,
    )
    await step.prepare(turn)
    said = turn.state["template"]
    assert isinstance(said, dict)
    return said


@pytest.mark.model
@in_module
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Translate into German: The train is late.", "translate"),
        ("写一封邮件向经理请假。", "email"),
        ("What wine should I serve with grilled fish?", "wine"),
    ],
)
async def test_the_classifier_chooses_also_a_services_own(
    context: BuildContext, text: str, name: str
) -> None:
    said = await prepared(context, {"classifier": {"threshold": 0.4}}, text)
    assert (said["name"], said["chosen_by"]) == (name, "classifier")
    assert isinstance(said["confidence"], float)
    assert isinstance(said["runner_up_confidence"], float)
    assert said["confidence"] > said["runner_up_confidence"]
    assert said["runner_up"]


@pytest.mark.model
@in_module
@pytest.mark.parametrize(
    ("text", "answer"),
    [("My package has not come", "On its way."), ("密码忘了，如何找回？", "点击链接。")],
)
async def test_the_nearest_example_goes_to_the_model(
    context: BuildContext, text: str, answer: str
) -> None:
    step = TemplateStep.build(TemplateSettings(name="faq"), context)
    await step.start(context.root)
    turn = Turn(
        principal=Principal(key_id="k1", name="test", role="user"),
        messages=[Message(role="user", content=text)],
        language="zh" if text > "z" else "en",
    )
    await step.prepare(turn)
    assert [each.text() for each in turn.messages[1:]] == [answer, text]


@pytest.mark.model
@in_module
async def test_below_the_threshold_the_default_is_used(context: BuildContext) -> None:
    said = await prepared(context, {"classifier": {"threshold": 0.99}}, "Hmm, xyz")
    assert (said["name"], said["chosen_by"]) == ("assistant", "default")
    assert said["likeliest"]


@pytest.mark.model
@in_module
async def test_a_rule_goes_before_the_classifier_and_a_request_before_both(
    context: BuildContext,
) -> None:
    choose: dict[str, object] = {
        "rules": [{"template": "code", "any_of": ["train"]}],
        "classifier": {},
    }
    text = "Translate into German: The train is late."
    said = await prepared(context, choose, text)
    assert (said["name"], said["chosen_by"], said["rule"]) == ("code", "rule", 1)
    said = await prepared(context, choose, text, template="title")
    assert said["name"] == "title"
    assert "chosen_by" not in said


@pytest.mark.model
@in_module
async def test_a_template_whose_variables_are_missing_is_not_chosen(context: BuildContext) -> None:
    question = "Which wine goes with fish and meat?"
    choose: dict[str, object] = {"classifier": {"among": ["form", "wine"]}}
    assert (await prepared(context, choose, question))["name"] == "wine"
    assert (await prepared(context, choose, question, form="x"))["name"] == "form"


@pytest.mark.model
@in_module
async def test_an_unclear_message_is_read_with_those_before_it(context: BuildContext) -> None:
    said = await prepared(
        context,
        {"classifier": {}},
        "Translate into German: The train is late.",
        "Der Zug hat Verspätung.",
        "Hmm.",
    )
    assert said["name"] == "translate"
    assert said["looked_back"] == 1


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        ({"rules": [{"template": "wyne", "tools": True}]}, "no prompt template 'wyne'"),
        ({"classifier": {"among": ["wine", "wyne"]}}, "no prompt template 'wyne'"),
        ({"classifier": {"among": ["wine"]}}, "two templates at least"),
    ],
)
def test_what_cannot_be_chosen_is_refused_at_load(
    tmp_path: Path, choose: dict[str, object], message: str
) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "wine.yaml").write_text(WINE, encoding="utf-8")
    context = BuildContext(
        root=tmp_path,
        before_generate=True,
        models=ModelBox.build(load_service(tmp_path, os.environ), tmp_path, {}),
        prompts=PromptLibrary.load(tmp_path, {}),
        policies=None,  # type: ignore[arg-type]  # this step reads neither
        conversations=None,  # type: ignore[arg-type]
    )
    settings = msgspec.convert({"choose": choose}, TemplateSettings)
    with pytest.raises(HeadraceError, match=message):
        TemplateStep.build(settings, context)


SERVICE = """
models:
  small: {deployments: [{backend: embedded, weights: WEIGHTS, sha256: SHA}]}
pipeline:
  - normalize
  - template: {choose: {classifier: {}}}
  - ground
  - generate
"""


@pytest.mark.model
@in_module
async def test_a_service_chooses_by_what_its_conversation_was_about(
    tmp_path: Path, model_home: Path, multilingual_folder: Path
) -> None:
    """The whole way: fitted when the service loads, chosen per turn, told in the trace."""
    assert multilingual_folder == (model_home / "models").resolve()
    root = tmp_path / "service"
    root.mkdir()
    builtin = load_service(Path("/nonexistent"), os.environ)
    settings = next(iter(builtin.models.values())).deployments[0].settings.value
    assert isinstance(settings, dict)
    text = SERVICE.replace("WEIGHTS", str(settings["weights"]))
    (root / "headrace.yaml").write_text(text.replace("SHA", str(settings["sha256"])))
    traces = []
    async with open_platform(root, {"HEADRACE_HOME": str(model_home)}) as platform:
        for said in ("Translate into German: The train is late.", "Hmm."):
            turn = Turn(
                principal=Principal(key_id="k1", name="test", role="user"),
                messages=[Message(role="user", content=said)],
                params=Params(max_tokens=4),
                conversation="c1",
            )
            async with aclosing(platform.service.pipeline.answer(turn)) as deltas:
                async for _ in deltas:
                    pass
            traces.append(turn.trace)
    assert [each.template.partition("@")[0] for each in traces] == ["translate", "translate"]
    spans = [
        next(span.attributes for span in trace.spans if span.name == "template") for trace in traces
    ]
    assert [each["headrace.template.looked_back"] for each in spans] == [0, 1]
    assert all(each["headrace.template.chosen_by"] == "classifier" for each in spans)
    assert spans[0]["headrace.template.runner_up"]
