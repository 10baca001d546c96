"""Models by name: what they cost, how they are built, what survives a new configuration."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from headrace.config.load import parse_service
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError, ModelUnavailable, UnknownModel
from headrace.models.box import ModelBox
from headrace.models.catalogue.entry import Price
from headrace.models.deployment import Deployment, Runner
from headrace.models.model import Model, Target
from headrace.types import Delta, Deltas, Params, Usage
from tests.models.scripted import CALL, ScriptedBackend, answers


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        (None, 0.0),
        (Price(input=2.0, output=10.0), 2 * 1000 + 10 * 100),
        (Price(input=2.0, cached_input=0.5, output=10.0), 2 * 400 + 0.5 * 600 + 10 * 100),
    ],
)
def test_cached_tokens_have_their_own_price(price: Price | None, cost: float) -> None:
    usage = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=600)
    deployment = Deployment(key="m-0", runner=Runner(ScriptedBackend(answers)), price=price)
    assert deployment.cost_usd(usage) == pytest.approx(cost / 1e6)


def build(tmp_path: Path, models: str, reuse: ModelBox | None = None) -> ModelBox:
    text = f"models:\n{models}\npipeline: [generate]\n"
    service = parse_service(
        parse_yaml(text, "headrace.yaml", {}, root=tmp_path), tmp_path, builtin=False
    )
    return ModelBox.build(service, tmp_path, {}, reuse=reuse)


def backend_of(box: ModelBox, name: str) -> object:
    return box.get(name).order()[0].deployments[0].backend


def deltas_of(target: Target) -> Deltas:
    return target.ask(CALL).deltas(lambda _: CALL)


A = '  a: {deployments: [{backend: embedded, weights: "file:a.gguf"}]}'
B = '  b: {deployments: [{backend: embedded, weights: "file:b.gguf"}]}'


def test_the_first_model_is_the_default_and_others_go_by_name(tmp_path: Path) -> None:
    box = build(tmp_path, f"{A}\n{B}")
    assert list(box.names()) == ["a", "b"]
    assert box.get(None).name == "a"
    assert box.get("b").name == "b"
    with pytest.raises(UnknownModel) as caught:
        box.get("bb")
    assert caught.value.hint == "did you mean 'b'?"


def test_an_unknown_backend_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"headrace\.yaml:2: .*no backend is called 'embeded'"):
        build(tmp_path, A.replace("embedded", "embeded"))


def test_an_unknown_setting_of_a_backend_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wieghts"):
        build(tmp_path, A.replace("weights", "wieghts"))


def test_what_has_not_changed_keeps_its_backend(tmp_path: Path) -> None:
    old = build(tmp_path, f"{A}\n{B}")
    new = build(
        tmp_path, f"{A[:-1]}, params: {{temperature: 0.5}}}}\n{B.replace('b.gguf', 'c.gguf')}", old
    )
    assert backend_of(new, "a") is backend_of(old, "a")
    assert new.get("a").params.temperature == 0.5
    assert backend_of(new, "b") is not backend_of(old, "b")


def test_models_of_equal_settings_share_a_backend(tmp_path: Path) -> None:
    box = build(tmp_path, f"{A}\n{A.replace('  a:', '  warm:')}")
    assert backend_of(box, "a") is backend_of(box, "warm")


def box_of(**backends: ScriptedBackend) -> ModelBox:
    runners = {name.encode(): Runner(backend) for name, backend in backends.items()}
    models = {
        name: Model(name, [Deployment(key=name, runner=runners[name.encode()])], Params())
        for name in backends
    }
    return ModelBox(models, {}, runners)


async def test_a_start_that_fails_says_why_and_cancels_the_others() -> None:
    good, bad = ScriptedBackend(answers), ScriptedBackend(answers)
    bad.failure = ModelUnavailable("no weights")
    with pytest.raises(ModelUnavailable, match="no weights"):
        await box_of(good=good, bad=bad).start()


async def test_retiring_stops_what_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    kept, dropped = ScriptedBackend(answers), ScriptedBackend(answers)
    old, new = box_of(kept=kept, dropped=dropped), box_of(kept=kept)
    await new.retire(old, quiet_s=0.0)
    assert (kept.stopped, dropped.stopped) == (0, 1)


async def test_retiring_waits_for_running_answers() -> None:
    go_on = asyncio.Event()

    async def slow() -> Deltas:
        yield Delta(text="slow")
        await go_on.wait()
        yield Delta(finish_reason="stop")

    backend = ScriptedBackend(slow)
    old = box_of(old=backend)
    deltas = deltas_of(old.get("old"))
    await anext(deltas)
    retiring = asyncio.create_task(box_of().retire(old, quiet_s=0.01))
    done, _ = await asyncio.wait({retiring}, timeout=0.05)
    assert not done
    assert backend.stopped == 0
    go_on.set()
    assert [delta.finish_reason async for delta in deltas] == ["stop"]
    await retiring
    assert backend.stopped == 1


async def test_retiring_waits_no_longer_than_it_is_told() -> None:
    backend = ScriptedBackend(answers)
    old = box_of(old=backend)
    async with aclosing(deltas_of(old.get("old"))) as deltas:
        await anext(deltas)
        await box_of().retire(old, quiet_s=0.01, within_s=0.05)
        assert backend.stopped == 1


async def test_a_backend_is_stopped_when_retiring_is_cut_short() -> None:
    backend = ScriptedBackend(answers)
    old = box_of(old=backend)
    async with aclosing(deltas_of(old.get("old"))) as deltas:
        await anext(deltas)
        retiring = asyncio.create_task(box_of().retire(old))
        await asyncio.sleep(0)
        retiring.cancel()
        await asyncio.gather(retiring, return_exceptions=True)
    assert backend.stopped == 1
