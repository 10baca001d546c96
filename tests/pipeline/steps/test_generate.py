"""Which parameters reach the model, and what of the call is in the trace."""

from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.principal import Principal
from headrace.config.load import load_service
from headrace.errors import ConfigError
from headrace.models.box import ModelBox
from headrace.models.model import Model
from headrace.pipeline.service import Platform
from headrace.pipeline.steps.generate import GenerateSettings, GenerateStep
from headrace.pipeline.turn import Turn
from headrace.types import Message, Params

ADA = Principal("key-ada", "ada", "user")
VALUES = st.one_of(st.none(), st.integers(1, 100))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelBox:
    """The built-in assistant's models, declared and not started."""
    root = tmp_path_factory.mktemp("generate")
    return ModelBox.build(load_service(root, {}), root / "home", {})


def params_of(models: ModelBox, turn: Turn, defaults: Params, limit: int | None = None) -> Params:
    (declared,) = models.models()
    model = Model(declared.name, declared.deployments, defaults)
    return GenerateStep(GenerateSettings(max_tokens=limit), models).params_for(turn, model)


@given(request=VALUES, template=VALUES, default=VALUES, limit=VALUES)
def test_the_request_wins_over_the_template_over_the_model_within_the_limit(
    models: ModelBox,
    request: int | None,
    template: int | None,
    default: int | None,
    limit: int | None,
) -> None:
    turn = Turn(principal=ADA, messages=[], params=Params(max_tokens=request))
    turn.template_params = Params(max_tokens=template)
    asked = next((each for each in (request, template, default) if each is not None), None)
    expected = min((each for each in (asked, limit) if each is not None), default=None)
    assert params_of(models, turn, Params(max_tokens=default), limit).max_tokens == expected


def test_fields_that_are_not_known_come_from_all_three(models: ModelBox) -> None:
    turn = Turn(principal=ADA, messages=[], params=Params(extra={"top_k": 1}))
    turn.template_params = Params(extra={"top_k": 2, "min_p": 0.1})
    merged = params_of(models, turn, Params(extra={"min_p": 0.5, "repeat_penalty": 1.1}))
    assert merged.extra == {"top_k": 1, "min_p": 0.1, "repeat_penalty": 1.1}


def test_a_limit_below_one_token_is_found_at_load(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "models:\n  small: {deployments: [{backend: embedded, weights: 'file:a.gguf'}]}\n"
        "pipeline:\n  - generate: {max_tokens: 0}\n"
    )
    (entry,) = load_service(tmp_path, {}).pipeline
    with pytest.raises(ConfigError, match=r"headrace\.yaml:4: .*max_tokens"):
        entry.settings.convert(GenerateSettings)


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_the_call_is_in_the_trace_in_opentelemetrys_words(platform: Platform) -> None:
    turn = Turn(
        principal=ADA,
        messages=[Message(role="user", content="What is a mill?")],
        params=Params(temperature=0.5, seed=7, stop=["."]),
        stream=True,
    )
    async with aclosing(platform.service.pipeline.answer(turn)) as deltas:
        async for _ in deltas:
            pass
    (span,) = [each for each in turn.trace.spans if each.name == "generate"]
    said = span.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "llama_cpp"
    assert said["gen_ai.request.temperature"] == 0.5
    assert said["gen_ai.request.seed"] == 7
    assert said["gen_ai.request.max_tokens"] == 16
    assert said["gen_ai.request.stop_sequences"] == ["."]
    assert said["gen_ai.usage.input_tokens"] == turn.usage.prompt_tokens > 0
    digest = said["headrace.model.digest"]
    assert digest == platform.service.models.get(None).order()[0].deployments[0].backend.digest
    assert len(str(digest)) == 64
