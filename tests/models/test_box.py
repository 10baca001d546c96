"""Models by name: what they cost, when a call is made again, what survives a new configuration."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from headrace.config.load import parse_service
from headrace.config.model import PriceConfig
from headrace.config.node import parse_yaml
from headrace.errors import (
    ConfigError,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    UnknownModel,
)
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.box import Deployment, Model, ModelBox
from headrace.models.lease import Leases
from headrace.types import Delta, Deltas, Message, Params, Usage

CALL = Call([Message(role="user", content="Hi")], Params())
Script = Callable[[], Deltas]


class ScriptedBackend:
    """A backend whose calls go as the test says, in turn; the last one for ever."""

    provider = "scripted"
    context_tokens = 1024
    digest = "0" * 64
    rate_limits: RateLimits | None = None

    def __init__(self, *scripts: Script, comes_back: bool = True) -> None:
        self._scripts = list(scripts)
        self._comes_back = comes_back
        self.ready = True
        self.calls = 0
        self.waits: list[float] = []
        self.started = self.stopped = 0
        self.failure: Exception | None = None

    async def start(self, progress: object = None) -> None:
        self.started += 1
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        self.stopped += 1

    def is_ready(self) -> bool:
        return self.ready

    async def wait_ready(self, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        self.ready = self._comes_back
        return self._comes_back

    def generate(self, call: Call) -> Deltas:
        self.calls += 1
        return self._scripts.pop(0)() if len(self._scripts) > 1 else self._scripts[0]()

    async def embed(self, inputs: Sequence[str]) -> Embeddings:
        async for _ in self.generate(CALL):
            pass
        return Embeddings([[1.0] for _ in inputs], Usage(prompt_tokens=len(inputs)))

    async def listed(self) -> Sequence[ListedModel]:
        return ()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        async for _ in self.generate(CALL):
            pass
        return len(messages)

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        return None


async def answers() -> Deltas:
    yield Delta(text="Hello")
    yield Delta(finish_reason="stop")


def raising(error: HeadraceError, *given: Delta) -> Script:
    """A call that fails after it has given these."""

    async def script() -> Deltas:
        for delta in given:
            yield delta
        raise error

    return script


fails = raising(ModelUnavailable("down"))
breaks_off = raising(ModelUnavailable("broke off"), Delta(text="Hel"))
refuses = raising(InvalidRequest("no"))


def model_of(backend: ScriptedBackend, leases: Leases | None = None) -> Model:
    return Model("m", backend, Params(), PriceConfig(), leases)


async def text_of(model: Model) -> str:
    return "".join([delta.text async for delta in model.generate(CALL)])


async def test_a_call_that_gave_nothing_is_made_again_once() -> None:
    backend = ScriptedBackend(fails, answers)
    assert await text_of(model_of(backend)) == "Hello"
    backend = ScriptedBackend(fails, fails, answers)
    with pytest.raises(ModelUnavailable):
        await text_of(model_of(backend))
    assert backend.calls == 2


async def test_waiting_for_a_model_that_was_down_is_no_attempt() -> None:
    backend = ScriptedBackend(fails, fails, answers)
    backend.ready = False
    assert await text_of(model_of(backend)) == "Hello"
    assert backend.calls == 3


async def test_a_call_is_not_made_again_once_something_was_given() -> None:
    backend = ScriptedBackend(breaks_off, answers)
    seen: list[str] = []
    with pytest.raises(ModelUnavailable, match="broke off"):
        async for delta in model_of(backend).generate(CALL):
            seen.append(delta.text)
    assert seen == ["Hel"]
    assert backend.calls == 1


async def test_a_refusal_is_not_tried_again() -> None:
    backend = ScriptedBackend(refuses, answers)
    with pytest.raises(InvalidRequest):
        await text_of(model_of(backend))
    assert backend.calls == 1


async def test_a_model_that_does_not_come_back_is_not_called_again() -> None:
    backend = ScriptedBackend(fails, answers, comes_back=False)
    with pytest.raises(ModelUnavailable):
        await text_of(model_of(backend))
    assert backend.calls == 1
    assert 29 < backend.waits[0] <= 30


async def test_counting_and_embedding_are_made_again_too() -> None:
    assert (await model_of(ScriptedBackend(fails, answers)).embed(["a"])).vectors == [[1.0]]
    assert await model_of(ScriptedBackend(fails, answers)).count_tokens(CALL.messages) == 1
    with pytest.raises(ModelUnavailable):
        await model_of(ScriptedBackend(fails)).embed(["a"])


async def test_leaving_an_answer_closes_it_at_its_source() -> None:
    closed = asyncio.Event()

    async def endless() -> Deltas:
        try:
            while True:
                yield Delta(text="more ")
        finally:
            closed.set()

    leases = Leases()
    async with aclosing(model_of(ScriptedBackend(endless), leases).generate(CALL)) as deltas:
        await anext(deltas)
        assert leases.count == 1
    assert closed.is_set()
    assert leases.count == 0


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        (PriceConfig(), 0.0),
        (PriceConfig(input=2.0, output=10.0), 2 * 1000 + 10 * 100),
        (PriceConfig(input=2.0, cached_input=0.5, output=10.0), 2 * 400 + 0.5 * 600 + 10 * 100),
    ],
)
def test_cached_tokens_have_their_own_price(price: PriceConfig, cost: float) -> None:
    usage = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=600)
    model = Model("m", ScriptedBackend(answers), Params(), price)
    assert model.cost_usd(usage) == pytest.approx(cost / 1e6)


def build(tmp_path: Path, models: str, reuse: ModelBox | None = None) -> ModelBox:
    text = f"models:\n{models}\npipeline: [generate]\n"
    service = parse_service(
        parse_yaml(text, "headrace.yaml", {}, root=tmp_path), tmp_path, builtin=False
    )
    return ModelBox.build(service.models, tmp_path, tmp_path, reuse=reuse)


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
    assert new.get("a").backend is old.get("a").backend
    assert new.get("a").params.temperature == 0.5
    assert new.get("b").backend is not old.get("b").backend


def test_models_of_equal_settings_share_a_backend(tmp_path: Path) -> None:
    box = build(tmp_path, f"{A}\n{A.replace('  a:', '  warm:')}")
    assert box.get("a").backend is box.get("warm").backend


def box_of(**backends: ScriptedBackend) -> ModelBox:
    deployments = {name.encode(): Deployment(backend) for name, backend in backends.items()}
    models = {
        name: Model(name, each, Params(), PriceConfig(), deployments[name.encode()].leases)
        for name, each in backends.items()
    }
    return ModelBox(models, deployments)


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
    deltas = old.get("old").generate(CALL)
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
    async with aclosing(old.get("old").generate(CALL)) as deltas:
        await anext(deltas)
        await box_of().retire(old, quiet_s=0.01, within_s=0.05)
        assert backend.stopped == 1


async def test_a_backend_is_stopped_when_retiring_is_cut_short() -> None:
    backend = ScriptedBackend(answers)
    old = box_of(old=backend)
    async with aclosing(old.get("old").generate(CALL)) as deltas:
        await anext(deltas)
        retiring = asyncio.create_task(box_of().retire(old))
        await asyncio.sleep(0)
        retiring.cancel()
        await asyncio.gather(retiring, return_exceptions=True)
    assert backend.stopped == 1
